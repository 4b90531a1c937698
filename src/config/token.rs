//! `[token]`

use serde::{Deserialize, Serialize};

use crate::token::{Algorithm, ClaimSet};

/// What tokens say, how they are signed, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSection {
    /// What new tokens are signed with: `EdDSA` (Ed25519), `ES256`, or `HS256` for a service that
    /// nobody else verifies tokens of. Older keys verify until their last token is over.
    pub algorithm: Algorithm,
    /// What new tokens say of the person: `full` (their e-mail address and the number of visits,
    /// readable by whoever holds the token) or `opaque` (neither). Older tokens stay good.
    pub claims: ClaimSet,
    /// The `iss` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The `aud` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}
