//! With the client that progenitor generates: see tests/clients/rust.

use std::env::var;

use countersign_client::{Client, types::*};
use reqwest::header::{AUTHORIZATION, HeaderMap};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (url, email) = (var("BASE_URL")?, var("EMAIL")?.parse()?);
    let (password, transport) = (var("PASSWORD")?, TokenTransport::Bearer);
    let credentials = Credentials { email, password, remember: false, transport };
    let session = Client::new(&url).log_in(&credentials).await?;

    let token = session.token.as_deref().unwrap_or_default();
    let bearer = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse()?)]);
    let http = reqwest::Client::builder().default_headers(bearer).build()?;
    let client = Client::new_with_client(&url, http);
    println!("visit number {}", client.count_visit().await?.visits);
    client.log_out().await?;
    Ok(())
}
