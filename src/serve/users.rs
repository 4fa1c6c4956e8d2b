//! Whom does the server let in, and what may they do?

use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::clients::unknown;

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ask.
    #[default]
    Reads,
    /// Ask, and change tables.
    Writes,
}

/// Those who are let in: whoever has the server's token, under any name.
pub(super) struct Users {
    token: [u8; 32],
    role: Role,
}

impl Users {
    pub(super) fn with(token: &str, role: Role) -> Self {
        Self { token: Sha256::digest(token.as_bytes()).into(), role }
    }

    /// What somebody may do who shows a name and a password.
    pub(super) fn check(&self, _user: &str, password: &str) -> Result<Role, Status> {
        match self.with_token(password) {
            Some((_, role)) => Ok(role),
            None => Err(unknown("the password is not the server's token")),
        }
    }

    /// Whose token it is. Hashes are compared, so that the time that it takes tells nothing.
    pub(super) fn with_token(&self, token: &str) -> Option<(&str, Role)> {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        (shown == self.token).then_some(("token", self.role))
    }
}
