//! What can be wrong with a token, with a key, or with the files that keep keys.

use std::path::{Path, PathBuf};

use crate::model::Timestamp;

/// Why a text was not accepted as a token. For logs and metrics only: a client is told nothing
/// about it (ASVS 16.5.1), and nothing of the token's content is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Defect {
    /// Longer than any token can be.
    #[error("the token is too long")]
    TooLong,
    /// A character that is neither base64url nor a dot.
    #[error("the token has characters that no token has")]
    Alphabet,
    /// Not three parts, or a part that is not canonical base64url.
    #[error("the token is not a JWS in compact form")]
    Shape,
    /// The header is not a JSON object of the members that are known, each at most once.
    #[error("the token's header is not one of ours")]
    Header,
    /// The header's `typ` is another one's.
    #[error("the token is of another type")]
    Type,
    /// No key goes by the header's `kid`, or it is no longer good.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The header's `alg` is not the key's.
    #[error("the token's algorithm is not its key's")]
    Algorithm,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    Signature,
    /// A claim is missing, unknown, given twice, of a wrong type, or at odds with another.
    #[error("the token's claims are not what they must be")]
    Claims,
    /// Signed by another service.
    #[error("the token is of another issuer")]
    Issuer,
    /// Meant for another service.
    #[error("the token is for another audience")]
    Audience,
    /// Signed in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
}

impl Defect {
    /// The stable short name, for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Alphabet => "alphabet",
            Self::Shape => "shape",
            Self::Header => "header",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

/// Why a token could not be signed. Nothing was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFailed {
    /// It would not fit into a cookie: the issuer or the audience is far too long.
    #[error("the token would not fit into a cookie: shorten the public URL")]
    TooLong,
    /// The cryptographic library failed.
    #[error("the signature could not be made")]
    Crypto,
}

/// Why a JSON Web Key is not used. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyDefect {
    /// Not a JSON object with a `kty`, or a member is of a wrong type or there twice.
    #[error("it is not a JSON Web Key")]
    Malformed,
    /// For an algorithm or a curve that is not offered.
    #[error("its algorithm is not offered")]
    NotOffered,
    /// `kty`, `crv`, `alg` and the other members do not belong together.
    #[error("its members contradict each other")]
    Contradiction,
    /// `use` or `key_ops` says that it is not for signatures.
    #[error("it is not meant for signatures")]
    Use,
    /// A member that this needs is missing.
    #[error("a member is missing")]
    Incomplete,
    /// A member is not canonical base64url of the length it must have.
    #[error("a member is not base64url of the right length")]
    Encoding,
    /// An HMAC secret of less than 32 bytes (RFC 7518 section 3.2).
    #[error("its secret is shorter than 32 bytes")]
    TooShort,
    /// Not a point on the curve, or not the public half of the private one.
    #[error("its parts do not form a key")]
    Inconsistent,
    /// `kid` is not the thumbprint (RFC 7638).
    #[error("its kid is not its thumbprint")]
    Kid,
    /// Kept without saying when it was made.
    #[error("it does not say when it was made")]
    Undated,
}

/// Why the keys cannot be used. Names the file and the cure, never what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A key that others can read is no secret, and a folder they can write to holds their keys.
    #[error(
        "{path} is open to other users (mode {mode:03o}): run `chmod {cure:03o} {path}`, and if \
         others could have read it, move the key away: a new one is made at the next start"
    )]
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// The permissions it has.
        mode: u32,
        /// The permissions it should have.
        cure: u32,
    },
    /// A file that should hold a key does not.
    #[error(
        "{path} does not hold a usable key: {defect}; restore it from a backup, or move it away: \
         the tokens it signed are refused then"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        defect: KeyDefect,
    },
    /// The keys in the store were sealed with another secret.
    #[error(
        "cannot open the signing keys in the store: the secret of `token.secret` or \
         `token.secret_file` is not the one with which they were sealed"
    )]
    Secret,
    /// What the store keeps as a key was not sealed as that one, or was changed since.
    #[error(
        "cannot open the signing key {kid} in the store: what is there is damaged, or was put there \
         as another key or in another kind of store; take it out of the store (docs/more-than-one-node.md, \
         Keys): the tokens it signed are refused then, until a backup that has it is restored"
    )]
    Sealed {
        /// What the store calls it.
        kid: String,
    },
    /// The system has no randomness, or the cryptographic library failed.
    #[error("cannot seal the signing keys")]
    Sealing,
    /// A backup has a key that is none.
    #[error("a key in the backup is not usable: {0}")]
    Copy(KeyDefect),
    /// A key that is to take over from another is not in force yet.
    #[error(
        "the signing key {kid} was announced and signs from {from:.0}: until then no other takes \
         over from it; nothing was changed"
    )]
    Announced {
        /// Its name.
        kid: String,
        /// From when it signs.
        from: Timestamp,
    },
    /// There is no key that another could take over from.
    #[error("there is no signing key yet: the first one is made when a server starts")]
    NoneYet,
    /// A server was asked for files that it does not have.
    #[error(
        "the signing keys of the server on this data directory are in its store: give this command \
         the configuration of the server"
    )]
    NoFiles,
    /// All keys are over.
    #[error("there is no signing key that is good")]
    None,
    /// Somebody else changes the keys all the time.
    #[error("the signing keys in the store are changed by others all the time: try again")]
    Contended,
    /// The system has no randomness, or the cryptographic library failed.
    #[error("cannot make a key for {algorithm}")]
    Generation {
        /// For which algorithm.
        algorithm: super::Algorithm,
    },
    /// A key signs what it does not verify, or what the second opinion does not accept.
    #[error(
        "the key {kid} failed its test: {what}; take it away, from the data directory or from Redis \
         (docs/more-than-one-node.md, Keys), and a new one is made"
    )]
    SelfTest {
        /// Which key.
        kid: String,
        /// What failed.
        what: &'static str,
    },
}

impl KeyError {
    pub(super) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), reason: error.to_string() }
    }
}
