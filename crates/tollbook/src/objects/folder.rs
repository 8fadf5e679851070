//! Files in a folder of this machine.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::ObjectStore;

/// A folder; a key is a path below it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that is made when the first file comes.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, key: &str) -> io::Result<PathBuf> {
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if key.split('/').all(is_plain) {
            Ok(self.root.join(key))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{key}` is no key"),
            ))
        }
    }
}

impl ObjectStore for Folder {
    type Object = File;

    async fn put(&self, key: &str, bytes: Bytes) -> io::Result<()> {
        let path = self.path(key)?;
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        fs::create_dir_all(&folder).await?;
        // Under another name until it is whole, so that nobody ever opens half of it.
        let unfinished = folder.join(format!(".{}", Uuid::now_v7()));
        let mut file = File::create_new(&unfinished).await?;
        let written = async {
            file.write_all(&bytes).await?;
            file.sync_all().await?;
            fs::rename(&unfinished, &path).await?;
            File::open(&folder).await?.sync_all().await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => {
                // What is left behind takes space and does no other harm.
                let _ = fs::remove_file(&unfinished).await;
                Err(error)
            }
        }
    }

    async fn open(&self, key: &str) -> io::Result<Option<(File, u64)>> {
        match File::open(self.path(key)?).await {
            Ok(file) => {
                let len = file.metadata().await?.len();
                Ok(Some((file, len)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_comes_back_whole_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path().join("objects"));
        assert!(store.open("a/b").await.unwrap().is_none());
        store
            .put("a/b", Bytes::from_static(b"sound"))
            .await
            .unwrap();
        let (mut file, len) = store.open("a/b").await.unwrap().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!((text.as_str(), len), ("sound", 5));
        assert_eq!(
            std::fs::read_dir(root.path().join("objects/a"))
                .unwrap()
                .count(),
            1
        );
    }

    #[tokio::test]
    async fn a_key_cannot_leave_the_folder() {
        let store = Folder::new(PathBuf::from("/nowhere"));
        for key in ["../x", "a//b", "/etc/passwd", "a/../b", "", "a.b"] {
            let refused = store.open(key).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{key}");
        }
    }
}
