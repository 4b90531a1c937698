//! How commands are sent over the [link], and what is known when they are answered.
//!
//! A command is sent once. Whether one that got no answer was done, nobody knows, so it is never
//! sent again; the exceptions are a function that is not there, and a slot that is another node's: of
//! these nothing was done. Everything ends within twice the time that is given to Redis, what is sent
//! again as well, and what waits for replicas within thrice.
//!
//! **A replica answers no look-up.** A primary that is made a replica goes on with the connections that
//! it has, and answers what was true a moment ago: somebody may be logged out at the new one by then. It
//! refuses by itself only what may write. So behind the look-ups that are sent together goes a question
//! that a replica does not answer, and without its answer theirs are worth nothing. Functions that may
//! write would be refused, too, but also where a disk is full or too few replicas are there, and then
//! checks have to go on.

use ::redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout_at};

use super::{
    link::{self, Connected, Link, PAUSE, is_fatal, is_moved, is_unknown_function, timed_out},
    trust::still_primary,
};
use crate::store::Result;

/// What a command may lack, one after the other: the node that has its slot, and the library there.
const MOST_LACKED: usize = 2;

/// The function that writes something behind what ended sessions (`functions/ends.lua`).
pub(super) const MARK: &str = "mark_ends";

/// What was answered to one command.
type Answer = Result<Value, RedisError>;

impl Link {
    /// Sends commands together and waits for all their answers.
    pub(super) async fn ask_all(&self, commands: Pipeline) -> Vec<Result<Value>> {
        let end = Instant::now() + 2 * self.patience() + PAUSE;
        let (answers, _) = self.deliver(commands, end).await;
        let told = |answer: Answer| answer.map_err(|error| self.failed(&error));
        answers.into_iter().map(told).collect()
    }

    /// Sends a command that ends sessions, and waits until so many replicas have what it did, and what
    /// was done before it.
    ///
    /// `WAIT` tells how far replicas are with what its own connection wrote last, so all goes over one;
    /// it does nothing else there meanwhile, which is why these have a link of their own. And what found
    /// nothing to end wrote nothing: somebody else may have ended it just before, and no replica may
    /// have that. (For Redis 7.0 that did count; later ones answer at once.) So a [mark](MARK) is
    /// written behind it, always.
    pub(super) async fn ask_replicated(
        &self,
        command: &Cmd,
        mark: &Cmd,
        replicas: u64,
    ) -> Result<Value> {
        let end = Instant::now() + 3 * self.patience();
        let (answer, over) = self.deliver_one(command, end).await.map_err(|it| self.failed(&it))?;
        let mut wait = ::redis::cmd("WAIT");
        // Less than the connection waits for an answer.
        wait.arg(replicas).arg((self.patience() / 2).as_millis());
        let mut both = ::redis::pipe();
        both.add_command(mark.clone()).add_command(wait);
        let said = timeout_at(end, self.send_over(&over, &mut both)).await;
        let said = said.unwrap_or_else(|_| Err(timed_out()));
        // In the order in which they were sent.
        let said: Result<Vec<_>, _> = said.and_then(|said| said.into_iter().collect());
        match said.map_err(|error| self.failed(&error))?[..] {
            [_, Value::Int(have)] if u64::try_from(have).is_ok_and(|have| have >= replicas) => {
                Ok(answer)
            }
            [_, Value::Int(have)] => Err(self.unavailable(&format!(
                "{have} of {replicas} replicas have what was done: it may be lost"
            ))),
            _ => Err(self.unavailable("it does not tell what its replicas have")),
        }
    }

    async fn deliver_one(
        &self,
        command: &Cmd,
        end: Instant,
    ) -> Result<(Value, Connected), RedisError> {
        let mut one = Pipeline::with_capacity(1);
        one.add_command(command.clone());
        match self.deliver(one, end).await {
            (mut answers, Some(over)) if answers.len() == 1 => Ok((answers.remove(0)?, over)),
            (answers, _) => {
                Err(answers.into_iter().find_map(Result::err).unwrap_or_else(timed_out))
            }
        }
    }

    /// What there is of answers by `end`, and over which connection the last of them came.
    async fn deliver(
        &self,
        mut commands: Pipeline,
        end: Instant,
    ) -> (Vec<Answer>, Option<Connected>) {
        let (mut answers, mut over) = self.send_by(end, &mut commands).await;
        for _ in 0..MOST_LACKED {
            let is =
                |at: &usize, what: fn(&RedisError) -> bool| answers[*at].as_ref().is_err_and(what);
            let undone: Vec<_> = (0..answers.len()).filter(|at| is(at, is_undone)).collect();
            if undone.is_empty() {
                break;
            }
            if undone.iter().any(|at| is(at, is_moved)) {
                self.finder.forget();
            }
            // Redis was started anew without its library, or another one took its place.
            let lacks_library = undone.iter().any(|at| is(at, is_unknown_function));
            let mut again = ::redis::pipe();
            if lacks_library {
                again.add_command(link::load());
            }
            let all: Vec<_> = commands.cmd_iter().collect();
            for at in &undone {
                again.add_command(all[*at].clone());
            }
            let mut said;
            (said, over) = self.send_by(end, &mut again).await;
            if lacks_library {
                after_load(&mut said);
            }
            for (at, answer) in undone.into_iter().zip(said) {
                answers[at] = answer;
            }
        }
        (answers, over)
    }

    async fn send_by(
        &self,
        end: Instant,
        commands: &mut Pipeline,
    ) -> (Vec<Answer>, Option<Connected>) {
        let count = commands.cmd_iter().count();
        let sent = async {
            let over = self.connected().await?;
            Ok((self.send_over(&over, commands).await?, over))
        };
        match timeout_at(end, sent).await.unwrap_or_else(|_| Err(timed_out())) {
            Ok((answers, over)) => (answers, Some(over)),
            Err(error) => (vec![Err(error); count], None),
        }
    }

    /// Adds to commands that look something up what they need at their end.
    async fn send_over(
        &self,
        over: &Connected,
        commands: &mut Pipeline,
    ) -> Result<Vec<Answer>, RedisError> {
        let looks_up = commands.cmd_iter().any(is_look_up);
        if looks_up {
            commands.add_command(still_primary());
        }
        let mut connection = over.connection.clone();
        let count = commands.cmd_iter().count();
        let answers = connection.send_packed_commands(commands, 0, count).await;
        let mut answers = answers
            .map(|answers| answers.into_iter().map(Value::extract_error).collect::<Vec<_>>())
            .inspect_err(|error| self.give_up_if(is_fatal(error), over))?;
        if looks_up && let Some(Err(error)) = answers.pop() {
            self.give_up_if(true, over);
            return Err(if error.code() == Some("ERR") { a_replica() } else { error });
        }
        let is_over = answers.iter().any(|answer| answer.as_ref().is_err_and(is_fatal));
        self.give_up_if(is_over, over);
        Ok(answers)
    }
}

/// What came of loading the library stands before the answers of what lacked it.
fn after_load(answers: &mut Vec<Answer>) {
    match answers.remove(0) {
        Ok(_) => tracing::info!(event = "redis_library", "the library of functions was loaded"),
        Err(error) => {
            let lack_it =
                answers.iter_mut().filter(|it| it.as_ref().is_err_and(is_unknown_function));
            lack_it.for_each(|answer| *answer = Err(error.clone()));
        }
    }
}

fn a_replica() -> RedisError {
    (ErrorKind::Client, "it is a read-only replica").into()
}

/// Whether it is a call of a function that only reads.
fn is_look_up(command: &Cmd) -> bool {
    command.args_iter().next() == Some(Arg::Simple(b"FCALL_RO".as_slice()))
}

/// Whether nothing of it was done, for it lacked something.
fn is_undone(error: &RedisError) -> bool {
    is_moved(error) || is_unknown_function(error)
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::Arc, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::sleep,
    };

    use super::*;
    use crate::store::redis::{RedisServers, finder::Finder};

    /// A server that can be trusted, and answers each function after so long that it does not know it.
    async fn that_knows_no_function(after: Duration) -> u16 {
        const INFO: &str = "redis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n\
                            aof_enabled:1";
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut said = vec![0; 1 << 20];
                    while let Ok(count @ 1..) = stream.read(&mut said).await {
                        let mut answers = String::new();
                        for command in String::from_utf8_lossy(&said[..count]).split("\r\n*") {
                            if command.contains("FCALL") {
                                sleep(after).await;
                                answers += "-ERR Function not found\r\n";
                            } else if command.contains("$4\r\nINFO") {
                                write!(answers, "${}\r\n{INFO}\r\n", INFO.len()).unwrap();
                            } else if command.contains("WAIT") {
                                answers += ":0\r\n";
                            } else if command.contains('$') {
                                answers += "+OK\r\n";
                            }
                        }
                        stream.write_all(answers.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn what_is_sent_again_is_so_within_the_same_time() {
        let patience = Duration::from_secs(2);
        let port = that_knows_no_function(patience * 9 / 10).await;
        let url: url::Url = format!("redis://127.0.0.1:{port}").parse().unwrap();
        let finder = Finder::new(&RedisServers::from(&url), patience, true).unwrap();
        let link = Link::new(Arc::new(finder), "key");
        let mut commands = ::redis::pipe();
        commands.cmd("FCALL_RO").arg("what").cmd("PING");
        let started = Instant::now();
        let answers = link.ask_all(commands).await;
        let took = started.elapsed();
        assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
        assert!(took > patience, "it was sent again");
        assert!(took < 2 * patience + patience / 2, "{took:?}");
    }
}
