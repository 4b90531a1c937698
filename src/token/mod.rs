//! The token layer.
use crate::model::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::path::Path;
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: AccountId,
    pub sid: SessionId,
    pub jti: TokenId,
    pub email: Email,
    pub visits: u64,
    pub prev: u64,
    pub iat: i64,
    pub exp: i64,
    pub auth_time: i64,
}
impl Claims {
    pub fn presented(&self) -> Presented {
        todo!()
    }
    pub fn expires_at(&self) -> Timestamp {
        todo!()
    }
    pub fn issued_at(&self) -> Timestamp {
        todo!()
    }
}
pub struct Grant<'a> {
    pub account: AccountId,
    pub session: SessionId,
    pub email: &'a Email,
    pub visits: u64,
    pub prev: u64,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub authenticated_at: Timestamp,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "HS256")]
    Hs256,
}
pub struct Tokens;
impl Tokens {
    pub fn new(_keys: KeySet, _issuer: String, _audience: String) -> Self {
        todo!()
    }
    pub fn issue(&self, _grant: &Grant<'_>) -> Result<String, SigningFailed> {
        todo!()
    }
    pub fn verify(&self, _token: &str, _now: Timestamp) -> Result<Claims, Defect> {
        todo!()
    }
    pub fn self_test(&self, _now: Timestamp) -> Result<(), KeyError> {
        todo!()
    }
    pub fn jwks(&self) -> serde_json::Value {
        todo!()
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("x")]
    X,
}
impl Defect {
    pub fn code(self) -> &'static str {
        "x"
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SigningFailed;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct KeyError;
pub struct KeySet;
impl KeySet {
    pub fn open(
        _dir: &Path,
        _algorithm: Algorithm,
        _now: Timestamp,
        _longest_token: SignedDuration,
    ) -> Result<KeySet, KeyError> {
        todo!()
    }
    pub fn generate(_algorithm: Algorithm, _now: Timestamp) -> KeySet {
        todo!()
    }
    pub fn list(&self) -> Vec<KeyInfo> {
        todo!()
    }
}
pub fn list_keys(_dir: &Path) -> Result<Vec<KeyInfo>, KeyError> {
    todo!()
}
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    pub kid: String,
    pub algorithm: Algorithm,
    pub created_at: Timestamp,
    pub status: KeyStatus,
}
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum KeyStatus {
    Signing,
    Verifying { until: Timestamp },
    Expired,
}
