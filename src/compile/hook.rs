//! May this statement run around a build?
//!
//! A build is one release, made of models alone; a hook that changes tables would go past it. So a hook may
//! read, and its rows are dropped; statements about permissions and housekeeping have no object in a lake
//! and are left out with a note; whatever else is refused, with what to do instead.

/// What becomes of a hook's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Permitted {
    /// It is a query.
    Reads,
    /// There is nothing for it to do in a lake, or nothing in it.
    Nothing,
    /// It would change something: its first words.
    Refused(String),
}

/// Statements that have nothing to do in a lake: no grants, no transactions, no statistics to keep.
const IDLE: [&str; 14] = [
    "grant",
    "revoke",
    "analyze",
    "vacuum",
    "optimize",
    "comment",
    "begin",
    "commit",
    "start",
    "set",
    "reset",
    "use",
    "alter session",
    "create schema",
];

/// Judges one rendered hook.
pub(super) fn judge(sql: &str) -> Permitted {
    let statements = sql.split(';').map(without_comments).filter(|part| !part.is_empty());
    let mut reads = false;
    for statement in statements {
        let lower = statement.to_lowercase();
        let first = lower.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        match first {
            "select" | "with" | "values" | "show" | "describe" | "explain" => reads = true,
            _ if statement.starts_with('(') => reads = true,
            _ if IDLE.iter().any(|idle| begins_with_words(&lower, idle)) => {}
            _ => {
                return Permitted::Refused(
                    statement.split_whitespace().take(4).collect::<Vec<_>>().join(" "),
                );
            }
        }
    }
    if reads { Permitted::Reads } else { Permitted::Nothing }
}

fn begins_with_words(text: &str, words: &str) -> bool {
    let mut of_text = text.split_whitespace();
    words.split_whitespace().all(|word| of_text.next() == Some(word))
}

/// The statement without blanks and comments before it.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim();
    loop {
        let end = if rest.starts_with("--") {
            rest.find('\n').map_or(rest.len(), |end| end + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            return rest;
        };
        rest = rest[end..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_read_do_nothing_or_are_refused() {
        assert_eq!(judge("-- x\nselect 1; "), Permitted::Reads);
        assert_eq!(judge("grant select on t to public"), Permitted::Nothing);
        assert_eq!(judge(" /* nothing */ "), Permitted::Nothing);
        assert_eq!(judge("create schema if not exists x; select 1"), Permitted::Reads);
        assert_eq!(
            judge("insert into audit values (1)"),
            Permitted::Refused("insert into audit values".into())
        );
    }
}
