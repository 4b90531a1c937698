//! The story that every generated client tells: see ../../run.py.

use std::{env, error::Error as StdError};

use countersign_client::{
    Client, Error, ResponseValue,
    types::{Code, Credentials, Problem, SignUp, TokenTransport},
};
use reqwest::header::{AUTHORIZATION, HeaderMap};

type Done<T = ()> = Result<T, Box<dyn StdError>>;

/// Somebody who asks, with a bearer token or with a jar of cookies.
fn client(token: Option<&str>) -> Done<Client> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    let http = reqwest::Client::builder().default_headers(headers).cookie_store(true).build()?;
    Ok(Client::new_with_client(&env::var("BASE_URL")?, http))
}

async fn log_in(transport: TokenTransport) -> Done<Client> {
    let credentials = Credentials {
        email: env::var("EMAIL")?.parse()?,
        password: env::var("PASSWORD")?,
        remember: false,
        transport,
    };
    let browser = client(None)?;
    let session = browser.log_in(&credentials).await?;
    assert_eq!(session.status(), 201);
    assert_eq!(session.token.is_some(), transport == TokenTransport::Bearer);
    println!("logged in by {transport}");
    match &session.token {
        Some(token) => client(Some(token)),
        None => Ok(browser),
    }
}

async fn count_three(who: &Client) -> Done {
    let mut counted = [0; 3];
    for visits in &mut counted {
        *visits = who.count_visit().await?.visits;
    }
    assert_eq!(counted, [1, 2, 3]);
    println!("counted {}", counted.map(|visits| visits.to_string()).join(" "));
    Ok(())
}

fn refused<T>(answered: Result<ResponseValue<T>, Error<Problem>>, status: u16, code: Code) -> Done {
    let Err(Error::ErrorResponse(problem)) = answered else {
        return Err("it was not refused".into());
    };
    assert_eq!(problem.status(), status);
    assert_eq!((problem.status, problem.code), (status.into(), code));
    println!("refused with {code}");
    Ok(())
}

async fn log_out(who: &Client) -> Done {
    who.log_out().await?;
    println!("logged out");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let account = SignUp { email: env::var("EMAIL")?.parse()?, password: env::var("PASSWORD")? };
    let made = client(None)?.create_account(&account).await?;
    assert_eq!(made.email, *account.email);
    println!("signed up");
    refused(client(None)?.create_account(&account).await, 409, Code::EmailTaken)?;

    let program = log_in(TokenTransport::Bearer).await?;
    count_three(&program).await?;
    let browser = log_in(TokenTransport::Cookie).await?;
    count_three(&browser).await?;

    let sessions = program.list_sessions().await?;
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| !session.current).ok_or("no other session")?;
    println!("listed 2 sessions");
    program.end_session(&other.sid).await?;
    println!("ended the other one");
    refused(browser.get_session().await, 401, Code::NotSignedIn)?;

    log_out(&program).await?;
    refused(program.get_session().await, 401, Code::NotSignedIn)?;
    let browser = log_in(TokenTransport::Cookie).await?;
    log_out(&browser).await?;
    refused(browser.get_session().await, 401, Code::NotSignedIn)?;
    println!("done");
    Ok(())
}
