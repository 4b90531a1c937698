//! Records of a backup, taken in as they are.

use super::{pages, save_account, variables};
use crate::store::{
    Result,
    backup::BackupRecord,
    records::{self, AccountRecord, SessionRecord},
    view::Write,
};

pub(in crate::store) fn import(w: &mut dyn Write, imported: Vec<BackupRecord>) -> Result<()> {
    for record in imported {
        match record {
            BackupRecord::Account { account, ended_visits } => {
                let email = records::email_key(&account.email);
                let id = records::account_key(account.id);
                if w.get(&email)?.is_some() || w.get(&id)?.is_some() {
                    return Err(records::damaged("account", "it is there already"));
                }
                w.put(email, records::encode_account_id(account.id));
                save_account(w, &AccountRecord { account, ended_visits })?;
            }
            BackupRecord::Session { session, epoch } => {
                if pages::find(w, session.account, session.id)?.is_some() {
                    return Err(records::damaged("session", "it is there already"));
                }
                pages::insert(w, &SessionRecord { session, epoch })?;
            }
            BackupRecord::Variables { account, session, variables } => {
                variables::import(w, account, session, &variables)?;
            }
            BackupRecord::Epoch(epoch) => {
                if w.get(records::EPOCH)?.is_some() {
                    return Err(records::damaged("epoch", "it is there already"));
                }
                w.put(records::EPOCH.to_vec(), records::encode_epoch(epoch));
            }
        }
    }
    Ok(())
}
