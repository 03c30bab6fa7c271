//! How a session is to go.

use std::fmt;
use std::sync::Arc;

use super::inbox::Inbox;
use super::limits::DEFAULT_MOST_BYTES;
use crate::db::{Everyone, Policy};

/// How a session is to go.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::sync::{Inbox, Options};
/// use osmdb::{Authors, Everyone};
/// let options = Options { policy: Arc::new(Authors::default()), ..Options::default() };
/// assert!(options.inbox.is_none());
/// let inbox = Some(Arc::new(Inbox::in_memory()));
/// # let _: Options =
/// Options { policy: Arc::new(Everyone), inbox, most_bytes: 1 << 30, follow: true };
/// ```
#[derive(Clone)]
pub struct Options {
    /// What is taken in.
    pub policy: Arc<dyn Policy + Send + Sync>,
    /// Keeps what came of a stream that was cut. Without one, a cut stream begins anew.
    pub inbox: Option<Arc<Inbox>>,
    /// No more bytes of entries are taken in than this, before compression.
    pub most_bytes: u64,
    /// Stays when all is exchanged: each side then tells the other what is new, until one goes. Whoever is asked to
    /// stay by the other side stays too.
    pub follow: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { policy: Arc::new(Everyone), inbox: None, most_bytes: DEFAULT_MOST_BYTES, follow: false }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}
