//! Who may ask over the wire, and how is somebody added?

use std::path::PathBuf;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, password_hash};

use super::Lakehouse;
use crate::base::{Error, Result, SourceText};
use crate::project::{Role, USERS_FILE, User, read_users, with_user};

impl Lakehouse {
    /// Those who may ask over the wire, as `elt.yml` has them now; nobody, if there is no such file.
    ///
    /// # Errors
    /// What is wrong in the file, and where.
    pub fn users(&self) -> Result<Vec<User>> {
        Ok(read_users(&SourceText::new(USERS_FILE, &self.users_text()?))?)
    }

    /// Writes somebody into `elt.yml`, and says which file that is. Of the password only its hash is kept.
    ///
    /// # Errors
    /// There is somebody of that name, or the file cannot be read or written; then it is as it was.
    pub fn add_user(&self, name: &str, role: Role, password: &str) -> Result<PathBuf> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        if name.is_empty() || !name.chars().all(is_plain) || !name.starts_with(char::is_alphabetic) {
            let what = format!("`{name}` cannot be the name of a user");
            let help = "use letters, digits, `_`, `-`, `.` and `@`, a letter first";
            return Err(Error::user("elt::users::name", what, help));
        }
        if self.users()?.iter().any(|user| user.name == name) {
            let what = format!("there is a user `{name}` already");
            let help = format!("to give another password, take the entry out of {USERS_FILE} first");
            return Err(Error::user("elt::users::exists", what, help));
        }
        let user = User { name: name.to_owned(), role, password: self.hash(password)? };
        let text = with_user(&self.users_text()?, &user);
        let read = read_users(&SourceText::new(USERS_FILE, &text))?;
        if !read.contains(&user) {
            let what = format!("{USERS_FILE} has a form that cannot be added to");
            return Err(Error::user("elt::users::form", what, "write `users:` on a line of its own"));
        }
        let path = self.root().join(USERS_FILE);
        std::fs::write(&path, text).map_err(|error| {
            let what = format!("cannot write {}: {error}", path.display());
            Error::user("elt::users::write", what, "see whether the folder can be written to")
        })?;
        Ok(path)
    }

    /// The same lakehouse, as somebody else uses it: releases are recorded under this name.
    #[must_use]
    pub fn used_by(&self, user: &str) -> Self {
        let mut other = self.clone();
        user.clone_into(&mut other.world.user);
        other
    }

    pub(super) fn users_text(&self) -> Result<String> {
        let path = self.root().join(USERS_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => {
                let what = format!("cannot read {}: {error}", path.display());
                Err(Error::user("elt::users::read", what, "see whether the file can be read"))
            }
        }
    }

    fn hash(&self, password: &str) -> Result<String> {
        let failed = |error: password_hash::Error| {
            let what = format!("the password cannot be hashed: {error}");
            Error::user("elt::users::hash", what, "choose another one")
        };
        let chance = [self.world().id(), self.world().id()].concat();
        let salt = chance.as_bytes().get(..32).unwrap_or(chance.as_bytes());
        let salt = SaltString::encode_b64(salt).map_err(failed)?;
        Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
    }
}

/// Whether a password is the one whose hash a user has. Takes some milliseconds and 19 MiB, on purpose.
pub fn is_password_of(user: &User, password: &str) -> bool {
    let Ok(hash) = PasswordHash::new(&user.password) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}
