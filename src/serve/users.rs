//! Whom does the server let in, and what may they do?

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tonic::Status;

use super::clients::{locked, unknown};
use super::error::error_status;
use crate::base::{Grant, Privilege, Securable};
use crate::lakehouse::{
    Lakehouse, Rights, Role, RoleLimits, RoleRights, USERS_FILE, User, is_password_of, rights_of,
};

/// Characters of a name that whoever has the token gives themselves: releases and the log have it.
const LONGEST_NAME: usize = 128;

/// Passwords that are looked at once: each takes time and memory, on purpose.
const AT_ONCE: usize = 2;

/// What somebody may do, as `elt.yml` has it now.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Whether they may change tables at all.
    pub(super) role: Role,
    /// Which tables they read and change.
    pub(super) rights: Arc<Rights>,
    /// How much they may ask.
    pub(super) limits: RoleLimits,
}

/// By what somebody was let in. What they may do is looked up for every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The token of the server.
    Token,
    /// The password with this hash.
    Password(String),
}

/// Those who are let in: the users of `elt.yml`, and whoever has the server's token, under any name that is no user's.
pub(super) struct Users {
    lakehouse: Lakehouse,
    token: Option<[u8; 32]>,
    role: Role,
    /// How much a user may ask whose role says nothing of it.
    limits: RoleLimits,
    looking: Semaphore,
    read: Mutex<Option<(Mark, Arc<Roster>)>>,
}

/// By what it is seen that the file has changed.
type Mark = Option<(SystemTime, u64)>;

/// The users and roles of a file.
#[derive(Debug, Default)]
struct Roster {
    users: Vec<User>,
    roles: Vec<RoleRights>,
}

impl Users {
    pub(super) fn with(lakehouse: Lakehouse, token: Option<&str>, role: Role, limits: RoleLimits) -> Self {
        let token = token.map(|token| Sha256::digest(token.as_bytes()).into());
        Self { lakehouse, token, role, limits, looking: Semaphore::new(AT_ONCE), read: Mutex::default() }
    }

    /// By what somebody is let in who shows a name and a password.
    pub(super) async fn check(&self, user: &str, password: &str) -> Result<Pass, Status> {
        let roster = self.roster()?;
        let found = roster.users.iter().find(|known| known.name == user).cloned();
        if self.is_token(password) {
            return match found {
                // What a user did is told from what the holder of the token did.
                Some(_) => {
                    Err(unknown(&format!("the name `{user}` is a user's, and the token is not its password")))
                }
                None if user.chars().count() > LONGEST_NAME || user.contains(char::is_control) => {
                    Err(unknown("a name has at most 128 characters, and none that are not seen"))
                }
                None => Ok(Pass::Token),
            };
        }
        let wrong = || unknown("the name or the password is wrong");
        // Whether there is such a user is not to be seen by the time that it takes.
        let found = found.unwrap_or_else(|| User {
            name: String::new(),
            role: Role::Reads,
            named_role: None,
            password: NOBODY.to_owned(),
        });
        let _turn = self.looking.acquire().await;
        let (password, pass) = (password.to_owned(), Pass::Password(found.password.clone()));
        let fits =
            tokio::task::spawn_blocking(move || is_password_of(&found, &password) && !found.name.is_empty())
                .await;
        if fits.unwrap_or(false) { Ok(pass) } else { Err(wrong()) }
    }

    /// Whether a text is the token of the server. Hashes are compared, so that the time that it takes tells nothing.
    pub(super) fn is_token(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        Some(shown) == self.token
    }

    /// What somebody may do now who was let in.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`: they are no user any more, or have another password.
    pub(super) fn standing(&self, user: &str, pass: &Pass) -> Result<Standing, Status> {
        let Pass::Password(hash) = pass else { return Ok(self.holder(user)) };
        let roster = self.roster()?;
        let found = roster.users.iter().find(|known| known.name == user && known.password == *hash);
        let found = found
            .ok_or_else(|| unknown(&format!("`{user}` is no user any more, or has another password")))?;
        let rights = rights_of(found, &roster.roles).ok_or_else(|| {
            Status::permission_denied(format!("the role of `{user}` is gone from {USERS_FILE}"))
        })?;
        let role = roster.roles.iter().find(|role| Some(&role.name) == found.named_role.as_ref());
        let limits = role.map(|role| role.limits).unwrap_or_default().or(self.limits);
        Ok(Standing { role: found.role, rights: Arc::new(rights), limits })
    }

    /// What whoever has the token may do: it is for whoever started the server, and sees what others asked too.
    fn holder(&self, user: &str) -> Standing {
        let mut rights = Rights::everything(user, "token", self.role == Role::Writes);
        rights.grants.push(Grant { privilege: Privilege::Select, on: Securable::Schema("elt".to_owned()) });
        Standing { role: self.role, rights: Arc::new(rights), limits: self.limits }
    }

    /// Reads the file again, whether it seems to have changed or not.
    pub(super) fn read_again(&self) {
        if let Some((mark, _)) = &mut *locked(&self.read) {
            *mark = Some((SystemTime::UNIX_EPOCH, u64::MAX));
        }
        // What is wrong with it, the log says.
        drop(self.roster());
    }

    /// Has the log tell what is granted, or hidden, where there is nothing of that name.
    fn doubt(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let lakehouse = self.lakehouse.clone();
        runtime.spawn(async move {
            match lakehouse.doubts_about_roles().await {
                Ok(doubts) => doubts.iter().for_each(|doubt| tracing::warn!("{doubt}")),
                Err(error) => {
                    tracing::warn!("whether {USERS_FILE} names what there is cannot be told: {error}")
                }
            }
        });
    }

    /// The file as it is now. One that cannot be read any more is as it was, and the log says so.
    fn roster(&self) -> Result<Arc<Roster>, Status> {
        let place = self.lakehouse.root().join(USERS_FILE);
        let found = std::fs::metadata(place).ok();
        let mark: Mark = found.and_then(|found| Some((found.modified().ok()?, found.len())));
        let mut read = locked(&self.read);
        if let Some((known, roster)) = &*read
            && *known == mark
        {
            return Ok(Arc::clone(roster));
        }
        let users = self.lakehouse.users();
        match users.and_then(|users| Ok(Roster { users, roles: self.lakehouse.roles()? })) {
            Ok(roster) => {
                if read.is_some() {
                    tracing::info!(
                        "{USERS_FILE} has changed: {} users, {} roles",
                        roster.users.len(),
                        roster.roles.len()
                    );
                    self.doubt();
                }
                let roster = Arc::new(roster);
                *read = Some((mark, Arc::clone(&roster)));
                Ok(roster)
            }
            Err(error) => match &mut *read {
                Some((known, roster)) => {
                    tracing::error!(
                        "{USERS_FILE} cannot be read any more, and users and roles are as they were: {error}"
                    );
                    *known = mark;
                    Ok(Arc::clone(roster))
                }
                None => Err(error_status(&error)),
            },
        }
    }
}

/// A hash that takes as long to look at as any, and fits no password that is let in.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$aN0qZNe0Qk2cA0jz3SDBrYgBSt0mPS2ySNR8u0YHPLA";
