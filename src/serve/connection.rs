//! Connections: how many, how long their clients may take, and how they end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::failure::Failure;
use super::listener::{Connection, Listener};
use crate::platform;

/// Files that the process needs besides connections: weights, the cache, label files.
const OTHER_FILES: u64 = 128;
/// The most connections, where the system allows as many.
const MOST_CONNECTIONS: u64 = 20_000;
/// Longest head of a request in bytes. Tokens of single sign-on make long ones.
const LONGEST_HEAD: usize = 64 * 1024;
/// How often the end of what is in hand is looked for.
const LOOK_UP: Duration = Duration::from_millis(5);
/// How long a client that has come just before the end has for sending its request.
const HANDSHAKE: Duration = Duration::from_millis(250);
/// How long is waited for connections to close after the last answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request, and for reading a part of the answer.
    pub(super) client: Duration,
    /// For requests that have come in before the end.
    pub(super) drain: Duration,
}

/// Requests that are being answered.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<AtomicUsize>);

impl InHand {
    /// Counts one until what is returned is dropped.
    pub(super) fn begin(&self) -> impl Drop + use<> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Leaving(self.0.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Accepts clients until `stopping` is true, and then refuses new ones until those before are answered, or `drain` is
/// over. Returns how many requests got no answer.
pub(super) async fn serve(
    listener: Listener,
    router: Router,
    in_hand: InHand,
    patience: Patience,
    stopping: watch::Receiver<bool>,
) -> usize {
    let files = platform::raise_open_files(MOST_CONNECTIONS + OTHER_FILES);
    let most = files.saturating_sub(OTHER_FILES).clamp(8, MOST_CONNECTIONS) as usize;
    let room = Arc::new(Semaphore::new(most));
    let acceptor = Acceptor { listener, room: room.clone(), patience, stopping: stopping.clone() };
    let mut asked = stopping;
    tokio::select! {
        () = acceptor.accept_all(Some(router)) => {}
        _ = asked.wait_for(|stopping| *stopping) => {}
    }
    let drained = async {
        while in_hand.count() > 0 {
            sleep(LOOK_UP).await;
        }
        // Connections without a request close soon, the others when their answer is written.
        let closed = async {
            while room.available_permits() + 1 < most {
                sleep(LOOK_UP).await;
            }
        };
        drop(timeout(FAREWELL, closed).await);
    };
    // Who asks for /health is still told that the server stops.
    tokio::select! {
        () = drained => {}
        () = acceptor.accept_all(None) => {}
        () = sleep(patience.drain) => {}
    }
    in_hand.count()
}

/// Accepts clients.
struct Acceptor {
    listener: Listener,
    room: Arc<Semaphore>,
    patience: Patience,
    stopping: watch::Receiver<bool>,
}

impl Acceptor {
    /// Accepts clients for ever. Without a router they are told that the server stops.
    async fn accept_all(&self, router: Option<Router>) {
        // More clients than there is room for wait in the queue of the system.
        while let Ok(place) = self.room.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok(stream) => {
                    let answering = answer(stream, router.clone(), self.patience, self.stopping.clone());
                    tokio::spawn(async move {
                        answering.await;
                        drop(place);
                    });
                }
                Err(error) if is_gone(&error) => {}
                // All files are in use.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// True for a client that is gone again.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
}

/// Answers the requests of one connection; without a router it says that the server stops.
async fn answer(
    stream: Box<dyn Connection>,
    router: Option<Router>,
    patience: Patience,
    mut stopping: watch::Receiver<bool>,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.client));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(patience.client).max_buf_size(LONGEST_HEAD);
    let io = TokioIo::new(Box::pin(stream));
    let Some(router) = router else {
        let refuse = hyper::service::service_fn(|_| async { Ok::<_, Infallible>(refused()) });
        drop(server.keep_alive(false).serve_connection(io, refuse).await);
        return;
    };
    let mut connection = pin!(server.serve_connection(io, TowerToHyperService::new(router)));
    let ending = async {
        drop(stopping.wait_for(|stopping| *stopping).await);
        // hyper closes a connection whose request is still on its way.
        sleep(HANDSHAKE).await;
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = ending => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

fn refused() -> Response {
    let mut response = Failure::stopping().into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
