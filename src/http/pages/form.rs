//! What a browser posts: `application/x-www-form-urlencoded`, read strictly.
//!
//! The usual parsers replace what is not UTF-8 by U+FFFD, and of a field that comes twice they
//! take one: two different passwords could then be the same. Here both are refused.

use percent_encoding::percent_decode;
use poem::{FromRequest, Request, RequestBody};
use zeroize::Zeroizing;

use crate::{
    http::{Code, HttpError, Site, credential::user_agent, limits},
    model::{Password, email::MAX_EMAIL_BYTES},
    session::{Credential, LogIn},
};

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of the log-in and sign-up forms. One that did not come is empty.
#[derive(Debug)]
pub(super) struct Form {
    /// What was typed as the e-mail, unchecked.
    pub(super) email: String,
    /// The password, as it was typed.
    pub(super) password: Password,
    /// Whether "keep me logged in" was ticked.
    pub(super) remember: bool,
}

/// The fields of the account page's forms. One that did not come is empty.
#[derive(Debug)]
pub(in crate::http) struct AccountForm {
    /// The password until now, as it was typed.
    pub(super) current: Password,
    /// The password from now on.
    pub(super) new: Password,
    /// What was typed as the e-mail, unchecked.
    pub(super) email: String,
    /// Which session is meant.
    pub(super) session: String,
}

/// What was posted. That it is no form is the handler's to answer: a script is answered otherwise
/// than a browser.
pub(super) struct Posted(pub(super) Result<Form, HttpError>);

impl<'a> FromRequest<'a> for Posted {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(Form::read(request, body).await))
    }
}

impl<'a> FromRequest<'a> for AccountForm {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::parse(&read(request, body).await?)?)
    }
}

impl AccountForm {
    fn parse(body: &[u8]) -> Result<Self, HttpError> {
        let names = [&["current"], &["new"], &["email"], &["session"]];
        let [current, new, email, session] = fields(body, names.map(|names| &names[..]))?;
        let (current, new) = (Password::new(current), Password::new(new));
        Ok(Self { current, new, email, session })
    }

    /// The e-mail to be shown in the form again.
    pub(super) fn echoed_email(&self) -> &str {
        echoed(&self.email)
    }
}

impl Form {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, HttpError> {
        Self::parse(&read(request, body).await?)
    }

    fn parse(body: &[u8]) -> Result<Self, HttpError> {
        // The tutorial's own front end says `pass`.
        let names: [&[&str]; 3] = [&["email"], &["password", "pass"], &["remember"]];
        let [email, password, remember] = fields(body, names)?;
        let remember = matches!(&*remember, "on" | "true" | "1");
        Ok(Self { email, password: Password::new(password), remember })
    }

    /// The e-mail to be shown in the form again.
    pub(super) fn echoed_email(&self) -> &str {
        echoed(&self.email)
    }

    /// How the session that the form asks for is to be opened.
    pub(super) fn log_in(
        &self,
        site: &Site,
        request: &Request,
        replaces: Option<Credential>,
    ) -> LogIn {
        LogIn {
            remember: self.remember,
            user_agent: user_agent(request),
            from: site.client(request),
            device: site.cookie.find_device(request.headers()),
            replaces,
            ..LogIn::default()
        }
    }
}

/// The bytes of a form.
pub(in crate::http) async fn read(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    if !limits::is_of_type(request, MEDIA_TYPE) {
        return Err(Code::UnsupportedMediaType.into());
    }
    Ok(Zeroizing::new(limits::read(body).await?))
}

/// Reads the fields of these names, each of which may have several. Others are ignored: a browser
/// also sends the name of the button that was pressed.
pub(in crate::http) fn fields<const N: usize>(
    body: &[u8],
    names: [&[&str]; N],
) -> Result<[String; N], HttpError> {
    let mut values = [const { None }; N];
    for field in body.split(|byte| *byte == b'&') {
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        let mut half = || decoded(halves.next().unwrap_or_default());
        let (name, value) = (half()?, half()?);
        let Some(place) = names.iter().position(|names| names.contains(&name.as_str())) else {
            continue;
        };
        if values[place].replace(value).is_some() {
            return Err(Code::MalformedForm.into());
        }
    }
    Ok(values.map(Option::unwrap_or_default))
}

/// What was typed as an e-mail, no longer than an address can be.
fn echoed(email: &str) -> &str {
    let mut end = email.len().min(MAX_EMAIL_BYTES);
    while !email.is_char_boundary(end) {
        end -= 1;
    }
    &email[..end]
}

fn decoded(text: &[u8]) -> Result<String, HttpError> {
    let spaced: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect());
    let bytes = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map_err(|_| Code::MalformedForm.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> (String, String, bool) {
        let form = Form::parse(body.as_bytes()).unwrap();
        (form.email, form.password.expose().to_owned(), form.remember)
    }

    fn fields(email: &str, password: &str, remember: bool) -> (String, String, bool) {
        (email.into(), password.into(), remember)
    }

    #[test]
    fn fields_are_taken_as_they_were_typed() {
        assert_eq!(
            parsed("email=ann%40example.com&password=+a%2Bb%26c%3D%25+%C3%BC+&remember=on"),
            fields("ann@example.com", " a+b&c=% ü ", true)
        );
        assert_eq!(parsed("pass=x=y&go=Log+in"), fields("", "x=y", false));
        assert_eq!(parsed(""), fields("", "", false));
        assert_eq!(parsed("&&email&=x"), fields("", "", false));
    }

    #[test]
    fn only_a_tick_is_a_tick() {
        for (value, ticked) in [("on", true), ("true", true), ("1", true), ("off", false)] {
            assert_eq!(parsed(&format!("remember={value}")).2, ticked, "{value}");
        }
        assert!(!parsed("remember=").2);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            "email=a&email=b",
            "email=a&email=a",
            "password=a&password=b",
            "password=a&pass=a",
            "%65mail=a&email=b",
            "email=%ff",
            "password=%C3",
            "%ff=x",
        ] {
            let refused = Form::parse(body.as_bytes()).map_err(|error| error.code);
            assert_eq!(refused.err(), Some(Code::MalformedForm), "{body}");
        }
        let raw = Form::parse(b"password=\xff").map_err(|error| error.code);
        assert_eq!(raw.err(), Some(Code::MalformedForm));
    }

    #[test]
    fn an_echo_is_no_longer_than_an_address() {
        let long = Form::parse(format!("email=x{}", "é".repeat(200)).as_bytes()).unwrap();
        assert_eq!(long.echoed_email(), format!("x{}", "é".repeat(126)));
        let short = Form::parse(b"email=ann").unwrap();
        assert_eq!(short.echoed_email(), "ann");
    }

    #[test]
    fn a_form_does_not_print_its_password() {
        let form = Form::parse(b"password=sesame").unwrap();
        assert!(!format!("{form:?}").contains("sesame"));
        let form = AccountForm::parse(b"current=sesame&new=open+sesame").unwrap();
        assert!(!format!("{form:?}").contains("sesame"));
    }

    #[test]
    fn the_forms_of_the_account_are_read_as_strictly() {
        let form = AccountForm::parse(b"current=+a%26&new=b&email=c%40d&session=e&x=y").unwrap();
        assert_eq!((form.current.expose(), form.new.expose()), (" a&", "b"));
        assert_eq!((form.email.as_str(), form.session.as_str()), ("c@d", "e"));
        for body in ["current=a&current=a", "new=a&%6eew=b", "email=%ff", "session=a&session=b"] {
            let refused = AccountForm::parse(body.as_bytes()).map_err(|error| error.code);
            assert_eq!(refused.err(), Some(Code::MalformedForm), "{body}");
        }
    }
}
