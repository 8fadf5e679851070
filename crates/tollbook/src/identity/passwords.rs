//! Passwords: argon2id with the parameters that OWASP recommends (19 MiB, 2 passes), which are the crate's defaults.

use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::secrets::random;

/// The shortest password in characters.
const CHARACTERS_MIN: usize = 8;
/// The longest password in bytes: hashing is paid by its length.
const BYTES_MAX: usize = 1024;

/// Verified against when there is no user, so that the answer takes as long.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash_now("a password of nobody").ok());

/// The hash to store for a password. Fails if it is too short or too long.
pub(crate) async fn hash(hashings: &Arc<Semaphore>, password: String) -> Result<String> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(Error::invalid(
            "password",
            format!("must have at least {CHARACTERS_MIN} characters"),
        ));
    }
    if password.len() > BYTES_MAX {
        return Err(Error::invalid(
            "password",
            format!("must have at most {BYTES_MAX} bytes"),
        ));
    }
    aside(hashings, move || hash_now(&password)).await?
}

/// Whether the password is the one of the hash; without a hash it takes as long to say no.
pub(super) async fn verify(
    hashings: &Arc<Semaphore>,
    password: String,
    hash: Option<String>,
) -> Result<bool> {
    if password.len() > BYTES_MAX {
        return Ok(false);
    }
    aside(hashings, move || {
        let is_somebodys = hash.is_some();
        let hash = hash.or_else(|| NOBODYS.clone()).unwrap_or_default();
        let is_right = Argon2::default()
            .verify_password(password.as_bytes(), hash.as_str())
            .is_ok();
        is_right && is_somebodys
    })
    .await
}

/// Runs hashing beside the requests, a few at a time.
async fn aside<T: Send + 'static>(
    hashings: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let permit = Arc::clone(hashings)
        .acquire_owned()
        .await
        .map_err(|_| Error::Unavailable("this node is stopping".to_owned()))?;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .map_err(|error| Error::Internal(format!("hashing broke off: {error}")))
}

fn hash_now(password: &str) -> Result<String> {
    let salt: [u8; 16] = random()?;
    Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(format!("a password cannot be hashed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_and_hashes_differ() {
        let hashings = Arc::new(Semaphore::new(1));
        let first = hash(&hashings, "correct horse".to_owned()).await.unwrap();
        let second = hash(&hashings, "correct horse".to_owned()).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(first, second);
        let fits = async |password: &str, hash: Option<&String>| {
            verify(&hashings, password.to_owned(), hash.cloned())
                .await
                .unwrap()
        };
        assert!(fits("correct horse", Some(&first)).await);
        assert!(!fits("correct horsf", Some(&first)).await);
        assert!(!fits("a password of nobody", None).await);
        assert!(!fits("correct horse", Some(&"nonsense".to_owned())).await);
    }

    #[tokio::test]
    async fn passwords_have_a_length() {
        let hashings = Arc::new(Semaphore::new(1));
        for password in ["1234567".to_owned(), "x".repeat(1025)] {
            assert!(matches!(
                hash(&hashings, password).await,
                Err(Error::Invalid(_))
            ));
        }
    }
}
