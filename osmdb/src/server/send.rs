//! Answers that are long: made in a thread of their own, in pieces, no faster than the client takes them.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::stream;
use tokio::sync::mpsc;

use super::answer::document;
use super::app::App;
use super::ask::Form;
use super::error::ApiError;

/// So many bytes leave at once; shorter answers leave whole, with their length.
const PIECE: usize = 128 << 10;

/// So many pieces wait for a client.
const WAITING: usize = 4;

/// Where a document goes.
#[derive(Debug)]
pub(crate) struct Outlet {
    text: String,
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    begun: bool,
}

impl Outlet {
    /// Returns what is to leave next.
    pub(crate) const fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Lets what is there leave, if it is enough. Waits while the client has not taken what left before.
    pub(crate) fn go_on(&mut self, app: &App) -> Result<(), ApiError> {
        if self.text.len() < PIECE { Ok(()) } else { self.leave(app) }
    }

    fn leave(&mut self, app: &App) -> Result<(), ApiError> {
        // Numbers that were given are to stay, whatever happens once the client has them.
        app.local.save()?;
        self.begun = true;
        let piece = std::mem::replace(&mut self.text, String::with_capacity(PIECE + PIECE / 4));
        let gone = |_| ApiError::internal("the client went away");
        self.pieces.blocking_send(Ok(piece.into())).map_err(gone)
    }

    /// Ends: returns what is left if nothing has left yet.
    fn finish(mut self, app: &App) -> Result<Option<String>, ApiError> {
        if !self.begun {
            app.local.save()?;
            return Ok(Some(self.text));
        }
        self.leave(app)?;
        Ok(None)
    }
}

impl App {
    /// Answers with a document that is written piece by piece. What goes wrong before the first piece leaves is
    /// answered as an error; later it cuts the answer off, so that no client takes a part for all.
    pub(crate) async fn send(
        self: &Arc<Self>,
        form: Form,
        write: impl FnOnce(&Self, &mut Outlet) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<Response<Body>, ApiError> {
        let (pieces, mut coming) = mpsc::channel(WAITING);
        let work = self.start(move |app| {
            let mut outlet =
                Outlet { text: String::with_capacity(PIECE / 8), pieces: pieces.clone(), begun: false };
            let written = write(app, &mut outlet);
            let begun = outlet.begun;
            let finished = written.and_then(|()| outlet.finish(app));
            if begun && finished.is_err() {
                // Whoever waits no more needs no reason.
                let _ = pieces.blocking_send(Err(io::Error::other("the answer could not be finished")));
            }
            finished
        });
        let work = work.await?;
        match coming.recv().await {
            Some(first) => {
                let rest = stream::poll_fn(move |cx| coming.poll_recv(cx));
                let all = futures_util::StreamExt::chain(stream::iter([first]), rest);
                Ok(document(form, Body::from_stream(all)))
            }
            None => {
                let finished = work.await.unwrap_or_else(|error| Err(ApiError::internal(error)));
                Ok(document(form, finished?.unwrap_or_default()))
            }
        }
    }
}
