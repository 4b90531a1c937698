//! Ports for processes that end and start again on the same one.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below what the system gives to outgoing connections, one of which could otherwise take the port
/// while the process is dead. A cluster's nodes need the port ten thousand above, too.
const RANGE: std::ops::Range<u16> = 10_300..22_300;

/// One that nobody listens on, and that this process gives to nobody else.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = RANGE.end - RANGE.start;
    // Suites that run side by side begin in different places.
    let begin = u16::try_from(std::process::id().wrapping_mul(7919) % u32::from(size)).unwrap();
    for _ in 0..size {
        let port = RANGE.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % size) % size;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
