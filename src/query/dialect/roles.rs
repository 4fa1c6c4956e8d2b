//! `GRANT`, `REVOKE`, `CREATE ROLE` and `SHOW GRANTS`: rights, as far as words go.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::SqlMistake;

/// What is to become of rights, or to be told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleOrder {
    /// `GRANT what TO ROLE role`
    Give {
        /// As it is written: `select on schema main`.
        what: String,
        /// The role, in lower case.
        role: String,
    },
    /// `REVOKE what FROM ROLE role`
    Take {
        /// As it is written.
        what: String,
        /// The role, in lower case.
        role: String,
    },
    /// `CREATE ROLE role`
    Create {
        /// The role, in lower case.
        role: String,
    },
    /// `SHOW GRANTS [TO ROLE role] [ON what]`
    Show {
        /// Only those of this role.
        role: Option<String>,
        /// Only those that hold for this.
        on: Option<String>,
    },
}

impl RoleOrder {
    /// Reads one; nothing if the tokens are another statement.
    ///
    /// # Errors
    /// It begins like one and is none.
    pub(super) fn read(tokens: &[TokenWithSpan]) -> Result<Option<Self>, SqlMistake> {
        let solid: Vec<String> = tokens
            .iter()
            .map(|token| &token.token)
            .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF))
            .map(ToString::to_string)
            .collect();
        let is = |at: usize, word: &str| solid.get(at).is_some_and(|text| text.eq_ignore_ascii_case(word));
        if is(0, "create") && is(1, "role") {
            return match &solid[2..] {
                [role] => Ok(Some(Self::Create { role: named(role) })),
                _ => Err(wrong("this makes no role", "write `create role analyst`")),
            };
        }
        if is(0, "show") && is(1, "grants") {
            return shown(&solid[2..]).map(Some);
        }
        let (link, verb) = match () {
            () if is(0, "grant") => ("to", "grant"),
            () if is(0, "revoke") => ("from", "revoke"),
            () => return Ok(None),
        };
        let help = format!("write `{verb} select on schema main {link} role analyst`");
        let at = solid.iter().rposition(|text| text.eq_ignore_ascii_case(link));
        let Some(at) = at else { return Err(wrong("a role is missing", &help)) };
        let role = match &solid[at + 1..] {
            [word, role] if word.eq_ignore_ascii_case("role") => named(role),
            [word, _] if word.eq_ignore_ascii_case("user") => {
                return Err(wrong(
                    "rights are given to roles",
                    "a user of elt.yml has one role: `role: analyst`",
                ));
            }
            [role] => named(role),
            [_, with, option, ..]
                if with.eq_ignore_ascii_case("with") && option.eq_ignore_ascii_case("grant") =>
            {
                return Err(wrong(
                    "WITH GRANT OPTION is not supported",
                    "who may write elt.yml gives rights, and nobody else",
                ));
            }
            _ => return Err(wrong("this names no role", &help)),
        };
        let what = spelt(&solid[1..at]);
        Ok(Some(if verb == "grant" { Self::Give { what, role } } else { Self::Take { what, role } }))
    }
}

fn shown(rest: &[String]) -> Result<RoleOrder, SqlMistake> {
    let help = "write `show grants`, `show grants to role analyst` or `show grants on main.orders`";
    let (mut role, mut on) = (None, None);
    let mut rest = rest;
    while let [word, next, ..] = rest {
        let used = match (word.to_lowercase().as_str(), next.to_lowercase().as_str(), rest.get(2)) {
            ("to", "role", Some(name)) => {
                role = Some(named(name));
                3
            }
            ("to", _, _) => {
                role = Some(named(next));
                2
            }
            ("on", _, _) => {
                let end = rest.iter().position(|text| text.eq_ignore_ascii_case("to")).unwrap_or(rest.len());
                on = Some(spelt(&rest[1..end]));
                end
            }
            _ => return Err(wrong(&format!("`{word}` is not expected here"), help)),
        };
        rest = &rest[used..];
    }
    match rest {
        [] => Ok(RoleOrder::Show { role, on }),
        [word, ..] => Err(wrong(&format!("`{word}` is not expected here"), help)),
    }
}

/// The words with a space between, but none around a dot.
fn spelt(words: &[String]) -> String {
    words.join(" ").replace(" . ", ".").replace(" , ", ", ")
}

fn named(word: &str) -> String {
    word.replace(['"', '`'], "").to_lowercase()
}

fn wrong(what: &str, help: &str) -> SqlMistake {
    SqlMistake::new("elt::sql::syntax", what).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::dialect::statement::tokenize;

    fn read(sql: &str) -> Result<Option<RoleOrder>, String> {
        RoleOrder::read(&tokenize(sql).unwrap()).map_err(|mistake| mistake.message().to_owned())
    }

    #[test]
    fn rights_are_read_as_they_are_written() {
        let give = |what: &str, role: &str| {
            Ok(Some(RoleOrder::Give { what: what.to_owned(), role: role.to_owned() }))
        };
        assert_eq!(
            read("GRANT SELECT ON SCHEMA main TO ROLE Analyst;"),
            give("SELECT ON SCHEMA main", "analyst")
        );
        assert_eq!(read("grant select, modify on main.t to a"), give("select, modify on main.t", "a"));
        let show = |role: Option<&str>, on: Option<&str>| {
            Ok(Some(RoleOrder::Show { role: role.map(str::to_owned), on: on.map(str::to_owned) }))
        };
        assert_eq!(read("show grants"), show(None, None));
        assert_eq!(read("show grants on table main.t"), show(None, Some("table main.t")));
        assert_eq!(read("show grants on main.t to role a"), show(Some("a"), Some("main.t")));
        assert_eq!(read("select 1"), Ok(None));
        assert_eq!(read("grant select on main.t to user ann"), Err("rights are given to roles".to_owned()));
        assert!(read("grant select on main.t").is_err());
        assert!(read("grant select on main.t to a with grant option").is_err());
    }
}
