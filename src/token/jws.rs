//! JSON Web Signature in its compact form (RFC 7515 section 7.1), and nothing else of that RFC.
//!
//! A text becomes an [`Unverified`], whose payload cannot be had, and that becomes a payload by
//! [`Unverified::verify`] alone: nothing of a token is read before its signature is checked
//! (invariant 1). What is read earlier is the header, to find the key; the header never chooses
//! the algorithm.

use std::{fmt, ops::Range};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Defect, SigningFailed,
    signing::{SigningKey, VerifyingKey},
};

/// The longest text that is looked at, in bytes: what a browser keeps of a cookie at most (RFC 6265
/// section 6.1).
pub const MAX_BYTES: usize = 4096;

/// The header of a token. With any other member it is refused, known to the RFCs or not: `crit`
/// and `b64` change what is signed, `jwk`, `jku`, `x5u` and `x5c` bring keys along, `zip` and `cty`
/// change what is inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The algorithm it claims. Compared with the key's, never followed.
    pub alg: String,
    /// Which key signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What kind of token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
}

/// A token whose signature was not checked yet.
pub struct Unverified<'a> {
    header: Header,
    /// Header and payload as they were signed, `HEADER.PAYLOAD`.
    signed: &'a str,
    payload: Range<usize>,
    signature: Vec<u8>,
}

/// Splits a text into the parts of a token and reads its header.
///
/// # Errors
/// [`Defect::TooLong`], [`Defect::Alphabet`], [`Defect::Shape`], [`Defect::Header`], in this order:
/// no work is done on a text that can already be refused.
pub fn parse(text: &str) -> Result<Unverified<'_>, Defect> {
    if text.len() > MAX_BYTES {
        return Err(Defect::TooLong);
    }
    // Lenient decoders skip what they do not know, and then one token has many spellings.
    let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !text.bytes().all(is_known) {
        return Err(Defect::Alphabet);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(Defect::Shape)?;
    let (header, payload) = signed.split_once('.').ok_or(Defect::Shape)?;
    if payload.contains('.') {
        return Err(Defect::Shape);
    }
    let signature = decode(signature).ok_or(Defect::Shape)?;
    let payload = header.len() + 1..signed.len();
    let header = decode(header).ok_or(Defect::Shape)?;
    let header = read_object(&header).ok_or(Defect::Header)?;
    Ok(Unverified { header, signed, payload, signature })
}

impl Unverified<'_> {
    /// What it says of itself: good for finding its key, and for refusing it.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks the signature with `key`, by the one algorithm of that key (RFC 8725 section 3.1),
    /// and gives the payload.
    ///
    /// # Errors
    /// [`Defect::Algorithm`], [`Defect::Signature`], [`Defect::Shape`].
    pub fn verify(self, key: &VerifyingKey) -> Result<Vec<u8>, Defect> {
        if self.header.alg != key.algorithm().name() {
            return Err(Defect::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)?;
        decode(&self.signed[self.payload]).ok_or(Defect::Shape)
    }
}

/// Without what a thief could use.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Signs `payload` with `key`. `header` is the [encoded](encode_header) header that goes with it.
pub(super) fn sign(
    header: &str,
    payload: &[u8],
    key: &SigningKey,
) -> Result<String, SigningFailed> {
    let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 96);
    token.push_str(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// A header as the first part of a token.
pub(super) fn encode_header(header: &Header) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(header).expect("a struct of texts is JSON"))
}

/// Canonical base64url without padding (RFC 7515 section 2): of all the spellings, the one with
/// zeros in the unused bits.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Reads a JSON object, all of the text. An array is refused although serde would take its elements
/// for the members in their order.
pub(super) fn read_object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"k","typ":"session+jwt"}"#;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn defect(text: &str) -> Defect {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_token_has_three_parts() {
        let header = encode(HEADER);
        let token = parse(&format!("{header}.e30.e30")).map(|token| token.header().clone());
        assert_eq!(token.unwrap().kid.as_deref(), Some("k"));
        for text in [
            String::new(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}.e30.e30."),
            format!("{header}.e30.e30.e30"),
            format!("{header}.e30.e30.e30.e30"),
            format!(".{header}.e30.e30"),
        ] {
            assert_eq!(defect(&text), Defect::Shape, "{text}");
        }
        // An empty header is no object, an empty signature fits nothing: see `attacks`.
        assert_eq!(defect(".e30.e30"), Defect::Header);
        assert!(parse(&format!("{header}..")).is_ok());
    }

    #[test]
    fn a_token_has_one_spelling() {
        let header = encode(HEADER);
        for text in [
            format!("{header}.e30.e30="),
            format!("{header}.e30.e3+/"),
            format!("{header}.e30. e30"),
            format!("{header}.e30.e30\n"),
            format!("{header}%2Ee30%2Ee30"),
            format!("\"{header}.e30.e30\""),
            format!("{header}.e30.e30\0"),
            format!("\u{feff}{header}.e30.e30"),
            format!("{header}.e30.é"),
            r#"{"protected":"","payload":"","signature":""}"#.to_owned(),
        ] {
            assert_eq!(defect(&text), Defect::Alphabet, "{text}");
        }
        // The last character of a part has bits that no byte needs: only zeros are canonical.
        assert_eq!(defect(&format!("{header}.e30.AB")), Defect::Shape);
        assert_eq!(defect("e31.e30.e30"), Defect::Shape);
        assert_eq!(defect(&format!("{header}.e30.A")), Defect::Shape);
    }

    #[test]
    fn nothing_is_done_for_what_is_too_long() {
        let header = encode(HEADER);
        let fill = "A".repeat(MAX_BYTES - header.len() - "..AA".len());
        let longest = format!("{header}.{fill}.AA");
        assert_eq!(longest.len(), MAX_BYTES);
        assert!(parse(&longest).is_ok());
        assert_eq!(defect(&format!("{longest}A")), Defect::TooLong);
        assert_eq!(defect(&"[".repeat(1 << 20)), Defect::TooLong);
    }

    #[test]
    fn a_header_is_an_object_of_three_members_at_most() {
        let deep = format!(r#"{{"alg":{}"#, "[".repeat(2_000));
        for header in [
            "",
            "null",
            "{}",
            "foo",
            r#"["EdDSA","k","session+jwt"]"#,
            r#"{"kid":"k","typ":"session+jwt"}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","alg":"none"}"#,
            r#"{"alg":"EdDSA","kid":"a","kid":"b"}"#,
            r#"{"alg":"EdDSA","kid":1}"#,
            r#"{"alg":"EdDSA","typ":["session+jwt"]}"#,
            r#"{"alg":"EdDSA"}{}"#,
            r#"{"alg":"EdDSA"} x"#,
            r#"{"alg":"EdDSA",}"#,
            "\u{feff}{\"alg\":\"EdDSA\"}",
            r#"{"alg":"\ud800"}"#,
            &deep,
        ] {
            let text = format!("{}.e30.e30", encode(header));
            assert_eq!(defect(&text), Defect::Header, "{header}");
        }
        let invalid_utf8 = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"\xff\"}");
        assert_eq!(defect(&format!("{invalid_utf8}.e30.e30")), Defect::Header);
    }

    #[test]
    fn a_token_does_not_show_what_a_thief_could_use() {
        let text = format!("{}.e30.c2VjcmV0", encode(HEADER));
        let shown = format!("{:?}", parse(&text).unwrap());
        assert!(shown.contains("EdDSA"));
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("115"), "{shown}");
    }
}
