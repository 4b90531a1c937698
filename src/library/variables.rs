//! What an app keeps in a [`Session`]: any value that serde knows, by name.

use serde::{Serialize, de::DeserializeOwned};

use super::Session;
use crate::{
    http::{Code, HttpError},
    model::VariableRefused,
    session::Error,
};

/// Why a session variable could not be read or changed. Nothing was changed.
///
/// In a handler that answers [`HttpError`] or [`poem::Error`], `?` makes a 500 of what is the app's
/// own mistake, with the reason in the log.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// The session has ended, or the store failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It is too much.
    #[error(transparent)]
    Refused(VariableRefused),
    /// The value cannot be written as JSON, or what was kept is not of the type that was asked for.
    #[error("the session variable does not fit its type: {0}")]
    Unfit(serde_json::Error),
}

impl From<Error> for VariableError {
    fn from(error: Error) -> Self {
        match error {
            Error::VariableRefused(refused) => Self::Refused(refused),
            error => Self::Http(error.into()),
        }
    }
}

impl From<VariableError> for HttpError {
    fn from(error: VariableError) -> Self {
        match error {
            VariableError::Http(error) => error,
            // Not serde's words: they may repeat the value.
            VariableError::Unfit(_) => {
                Self::caused_by(Code::Internal, &"a session variable does not fit its type")
            }
            VariableError::Refused(refused) => Self::caused_by(Code::Internal, &refused),
        }
    }
}

impl From<VariableError> for poem::Error {
    fn from(error: VariableError) -> Self {
        HttpError::from(error).into()
    }
}

impl Session {
    /// The value of a variable; `None` when it was not set. It is kept as JSON.
    ///
    /// # Errors
    /// [`VariableError::Unfit`] when it is not a `T`; [`VariableError::Http`] when the session has
    /// ended since the request came, or the store fails.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Session, library::VariableError};
    /// # async fn handler(session: Session) -> Result<(), VariableError> {
    /// let cart: Vec<u64> = session.get("cart").await?.unwrap_or_default();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, VariableError> {
        let variables = self.sessions().variables(self.who()).await?;
        let value = variables.get(name).map(serde_json::from_slice).transpose();
        value.map_err(VariableError::Unfit)
    }

    /// Sets a variable, on the disk when this returns. It stays until it is removed or the session
    /// ends, and goes along when the password is shown again.
    ///
    /// Two requests that set different variables at the same time both win; of two that set the same
    /// one, the later does. To add to what is there is not one step: get, and then set.
    ///
    /// # Errors
    /// [`VariableError::Refused`] when it is too much (a name has 1 to 64 bytes, a value at most 4
    /// KiB, a session at most 64 variables and 16 KiB): what belongs to the account is better kept
    /// in a database of the app's own. [`VariableError::Unfit`] when it has no form in JSON;
    /// [`VariableError::Http`] when the session has ended since the request came, or the store
    /// fails.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Session, library::VariableError};
    /// # async fn handler(session: Session) -> Result<(), VariableError> {
    /// session.set("cart", &[7, 12]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<(), VariableError> {
        let value = serde_json::to_vec(value).map_err(VariableError::Unfit)?;
        self.sessions().change_variable(self.who(), name, Some(value)).await?;
        Ok(())
    }

    /// Removes a variable. Returns whether it was there.
    ///
    /// # Errors
    /// [`VariableError::Http`] when the session has ended since the request came, or the store
    /// fails.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Session, library::VariableError};
    /// # async fn handler(session: Session) -> Result<(), VariableError> {
    /// let was_there = session.remove("cart").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn remove(&self, name: &str) -> Result<bool, VariableError> {
        Ok(self.sessions().change_variable(self.who(), name, None).await?)
    }
}
