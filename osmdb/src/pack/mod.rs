//! Datasets as static files: packs of pages, and a manifest that names them (`spec/packs.md`).

#[cfg(feature = "object-store")]
mod bucket;
#[cfg(feature = "object-store")]
mod bucket_http;
mod files;
mod folder;
mod format;
#[cfg(test)]
mod hostile;
#[cfg(feature = "http")]
mod http;
mod origin;
mod parts;
mod publish;
#[cfg(feature = "http")]
mod thread;

use bytes::Bytes;
use prolly::Cid;

#[cfg(feature = "object-store")]
pub use self::bucket::BucketFiles;
pub use self::files::{Directory, Files, Publish};
pub use self::folder::Folder;
pub use self::format::{MANIFEST_NAME, MAX_MANIFEST_BYTES, MAX_PACK_BYTES, MAX_PACKS, PackError};
#[cfg(feature = "http")]
pub use self::http::HttpFiles;
pub use self::origin::PackOrigin;
pub use self::publish::{PublishError, Published};

use crate::remote::origin::links;
use crate::root::RawRoot;

/// Returns what a page or a root record links to, in the order of the places that a pack has for it.
fn links_of(cid: Cid, bytes: &Bytes) -> Vec<Cid> {
    RawRoot::decode(bytes).map_or_else(|_| links(cid, bytes), |root| root.links())
}
