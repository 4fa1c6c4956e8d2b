//! Who may ask over the wire, and how is somebody added?

use std::path::PathBuf;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, password_hash};

use super::Lakehouse;
use crate::base::{Error, Privilege, Result, SourceText, did_you_mean};
use crate::project::{
    Role, RoleRights, USERS_FILE, User, read_users, with_password, with_user, without_user,
};

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
    pub fn add_user(&self, name: &str, role: &str, password: &str) -> Result<PathBuf> {
        let built_in = [Role::Reads, Role::Writes].into_iter().find(|known| known.word() == role);
        let roles = self.roles()?;
        let own = roles.iter().find(|known| known.name == role);
        if built_in.is_none() && own.is_none() {
            let help = did_you_mean(role, roles.iter().map(|known| known.name.as_str()));
            let what = format!("there is no role `{role}` in {USERS_FILE}");
            let help = help.unwrap_or_else(|| format!("`create role {role}` makes it, in `elt sql`"));
            return Err(Error::user("elt::roles::no_such_role", what, help));
        }
        let named_role = own.map(|known| known.name.clone());
        let writes = |role: &RoleRights| role.grants.iter().any(|grant| grant.privilege == Privilege::Modify);
        let role = built_in.unwrap_or(if own.is_some_and(writes) { Role::Writes } else { Role::Reads });
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        if name.is_empty() || !name.chars().all(is_plain) || !name.starts_with(char::is_alphabetic) {
            let what = format!("`{name}` cannot be the name of a user");
            let help = "use letters, digits, `_`, `-`, `.` and `@`, a letter first";
            return Err(Error::user("elt::users::name", what, help));
        }
        if self.users()?.iter().any(|user| user.name == name) {
            let what = format!("there is a user `{name}` already");
            let help = format!("`elt user password {name}` gives another password");
            return Err(Error::user("elt::users::exists", what, help));
        }
        let user = User { name: name.to_owned(), role, named_role, password: self.hash(password)? };
        let text = with_user(&self.users_text()?, &user);
        let read = read_users(&SourceText::new(USERS_FILE, &text))?;
        if !read.contains(&user) {
            let what = format!("{USERS_FILE} has a form that cannot be added to");
            return Err(Error::user("elt::users::form", what, "write `users:` on a line of its own"));
        }
        self.write_users_text(&text)?;
        Ok(self.root().join(USERS_FILE))
    }

    /// Takes somebody out of `elt.yml`, and says which file that is. Their sessions end with their next statement.
    ///
    /// # Errors
    /// There is nobody of that name, or the file cannot be read or written; then it is as it was.
    pub fn remove_user(&self, name: &str) -> Result<PathBuf> {
        self.known_user(name)?;
        let text = without_user(&self.users_text()?, name);
        self.write_users(&text, |users| users.iter().all(|user| user.name != name))
    }

    /// Gives somebody another password. Their sessions end with their next statement.
    ///
    /// # Errors
    /// There is nobody of that name, or the file cannot be read or written; then it is as it was.
    pub fn change_password(&self, name: &str, password: &str) -> Result<PathBuf> {
        self.known_user(name)?;
        let hash = self.hash(password)?;
        let text = with_password(&self.users_text()?, name, &hash);
        self.write_users(&text, |users| users.iter().any(|user| user.name == name && user.password == hash))
    }

    fn known_user(&self, name: &str) -> Result<()> {
        let users = self.users()?;
        if users.iter().any(|user| user.name == name) {
            return Ok(());
        }
        let near = did_you_mean(name, users.iter().map(|user| user.name.as_str()));
        let help = near.unwrap_or_else(|| format!("`elt user add {name}` adds one"));
        Err(Error::user(
            "elt::users::no_such_user",
            format!("there is no user `{name}` in {USERS_FILE}"),
            help,
        ))
    }

    /// Writes the file, if it reads as it was meant and all others in it are as they were.
    fn write_users(&self, text: &str, came_out: impl Fn(&[User]) -> bool) -> Result<PathBuf> {
        let after = read_users(&SourceText::new(USERS_FILE, text)).unwrap_or_default();
        let before = self.users()?;
        let others = before.iter().filter(|user| after.contains(user)).count();
        if !came_out(&after) || others + 1 < before.len() {
            let what = format!("{USERS_FILE} has a form that cannot be changed");
            let help =
                "write each user, and what is said of them, on lines of their own; or change it by hand";
            return Err(Error::user("elt::users::form", what, help));
        }
        self.write_users_text(text)?;
        Ok(self.root().join(USERS_FILE))
    }

    /// Writes `elt.yml`, the whole of it at once: a server may read it at any moment.
    pub(super) fn write_users_text(&self, text: &str) -> Result<()> {
        let path = self.root().join(USERS_FILE);
        let beside = path.with_extension("yml.new");
        let written = std::fs::write(&beside, text).and_then(|()| {
            if let Ok(known) = std::fs::metadata(&path) {
                std::fs::set_permissions(&beside, known.permissions())?;
            }
            std::fs::rename(&beside, &path)
        });
        written.map_err(|error| {
            let what = format!("cannot write {}: {error}", path.display());
            Error::user("elt::users::write", what, "see whether the folder can be written to")
        })
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
