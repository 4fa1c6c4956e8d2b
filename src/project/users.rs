//! Who may ask the lake over the wire?
//!
//! They are written in `elt.yml`, beside the project, each with a role and the hash of a password:
//!
//! ```yaml
//! users:
//!   ann:
//!     role: writes
//!     password: $argon2id$v=19$…
//! ```
//!
//! The role is `reads`, `writes`, or one of those that the file has (`roles`).

use super::roles::{BUILT_IN, read_roles};
use super::yaml::{Entry, Yaml};
use crate::base::{Diagnostic, Privilege, SourceText, Span, did_you_mean};

/// The file that users are written in, in the project's root.
pub const USERS_FILE: &str = "elt.yml";

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ask.
    #[default]
    Reads,
    /// Ask, and change tables.
    Writes,
}

impl Role {
    /// The word for it in `elt.yml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// Somebody who may ask over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Whether they may change tables at all.
    pub role: Role,
    /// The role of the file that they have, if it is none of the two that are built in.
    pub named_role: Option<String>,
    /// The hash of their password, as Argon2 writes it.
    pub password: String,
}

/// Reads the text of an `elt.yml`.
///
/// # Errors
/// The first thing in it that is not known or not whole, and its place.
pub fn read_users(source: &SourceText) -> Result<Vec<User>, Diagnostic> {
    let yaml = Yaml::parse_own(source)?;
    let named: Vec<(String, Role)> = read_roles(source)?
        .into_iter()
        .map(|role| {
            let writes = role.grants.iter().any(|grant| grant.privilege == Privilege::Modify);
            (role.name, if writes { Role::Writes } else { Role::Reads })
        })
        .collect();
    let mut users = Vec::new();
    for entry in yaml.entries() {
        match entry.key.as_str() {
            "users" => {}
            key if SECTIONS.contains(&key) => continue,
            _ => return Err(unknown(&entry.key, &entry.key_at, &SECTIONS)),
        }
        for entry in entry.value.entries() {
            users.push(user(entry, &named)?);
        }
    }
    Ok(users)
}

fn user(entry: &Entry, named: &[(String, Role)]) -> Result<User, Diagnostic> {
    let name = entry.key.clone();
    let (mut role, mut named_role) = (Role::Reads, None);
    let mut password = None;
    for Entry { key, key_at, value } in entry.value.entries() {
        let text = value.text().unwrap_or_default();
        match key.as_str() {
            "role" => {
                let built_in = [Role::Reads, Role::Writes].into_iter().find(|role| role.word() == text);
                let own = named.iter().find(|(name, _)| *name == text);
                named_role = own.map(|(name, _)| name.clone());
                role = built_in.or(own.map(|(_, role)| *role)).ok_or_else(|| {
                    let known: Vec<&str> =
                        BUILT_IN.into_iter().chain(named.iter().map(|(name, _)| name.as_str())).collect();
                    Diagnostic::error("elt::users::role", format!("`{text}` is not a role"))
                        .at(&value.at, "here")
                        .help(format!("there are: {}", known.join(", ")))
                })?;
            }
            "password" if text.starts_with("$argon2") => password = Some(text),
            "password" => {
                let what = format!("the password of `{name}` is not a hash");
                return Err(Diagnostic::error("elt::users::password", what)
                    .at(key_at, "here")
                    .help(format!("`elt user add {name}` makes a password and writes its hash")));
            }
            _ => return Err(unknown(key, key_at, &["role", "password"])),
        }
    }
    let password = password.ok_or_else(|| {
        Diagnostic::error("elt::users::password", format!("`{name}` has no password"))
            .at(&entry.key_at, "this user")
            .help(format!("take the entry out, then `elt user add {name}` writes it anew"))
    })?;
    Ok(User { name, role, named_role, password })
}

/// What an `elt.yml` can say. Each section has a reader of its own.
pub(super) const SECTIONS: [&str; 7] =
    ["users", "roles", "packages", "schedules", "notifications", "openlineage", "runs"];

pub(super) fn unknown(key: &str, at: &Span, known: &[&str]) -> Diagnostic {
    let help = did_you_mean(key, known.iter().copied());
    Diagnostic::error("elt::users::unknown", format!("`{key}` is not known in {USERS_FILE}"))
        .at(at, "here")
        .help(help.unwrap_or_else(|| format!("here may stand: {}", known.join(", "))))
}

/// The text of an `elt.yml` with one user more, and everything else as it was written.
pub fn with_user(text: &str, user: &User) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().position(|line| line.trim_end() == "users:");
    let indent = head.and_then(|head| {
        let next = lines[head + 1..]
            .iter()
            .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))?;
        let indent = next.len() - next.trim_start().len();
        (indent > 0).then(|| " ".repeat(indent))
    });
    let indent = indent.unwrap_or_else(|| "  ".to_owned());
    let User { name, role, named_role, password } = user;
    let role = named_role.as_deref().unwrap_or(role.word());
    let entry = format!("{indent}{name}:\n{indent}  role: {role}\n{indent}  password: {password}\n");
    let mut written = String::new();
    for (at, line) in lines.iter().enumerate() {
        written.push_str(line);
        written.push('\n');
        if head == Some(at) {
            written.push_str(&entry);
        }
    }
    if head.is_none() {
        written.push_str(&format!("users:\n{entry}"));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<User>, String> {
        read_users(&SourceText::new(USERS_FILE, text)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn users_are_added_and_read_again() {
        let user = |name: &str, role| User {
            name: name.to_owned(),
            role,
            named_role: None,
            password: "$argon2id$v=19$m=1$x$y".to_owned(),
        };
        let (ann, bob) = (user("ann", Role::Writes), user("bob", Role::Reads));
        let one = with_user("", &ann);
        assert_eq!(read(&one).unwrap(), std::slice::from_ref(&ann));
        let two = with_user(&format!("# ours\n{}", one.replace("  ", "    ")), &bob);
        assert_eq!(read(&two).unwrap(), [bob, ann]);
        assert!(two.starts_with("# ours\n"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(read("user:\n  ann: {}\n").unwrap_err(), "`user` is not known in elt.yml");
        assert_eq!(read("users:\n  ann: {role: admin}\n").unwrap_err(), "`admin` is not a role");
        assert_eq!(
            read("users:\n  ann: {password: secret}\n").unwrap_err(),
            "the password of `ann` is not a hash"
        );
        assert_eq!(read("users:\n  ann: {role: reads}\n").unwrap_err(), "`ann` has no password");
        assert!(read("users: [").is_err());
        assert_eq!(read("").unwrap(), []);
    }
}
