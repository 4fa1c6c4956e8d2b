//! Whom does the server let in, and what may they do?

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tonic::Status;

use super::clients::unknown;
use super::error::error_status;
use crate::lakehouse::{Lakehouse, Role, is_password_of};

/// Passwords that are looked at once: each takes time and memory, on purpose.
const AT_ONCE: usize = 2;

/// Those who are let in: the users of `elt.yml`, and whoever has the server's token, under any name.
pub(super) struct Users {
    lakehouse: Lakehouse,
    token: Option<[u8; 32]>,
    role: Role,
    looking: Semaphore,
}

impl Users {
    pub(super) fn with(lakehouse: Lakehouse, token: Option<&str>, role: Role) -> Self {
        let token = token.map(|token| Sha256::digest(token.as_bytes()).into());
        Self { lakehouse, token, role, looking: Semaphore::new(AT_ONCE) }
    }

    /// What somebody may do who shows a name and a password. The users are those of the file as it is now.
    pub(super) async fn check(&self, user: &str, password: &str) -> Result<Role, Status> {
        if let Some((_, role)) = self.with_token(password) {
            return Ok(role);
        }
        let users = self.lakehouse.users().map_err(|error| error_status(&error))?;
        let wrong = || unknown("the name or the password is wrong");
        let found = users.into_iter().find(|known| known.name == user).ok_or_else(wrong)?;
        let _turn = self.looking.acquire().await;
        let (role, password) = (found.role, password.to_owned());
        let fits = tokio::task::spawn_blocking(move || is_password_of(&found, &password)).await;
        if fits.unwrap_or(false) { Ok(role) } else { Err(wrong()) }
    }

    /// Whose token it is. Hashes are compared, so that the time that it takes tells nothing.
    pub(super) fn with_token(&self, token: &str) -> Option<(&str, Role)> {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        (Some(shown) == self.token).then_some(("token", self.role))
    }
}
