//! The one secret key of an installation: what is encrypted under it, and what is signed with it.
//!
//! It is kept outside the database. Purposes have keys of their own, derived from it by HMAC-SHA256.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// The form of a sealed value: this byte, 12 bytes of nonce, the ciphertext with its tag of 16 bytes.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The keys of an installation.
#[derive(Clone)]
pub struct Secrets {
    sealing: [u8; 32],
    signing: [u8; 32],
}

impl Secrets {
    /// Derives the keys from the secret key of the installation, which should have at least 32 characters.
    pub fn new(secret_key: &str) -> Self {
        Self {
            sealing: derive(secret_key, "seal"),
            signing: derive(secret_key, "access-token"),
        }
    }

    /// Signs access tokens.
    pub(crate) fn signing_key(&self) -> &[u8] {
        &self.signing
    }

    /// Encrypts. What is sealed opens only with the same `context`, such as the row that it belongs to.
    pub(crate) fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        let sealed = self
            .cipher()?
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| Error::Internal("encryption failed".to_owned()))?;
        Ok([&[FORM][..], &nonce, &sealed].concat())
    }

    /// Decrypts what [`Secrets::seal`] made. Fails if the key, the context or a bit of it differs.
    pub(crate) fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>> {
        let wrong = || {
            Error::Internal(
                "stored credentials do not open: `TOLLBOOK_SECRET_KEY` is not the one that they were stored with".to_owned(),
            )
        };
        let (&FORM, rest) = sealed.split_first().ok_or_else(wrong)? else {
            return Err(wrong());
        };
        let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let payload = Payload { msg, aad: context };
        self.cipher()?
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| wrong())
    }

    fn cipher(&self) -> Result<Aes256Gcm> {
        Aes256Gcm::new_from_slice(&self.sealing)
            .map_err(|_| Error::Internal("the key has the wrong length".to_owned()))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(********)")
    }
}

fn derive(secret_key: &str, purpose: &str) -> [u8; 32] {
    // HMAC takes a key of any length, so this cannot fail; the fallback would only be another key.
    match <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(secret_key.as_bytes()) {
        Ok(mut mac) => {
            mac.update(b"tollbook ");
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes().into()
        }
        Err(_) => digest(secret_key.as_bytes()),
    }
}

/// SHA-256: what is kept of a token.
pub(crate) fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Internal(format!("the system gives no randomness: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_context() {
        let secrets = Secrets::new("0123456789abcdef0123456789abcdef");
        let sealed = secrets.seal(b"sid and token", b"integration 1").unwrap();
        assert_eq!(
            secrets.open(&sealed, b"integration 1").unwrap(),
            b"sid and token"
        );
        assert!(secrets.open(&sealed, b"integration 2").is_err());
        assert!(
            Secrets::new("another")
                .open(&sealed, b"integration 1")
                .is_err()
        );
        assert!(secrets.open(&[], b"").is_err());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(secrets.open(&bent, b"integration 1").is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let secrets = Secrets::new("key");
        assert_ne!(
            secrets.seal(b"x", b"").unwrap(),
            secrets.seal(b"x", b"").unwrap()
        );
    }
}
