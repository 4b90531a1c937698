//! How long a connection may be silent, or take for a request.
//!
//! hyper's limit on the time for a request's headers ends where they end, and sets a timer for each
//! request: a body that never comes, or an answer that nobody reads, would hold a connection for
//! ever. So the stream itself loses patience here: whoever opens thousands of them and says little
//! holds each only so long.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// How many times the patience with silence a request may take to arrive, after the answer before.
const REQUESTS_PATIENCE: u32 = 2;

/// A stream that fails when nothing came or went for too long.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// When something last came or went. Only noted: moving the timer each time would cost more.
    last: Instant,
    /// When something last went, or the connection was made: a request that came in time since
    /// then was answered.
    answered: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        let now = Instant::now();
        Self { stream, patience, last: now, answered: now, timer: Box::pin(sleep(patience)) }
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

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        let read = self.watch(cx, read);
        // Whoever is slow but never silent: the rest of a request, byte by byte.
        if read.is_ready() && self.last - self.answered > self.patience * REQUESTS_PATIENCE {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let written = self.watch(cx, written);
        if written.is_ready() {
            self.answered = self.last;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// How long a connection lasts on which something comes now and then, each time answered or
    /// not. Time is tokio's, which does not pass by itself here.
    async fn lasts(every: Duration, answered: bool) -> Duration {
        let (mut client, server) = duplex(1_024);
        let mut server = Patient::new(server, PATIENCE);
        let started = Instant::now();
        let talking = tokio::spawn(async move {
            while started.elapsed() < PATIENCE * 10 {
                sleep(every).await;
                if client.write_all(b"x").await.is_err() {
                    break;
                }
            }
        });
        let mut byte = [0];
        while server.read(&mut byte).await.is_ok_and(|read| read == 1) {
            if answered && server.write_all(b"y").await.is_err() {
                break;
            }
        }
        drop(server);
        let lasted = started.elapsed();
        talking.await.unwrap();
        lasted
    }

    #[tokio::test(start_paused = true)]
    async fn it_lasts_as_long_as_requests_come_and_are_answered() {
        let often = Duration::from_secs(7);
        let silent = lasts(PATIENCE * 2, true).await;
        assert!((PATIENCE..PATIENCE + often).contains(&silent), "{silent:?}");
        assert!(lasts(often, true).await >= PATIENCE * 10);
        let trickle = lasts(often, false).await;
        assert!((PATIENCE * 2..PATIENCE * 2 + often * 2).contains(&trickle), "{trickle:?}");
    }
}
