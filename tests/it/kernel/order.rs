//! What is answered was written and then synced before.

use std::{fs, path::Path};

use super::{strace, strace_works};
use crate::support::{PASSWORD, Process};

/// One call of the system, from its beginning to its end, each told by a line of the trace.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    /// Everything between the brackets. Texts are in hexadecimal.
    args: String,
    result: String,
    began: usize,
    ended: usize,
}

impl Call {
    fn is_on(&self, path: &str) -> bool {
        self.args.contains(&format!("<{}>", hex(path.as_bytes())))
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.args.contains(&hex(bytes))
    }

    fn is_sync(&self) -> bool {
        ["fsync", "fdatasync"].contains(&self.name.as_str()) && self.result == "0"
    }
}

/// As `strace -xx` writes it.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "\\x{byte:02x}").unwrap();
        hex
    })
}

/// The calls in a trace, in the order of their beginning. A call that was overtaken by another
/// thread's is told in two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let (thread, rest) = text.split_once(' ').expect("a thread");
        let rest = rest.trim_start();
        let result = rest.rsplit_once(" = ").map_or("", |(_, result)| result.trim());
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let at = open.iter().position(|(who, _)| *who == thread).expect("it began");
            let call = &mut calls[open.swap_remove(at).1];
            call.args.push_str(resumed);
            call.ended = line;
            result.clone_into(&mut call.result);
            continue;
        }
        let Some((name, args)) = rest.split_once('(') else { continue };
        if args.ends_with("<unfinished ...>") {
            open.push((thread, calls.len()));
        }
        calls.push(Call {
            name: name.to_owned(),
            args: args.to_owned(),
            result: result.to_owned(),
            began: line,
            ended: line,
        });
    }
    calls
}

/// Between the arrival of the request that begins with `request` and the answer that begins with
/// `answer`, something that has `fact` in it was written to one of `logs`, and then that was synced.
/// Returns where the answer is.
fn assert_synced_between(
    calls: &[Call],
    from: usize,
    (request, answer): (&str, &str),
    fact: &[u8],
    logs: &[String; 2],
) -> usize {
    let after = |line: usize, is: &dyn Fn(&Call) -> bool, what: &str| {
        let found = calls.iter().find(|call| call.began > line && is(call));
        found.unwrap_or_else(|| panic!("{request}: no {what} after line {line}")).clone()
    };
    // By whatever call: which one it is, is the server's choice.
    let receives = |call: &Call| call.name.starts_with("recv") || call.name.starts_with("read");
    let brings = |call: &Call| receives(call) && call.has(request.as_bytes());
    let arrived = after(from, &brings, "request");
    let sends = |call: &Call| call.name.starts_with("send") || call.name.starts_with("write");
    let sent = |call: &Call| sends(call) && call.has(answer.as_bytes());
    let answered = after(arrived.ended, &sent, "answer");
    let before = |line: usize, call: &Call| call.began > line && call.ended < answered.began;
    // There is no garbage to collect yet: whatever is written meanwhile belongs to this change.
    let mut carried = false;
    for log in logs {
        let writes: Vec<_> = calls
            .iter()
            .filter(|call| call.name == "pwrite64" && call.is_on(log))
            .filter(|call| before(arrived.ended, call))
            .collect();
        carried |= writes.iter().any(|call| call.has(fact));
        let Some(written) = writes.iter().map(|call| call.ended).max() else { continue };
        let synced = |call: &Call| call.is_sync() && call.is_on(log) && before(written, call);
        assert!(calls.iter().any(synced), "{request}: answered before the sync");
    }
    assert!(carried, "{request}: answered before it was written");
    answered.ended
}

fn traced(file: &Path) -> Vec<String> {
    let calls =
        "trace=pwrite64,fsync,fdatasync,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg";
    strace(&["-y", "-xx", "-s", "1000000", "-e", calls, "-o", file.to_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_was_written_and_then_synced() {
    if !strace_works() {
        return;
    }
    let mut server = Process::wrapped(|dir| traced(&dir.join("trace")));
    let (ann, bob) = (server.program(), server.program());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    // The last half of a session's id: what stands before it sled may keep in common for many.
    let sid = |sid: &str| uuid::Uuid::parse_str(sid).unwrap().as_bytes()[8..].to_vec();
    let (anns, bobs) = (sid(&ann.sid()), sid(&bob.sid()));
    ann.visit().await;
    bob.change_password(PASSWORD, "staple after staple").await.expect(200);
    bob.log_out().await.expect(204);
    ann.log_out().await.expect(204);
    let data = fs::canonicalize(server.data_dir()).unwrap();
    let trace = server.directory().join("trace");
    server.kill_hard();

    let calls = calls(&fs::read_to_string(trace).unwrap());
    let logs = ["db", "journal"].map(|name| format!("{}/store/{name}", data.display()));
    let listening =
        calls.iter().position(|call| call.name == "write" && call.has(b"listening on "));
    let (mut at, start) = (0, &calls[..listening.expect("the first line")]);
    // What of each commit can be told from all others, in the order in which they were asked for.
    for (asked, fact) in [
        (("POST /api/v1/accounts H", "HTTP/1.1 201"), b"ann@example.com".to_vec()),
        (("POST /api/v1/session HT", "HTTP/1.1 201"), anns.clone()),
        (("POST /api/v1/accounts H", "HTTP/1.1 201"), b"bob@example.com".to_vec()),
        (("POST /api/v1/session HT", "HTTP/1.1 201"), bobs),
        (("POST /api/v1/session/vis", "HTTP/1.1 200"), anns),
        (("PUT /api/v1/account/pas", "HTTP/1.1 200"), b"$argon2id$".to_vec()),
        // Of what is removed there may be nothing left in what is written.
        (("DELETE /api/v1/session ", "HTTP/1.1 204"), Vec::new()),
        (("DELETE /api/v1/session ", "HTTP/1.1 204"), Vec::new()),
    ] {
        at = assert_synced_between(&calls, at, asked, &fact, &logs);
    }
    // Before it listens, what the start made is on the disk: what is in it, and its name.
    for made in ["store/conf", "store", ""] {
        let path = data.join(made);
        let path = path.to_str().unwrap().trim_end_matches('/');
        let last = |is: &dyn Fn(&Call) -> bool| {
            start.iter().rposition(|call| is(call) && call.is_on(path))
        };
        let synced = last(&|call| call.is_sync());
        assert!(synced.is_some(), "{path} is not synced");
        assert!(synced > last(&|call| call.name == "write"), "{path} is written after its sync");
    }
    let above = data.parent().unwrap().to_str().unwrap();
    let named = start.iter().any(|call| call.is_sync() && call.is_on(above));
    assert!(named, "the data directory's own name is not synced");
}
