//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::app::App;
use super::ask::Suffix;

/// When a connection cannot be taken, because too many files are open, say, another try comes after this.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stop` is there, and those that go on then until they have been answered.
pub(crate) async fn listen(
    app: &Arc<App>,
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(app.options.limits.connections.max(1)));
    let ended = app.ending.subscribe();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = Arc::clone(&places).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = match select(stop.as_mut(), pin!(next)).await {
            Either::Left(_) => break,
            Either::Right((next, _)) => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (app, routes, ended) = (Arc::clone(app), routes.clone(), ended.clone());
                connections.spawn(async move {
                    connection(&app, stream, routes, ended).await;
                    drop(permit);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    app.ending.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // Who is not done then is cut off; what was to be written is written in threads of its own.
    let _ = timeout(app.options.limits.farewell, all).await;
}

/// Answers the requests of one connection.
async fn connection(app: &App, stream: TcpStream, routes: Router, mut ended: watch::Receiver<bool>) {
    // An answer is to leave at once. Where the system cannot do it, it leaves later.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: Request<Incoming>| answer(routes.clone(), request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(app.options.limits.head);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let asked_to_end = async { drop(ended.wait_for(|ended| *ended).await) };
    if let Either::Right(((), _)) = select(serving.as_mut(), pin!(asked_to_end)).await {
        serving.as_mut().graceful_shutdown();
        // A client that went away needs no answer.
        let _ = serving.await;
    }
}

/// Answers one request.
async fn answer(
    routes: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    if let Some((uri, suffix)) = Suffix::take(request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(suffix);
    }
    routes.call(request).await
}
