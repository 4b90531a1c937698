//! Connections, and how long one may be silent.
//!
//! hyper's own limit on the time for a request's headers cannot be set through poem, and poem's
//! limit on idle connections waits for ever for the rest of half a request. So the connection
//! itself loses patience here: whoever opens thousands of them and says little holds each only so
//! long.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep, sleep_until},
};
use tracing::warn;

/// How long to wait when no connection can be accepted (no file descriptors left): poem asks again
/// at once, and would do nothing else any more.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts connections that may be silent for so long.
pub(super) struct Connections {
    listener: TcpListener,
    address: LocalAddr,
    patience: Duration,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, patience: Duration) -> io::Result<Self> {
        let address = LocalAddr(listener.local_addr()?.into());
        Ok(Self { listener, address, patience })
    }
}

impl Acceptor for Connections {
    type Io = Connection<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![self.address.clone()]
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        match self.listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and wait for nothing: each leaves at once.
                stream.set_nodelay(true)?;
                let connection = Connection::new(stream, self.patience);
                Ok((connection, self.address.clone(), RemoteAddr(peer.into()), Scheme::HTTP))
            }
            Err(error) => {
                warn!(event = "accept_failed", %error, "a connection could not be accepted");
                sleep(AFTER_FAILURE).await;
                Err(error)
            }
        }
    }
}

/// A connection that fails when nothing came or went for too long.
pub(super) struct Connection<S> {
    stream: S,
    patience: Duration,
    /// When something last came or went. Only noted: moving the timer each time would cost more.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, last: Instant::now(), timer: Box::pin(sleep(patience)) }
    }

    /// Notes what came or went; fails when nothing has for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.last = Instant::now();
            return outcome;
        }
        ready!(self.poll_silence(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ready when it has been silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.last + self.patience;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.set(sleep_until(due));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.watch(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
