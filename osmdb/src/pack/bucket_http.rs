//! The requests to object stores, over the HTTP client that reads from web servers too.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService,
};
use ureq::Agent;
use ureq::http::Request;
use ureq::http::request::Parts;

use super::format::MAX_PACK_BYTES;
use super::thread::OnThread;

/// A connection that cannot be made in this time has failed, unless the store says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection on which nothing moves for this long has failed.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A range begins where the file has ended.
#[derive(Debug, thiserror::Error)]
#[error("the file ends before this range")]
pub(super) struct PastEnd;

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let seconds = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let seconds = seconds.and_then(|text| text.strip_suffix('s')?.parse().ok());
        let config = Agent::config_builder()
            .timeout_connect(Some(seconds.map_or(CONNECT_TIMEOUT, Duration::from_secs)))
            .timeout_per_read(Some(STALL_TIMEOUT))
            .timeout_per_write(Some(STALL_TIMEOUT))
            .http_status_as_error(false)
            // A signature is for one address.
            .max_redirects(0)
            .max_redirects_will_error(false);
        Ok(HttpClient::new(Client(Agent::new_with_config(config.build()))))
    }
}

#[derive(Debug)]
struct Client(Agent);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.0.clone();
        let done = OnThread::run(move || Ok(talk(&agent, parts, &body))).await;
        done.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
    }
}

fn talk(agent: &Agent, parts: Parts, body: &[u8]) -> Result<HttpResponse, HttpError> {
    let sent = if body.is_empty() {
        agent.run(Request::from_parts(parts, ()))
    } else {
        agent.run(Request::from_parts(parts, body))
    };
    let (parts, mut body) = sent.map_err(failed)?.into_parts();
    if parts.status == 416 {
        return Err(HttpError::new(HttpErrorKind::Unknown, PastEnd));
    }
    let bytes = body.with_config().limit(MAX_PACK_BYTES + 1).read_to_vec().map_err(failed)?;
    Ok(HttpResponse::from_parts(parts, Bytes::from(bytes).into()))
}

/// Says what may be tried again.
fn failed(error: ureq::Error) -> HttpError {
    use std::io::ErrorKind;
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                HttpErrorKind::Connect
            }
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => HttpErrorKind::Interrupted,
            _ => HttpErrorKind::Unknown,
        },
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
