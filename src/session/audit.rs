//! What happened, as it was written down together with what it is about.

use super::{Result, Sessions};
use crate::store::{AuditFilter, AuditPage, AuditPlace};

impl Sessions {
    /// At most `limit` audit events of `filter` that are not over, the newest first, from those
    /// before `before` on. A page may be short, or empty, and not the last.
    ///
    /// # Errors
    /// [`Error::Store`](super::Error::Store)
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage> {
        Ok(self.store.audit_events(filter, before, limit, self.clock.now()).await?)
    }
}
