//! A backup of the store, made while it is in use.

use super::{Result, Sessions, events::Event};
use crate::{
    model::{AuditKind, By},
    store::{
        Export,
        backup::{Encoder, Entry, Header},
    },
};

/// A backup on its way out. It shows the moment at which it was begun, whatever changes meanwhile.
pub struct Backup {
    export: Box<dyn Export>,
    /// `None` once its end was handed out.
    encoder: Option<Encoder>,
    /// What is ready.
    out: Vec<u8>,
}

impl Sessions {
    /// Begins a backup of accounts, sessions and audit events. Signing keys are not in it: they are
    /// not in the store.
    ///
    /// That it was begun is written down, but a disk on which nothing can be is a reason to save what
    /// is on it, and none to refuse that: then the log alone says it.
    ///
    /// # Errors
    /// [`Error::Store`](super::Error::Store)
    pub async fn backup(&self, by: &By) -> Result<Backup> {
        let header =
            Header { created_at: self.clock.now(), program: env!("CARGO_PKG_VERSION").to_owned() };
        let event = self.cause(AuditKind::BackupBegun, *by).about_nobody();
        if let Err(error) = self.store.write_event(event).await {
            tracing::warn!(event = "audit_failed", %error, "a backup is not among the audit events");
        }
        let export = self.store.export().await?;
        Event::Happened(event).record();
        let mut out = Vec::new();
        let encoder = Some(Encoder::begin(&header, &mut out));
        Ok(Backup { export, encoder, out })
    }
}

impl Backup {
    /// The next bytes of it; `None` after its end. After an error what was handed out is none.
    ///
    /// # Errors
    /// [`Error::Store`](super::Error::Store)
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        while self.out.is_empty() {
            let Some(mut encoder) = self.encoder.take() else {
                return Ok(None);
            };
            if let Some(records) = self.export.next().await? {
                for record in records {
                    encoder.add(&Entry::Record(record), &mut self.out);
                }
                self.encoder = Some(encoder);
            } else {
                encoder.finish(&mut self.out);
            }
        }
        Ok(Some(std::mem::take(&mut self.out)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        model::By,
        session::testing::Fixture,
        store::backup::{Counts, Decoder, Item},
    };

    #[tokio::test]
    async fn a_backup_tells_what_it_is_and_is_whole() {
        let fixture = Fixture::new();
        fixture.signed_up("ann@example.com").await;
        fixture.logged_in("ann@example.com").await;
        let mut backup = fixture.sessions.backup(&By::COMMAND_LINE).await.unwrap();
        let mut decoder = Decoder::new();
        let mut header = None;
        while let Some(chunk) = backup.chunk().await.unwrap() {
            assert!(!chunk.is_empty());
            decoder.feed(&chunk);
            while let Some(item) = decoder.read().unwrap() {
                if let Item::Header(found) = item {
                    header = Some(found);
                }
            }
        }
        assert_eq!(backup.chunk().await.unwrap(), None, "it stays at its end");
        let counts = decoder.finish().unwrap();
        assert_eq!(counts, Counts { accounts: 1, sessions: 2, keys: 0, entries: 5 });
        let header = header.unwrap();
        assert_eq!(header.created_at.as_millisecond(), 1_790_000_000_000);
        assert_eq!(header.program, env!("CARGO_PKG_VERSION"));
    }
}
