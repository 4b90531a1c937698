//! `[token]`

use serde::{Deserialize, Serialize};

use crate::token::Algorithm;

/// How tokens are signed, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSection {
    /// What new tokens are signed with: `EdDSA` (Ed25519), `ES256`, or `HS256` for a service that
    /// nobody else verifies tokens of. Older keys verify until their last token is over.
    pub algorithm: Algorithm,
    /// The `iss` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The `aud` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}
