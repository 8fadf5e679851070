//! Files kept outside the database: recordings, and documents later. Written once under a key, never changed.

mod folder;
mod range;

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncSeek};

pub(crate) use folder::Folder;
pub(crate) use range::{Part, part};

/// A place for files. Keys are made by the application: letters, digits, `-` and `/`.
pub(crate) trait ObjectStore {
    /// A file that is open for reading from any place.
    type Object: AsyncRead + AsyncSeek + Unpin + Send + 'static;

    /// Keeps a file. When this returns, the file is whole and durable.
    async fn put(&self, key: &str, bytes: Bytes) -> io::Result<()>;

    /// Opens a file; answers it with its length in bytes, or `None` if there is none.
    async fn open(&self, key: &str) -> io::Result<Option<(Self::Object, u64)>>;
}
