//! Keys that leave this process are sealed: whoever reads them where they are kept can neither sign
//! with them nor change them unnoticed.
//!
//! The secret of the operator gives a key for AES-256-GCM (HKDF-SHA256, RFC 5869). What is sealed
//! names whose it is, so that what was sealed as one key is not taken for another, nor what was sealed
//! in one kind of store for another's: a store on one Redis and one in a cluster are told apart, two
//! servers are not. That is for the operator to do, who gives each service a secret of its own. In
//! text it is `v1.NAME.NONCE.SEALED`, each but the first in
//! base64url. NAME follows from the secret, one way: it tells a wrong secret from damage.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::KeyError;

/// The format.
const VERSION: &str = "v1";

/// The fewest characters of a secret.
pub const LEAST_SECRET: usize = 32;

/// What a random secret has, in bytes.
const RANDOM_BYTES: usize = 32;

/// Seals keys and opens them again.
pub struct Seal {
    key: RandomizedNonceKey,
    /// What the secret is called.
    name: String,
    /// What the store that they are kept in calls itself.
    store: String,
}

/// A secret that may be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has fewer than {LEAST_SECRET} characters")]
pub struct ShortSecret;

impl Seal {
    /// With the operator's secret, for the keys in `store`. White space around the secret does not
    /// count: a file ends in a line break.
    ///
    /// It is not stretched as a password is: it has to be random.
    ///
    /// # Errors
    /// [`ShortSecret`]
    ///
    /// # Panics
    /// Never: the lengths are those of the algorithms.
    pub fn new(secret: &str, store: &str) -> Result<Self, ShortSecret> {
        let secret = secret.trim();
        if secret.chars().count() < LEAST_SECRET {
            return Err(ShortSecret);
        }
        let root = Salt::new(HKDF_SHA256, &[]).extract(secret.as_bytes());
        let key: Zeroizing<[u8; 32]> = derived(&root, b"countersign: seal of signing keys, v1");
        let name: Zeroizing<[u8; 9]> = derived(&root, b"countersign: name of the secret, v1");
        Ok(Self {
            key: RandomizedNonceKey::new(&AES_256_GCM, key.as_ref())
                .expect("the key has the length of the algorithm"),
            name: URL_SAFE_NO_PAD.encode(name.as_ref()),
            store: store.to_owned(),
        })
    }

    /// Seals what is kept of the key `kid`.
    pub(super) fn seal(&self, kid: &str, content: &[u8]) -> Result<String, KeyError> {
        let mut sealed = content.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(self.whose(kid), &mut sealed)
            .map_err(|Unspecified| KeyError::Sealing)?;
        let (nonce, sealed) =
            (URL_SAFE_NO_PAD.encode(nonce.as_ref()), URL_SAFE_NO_PAD.encode(sealed));
        Ok(format!("{VERSION}.{}.{nonce}.{sealed}", self.name))
    }

    /// Opens what was sealed as the key `kid`.
    ///
    /// # Errors
    /// [`KeyError::Secret`], [`KeyError::Sealed`].
    pub(super) fn open(&self, kid: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let damaged = || KeyError::Sealed { kid: kid.to_owned() };
        let parts: Vec<_> = sealed.split('.').collect();
        let [VERSION, name, nonce, sealed] = parts[..] else {
            return Err(damaged());
        };
        if name != self.name {
            return Err(KeyError::Secret);
        }
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| damaged());
        let nonce = Nonce::try_assume_unique_for_key(&bytes(nonce)?).map_err(|_| damaged())?;
        let mut content = Zeroizing::new(bytes(sealed)?);
        let opened = self.key.open_in_place(nonce, self.whose(kid), &mut content);
        let length = opened.map_err(|Unspecified| damaged())?.len();
        content.truncate(length);
        Ok(content)
    }

    /// What a key is bound to. No store's name has a zero byte.
    fn whose(&self, kid: &str) -> Aad<Vec<u8>> {
        Aad::from([VERSION, &self.store, kid].join("\0").into_bytes())
    }
}

/// A new random secret, for an operator who needs one.
///
/// # Errors
/// [`KeyError::Sealing`]: the system has no randomness.
pub fn random_secret() -> Result<Zeroizing<String>, KeyError> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|Unspecified| KeyError::Sealing)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derived<const N: usize>(root: &Prk, info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    root.expand(&[info], Length(N))
        .and_then(|derived| derived.fill(bytes.as_mut()))
        .expect("it is shorter than what HKDF can give");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of thirty-two letters, and more";

    fn seal(secret: &str, store: &str) -> Seal {
        Seal::new(secret, store).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_with_the_secret_alone() {
        let one = seal(SECRET, "store");
        let sealed = one.seal("kid", b"the key").unwrap();
        assert_ne!(sealed, one.seal("kid", b"the key").unwrap(), "each has a nonce of its own");
        let same = seal(&format!(" {SECRET}\n"), "store");
        assert_eq!(same.open("kid", &sealed).unwrap().as_slice(), b"the key");
        let other = seal("another secret of thirty-two letters", "store");
        assert!(matches!(other.open("kid", &sealed), Err(KeyError::Secret)));
        for part in sealed.split('.') {
            assert!(!SECRET.contains(part));
        }
    }

    #[test]
    fn it_belongs_to_one_key_of_one_store() {
        let sealed = seal(SECRET, "store").seal("kid", b"the key").unwrap();
        let error = seal(SECRET, "store").open("dik", &sealed).err().unwrap();
        assert!(matches!(&error, KeyError::Sealed { kid } if kid == "dik"), "{error}");
        let error = seal(SECRET, "other").open("kid", &sealed).err().unwrap();
        assert!(matches!(error, KeyError::Sealed { .. }), "{error}");
    }

    #[test]
    fn every_letter_counts() {
        let seal = seal(SECRET, "store");
        let sealed = seal.seal("kid", b"the key").unwrap();
        for place in 0..sealed.len() {
            let mut touched = sealed.clone().into_bytes();
            touched[place] = if touched[place] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert!(seal.open("kid", &touched).is_err(), "{place}");
            assert!(seal.open("kid", &sealed[..place]).is_err(), "{place}");
        }
        assert!(seal.open("kid", &format!("{sealed}.")).is_err());
    }

    #[test]
    fn a_short_secret_is_none() {
        for short in ["", " ", &"x".repeat(31), &format!("{}\n \t", "x".repeat(31))] {
            assert!(matches!(Seal::new(short, "store"), Err(ShortSecret)));
        }
        assert!(Seal::new(&"é".repeat(32), "store").is_ok());
        let secrets = [random_secret().unwrap(), random_secret().unwrap()];
        assert_ne!(secrets[0], secrets[1]);
        assert!(secrets.iter().all(|secret| Seal::new(secret, "store").is_ok()));
    }
}
