//! Connections: accepted, served, and ended when the server stops.
//!
//! hyper is asked directly rather than through poem's own server, which cannot be told what is
//! said here: to leave the socket alone while a request is being answered. Otherwise each request
//! that waits (for the disk, say) costs a read of nothing into a new buffer; and one whose client
//! has gone is dropped half-way.

use std::{collections::HashMap, convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::patience::Patient;

/// How long to wait when no connection can be accepted (no file descriptors left): the next try
/// would fail at once, and the loop would do nothing else any more.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// How long connections may last.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Without anything coming or going.
    pub(super) idle: Duration,
    /// Once the server stops.
    pub(super) shutdown: Duration,
}

/// Serves `app` on `listener` until `stop`; then accepts nobody any more and finishes what runs.
pub(super) async fn serve<E>(
    name: &str,
    listener: TcpListener,
    app: E,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let app = Arc::new(app);
    let local = LocalAddr(listener.local_addr()?.into());
    let mut tasks = JoinSet::new();
    // Dropping one ends its connection after the request that runs.
    let mut open = HashMap::<_, oneshot::Sender<Infallible>>::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(ended) = tasks.join_next_with_id() => {
                open.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (keep, ended) = oneshot::channel();
                    let addresses = (local.clone(), RemoteAddr(peer.into()));
                    let app = Arc::clone(&app);
                    let task = tasks.spawn(converse(stream, addresses, app, limits.idle, ended));
                    open.insert(task.id(), keep);
                }
                Err(error) => {
                    warn!(event = "accept_failed", %error, "a connection could not be accepted");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
    drop(listener);
    drop(open);
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.shutdown, all_ended).await.is_err() {
        warn!(event = "stopping", server = name, "some requests were not finished in time");
        tasks.shutdown().await;
    }
    Ok(())
}

/// Answers the requests of one connection.
async fn converse<E: Endpoint<Output = Response>>(
    stream: TcpStream,
    (local, peer): (LocalAddr, RemoteAddr),
    app: Arc<E>,
    idle: Duration,
    ended: oneshot::Receiver<Infallible>,
) {
    // Answers are small and wait for nothing: each leaves at once. It fails on a stream that is
    // gone already.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let app = &*app;
    let service = service_fn(|request| {
        let request = Request::from((request, local.clone(), peer.clone(), Scheme::HTTP));
        let answer = app.call(request);
        async {
            let response = answer.await.unwrap_or_else(poem::Error::into_response);
            Ok::<_, Infallible>(response.into())
        }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        // An answer is small: its head and body are put together and leave by one plain write.
        .writev(false)
        .serve_connection(TokioIo::new(Patient::new(stream, idle)), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        _ = ended => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(event = "connection_failed", %error, "a connection broke off");
    }
}
