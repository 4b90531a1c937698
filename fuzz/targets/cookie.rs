//! The `Cookie` header. What must come of an input is in `src/cookie.rs`.
#![no_main]

use std::cell::RefCell;

use countersign_fuzz::{Service, cookie};
use libfuzzer_sys::fuzz_target;

thread_local!(static SERVICE: RefCell<Service> = RefCell::new(Service::new()));

fuzz_target!(|data: &[u8]| SERVICE.with_borrow_mut(|service| cookie::check(service, data)));
