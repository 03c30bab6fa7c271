//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse as _;
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

use super::access;
use super::app::{App, Logged};
use super::ask::Suffix;
use super::patient::Patient;
use super::sync::From;

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
            Ok((stream, from)) => {
                let (app, routes, ended) = (Arc::clone(app), routes.clone(), ended.clone());
                connections.spawn(async move {
                    app.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    connection(Arc::clone(&app), stream, from, routes, ended).await;
                    app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    app.ending.send_replace(true);
    if let Some(peers) = &app.peers {
        peers.stop();
    }
    let mut visits = std::mem::take(&mut *app.visits.lock().unwrap_or_else(PoisonError::into_inner));
    let all = async {
        while connections.join_next().await.is_some() {}
        while visits.join_next().await.is_some() {}
    };
    // Who is not done then is cut off; what was to be written is written in threads of its own.
    let _ = timeout(app.options.limits.farewell, all).await;
}

/// Answers the requests of one connection.
async fn connection(
    app: Arc<App>,
    stream: TcpStream,
    from: SocketAddr,
    routes: Router,
    mut ended: watch::Receiver<bool>,
) {
    // An answer is to leave at once. Where the system cannot do it, it leaves later.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient::new(stream, app.options.limits.silence));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(app.options.limits.head);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, routes) = (Arc::clone(&app), routes.clone());
        async move { Ok::<_, Infallible>(logged(&app, from, routes, request).await) }
    });
    let mut serving = pin!(builder.serve_connection(stream, service).with_upgrades());
    let asked_to_end = async { drop(ended.wait_for(|ended| *ended).await) };
    if let Either::Right(((), _)) = select(serving.as_mut(), pin!(asked_to_end)).await {
        serving.as_mut().graceful_shutdown();
        // A client that went away needs no answer.
        let _ = serving.await;
    }
}

/// A request that is being answered; it is counted even if the client goes away meanwhile.
struct AtWork<'a> {
    app: &'a App,
    method: Method,
    began: Instant,
    status: u16,
}

/// What is noted of a request whose client went away before it was answered.
const GONE_AWAY: u16 = 499;

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.app.metrics.end(self.method.as_str(), self.status, self.began.elapsed());
    }
}

/// Answers one request, and tells that it did.
async fn logged(
    app: &App,
    from: SocketAddr,
    routes: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Response<Body> {
    app.metrics.begin();
    let mut work = AtWork { app, method: request.method().clone(), began: Instant::now(), status: GONE_AWAY };
    let uri = request.uri().clone();
    let response = answer(app, from, routes, request).await;
    work.status = response.status().as_u16();
    if let Some(log) = &app.options.log {
        // What stands in the addresses of logging in, is good for logging in.
        let whole = uri.path_and_query().map_or("", |path| path.as_str());
        let path = if uri.path().starts_with("/oauth2/") { uri.path() } else { whole };
        let refused = response.headers().get("error").and_then(|error| error.to_str().ok());
        let (method, status, time) = (work.method.as_str(), work.status, work.began.elapsed());
        log(&Logged { from, method, path, status, time, refused });
    }
    response
}

/// Answers one request.
async fn answer(
    app: &App,
    from: SocketAddr,
    routes: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(From(from));
    if let Some((uri, suffix)) = Suffix::take(request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(suffix);
    }
    let asked = request.headers().clone();
    let mut response = match (access::preflight(&request), access::check(&app.options, &request)) {
        (Some(response), _) => response,
        (None, Err(refused)) => refused.into_response(),
        (None, Ok(())) => match routes.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    access::share(&app.options, &asked, &mut response);
    response
}
