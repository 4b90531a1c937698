//! Requests that no well-behaved client can send, byte for byte.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

use super::{Answer, in_time};

/// Sends the bytes, which must ask for `Connection: close`, and reads the answer. `None` when the
/// connection was closed without one.
pub(crate) async fn send(to: &Url, bytes: &[u8]) -> Option<Answer> {
    let address = (to.host_str().expect("a host").to_owned(), to.port().expect("a port"));
    in_time("a raw request", async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // A server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        parse(&read)
    })
    .await
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a header");
        headers.append(
            HeaderName::try_from(name).expect("a name"),
            HeaderValue::try_from(value.trim()).expect("a value"),
        );
    }
    let body = &bytes[end + 4..];
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    Some(Answer { status, headers, body: if is_chunked { unchunk(body) } else { body.to_vec() } })
}

fn unchunk(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&chunks[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend(&chunks[end + 2..end + 2 + size]);
        chunks = &chunks[end + 2 + size + 2..];
    }
}
