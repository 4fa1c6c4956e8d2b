//! May this statement run around a build?
//!
//! A hook may read, and its rows are dropped; what it writes becomes part of the build's release. Statements about
//! permissions and housekeeping have no object in a lake and are left out; whatever else is refused, with what
//! to do instead.

/// What becomes of a hook's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Permitted {
    /// It is a query.
    Reads,
    /// It changes tables.
    Writes,
    /// There is nothing for it to do in a lake, or nothing in it.
    Nothing,
    /// It has no place in a build: its first words.
    Refused(String),
}

/// The first words of statements that become part of a release.
const WRITES: [&str; 7] = ["insert", "update", "delete", "merge", "truncate", "create", "alter"];

/// Statements that have nothing to do in a lake: no grants, no transactions, no statistics to keep.
const IDLE: [&str; 15] = [
    "grant",
    "revoke",
    "analyze",
    "vacuum",
    "optimize",
    "comment",
    "begin",
    "commit",
    "end",
    "start",
    "set",
    "reset",
    "use",
    "alter session",
    "create schema",
];

/// The statements of a rendered hook or operation that have something to do in a lake.
pub fn statements(sql: &str) -> Vec<String> {
    pieces(sql).filter(|statement| !is_idle(statement)).map(str::to_owned).collect()
}

fn is_idle(statement: &str) -> bool {
    let lower = statement.to_lowercase();
    IDLE.iter().any(|idle| begins_with_words(&lower, idle))
}

/// Judges one rendered hook.
pub(super) fn judge(sql: &str) -> Permitted {
    let (mut reads, mut writes) = (false, false);
    for statement in pieces(sql) {
        let lower = statement.to_lowercase();
        let first = lower.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        match first {
            "select" | "with" | "values" | "show" | "describe" | "explain" => reads = true,
            _ if statement.starts_with('(') => reads = true,
            _ if is_idle(statement) => {}
            first if WRITES.contains(&first) => writes = true,
            _ => {
                return Permitted::Refused(
                    statement.split_whitespace().take(4).collect::<Vec<_>>().join(" "),
                );
            }
        }
    }
    match (writes, reads) {
        (true, _) => Permitted::Writes,
        (false, true) => Permitted::Reads,
        (false, false) => Permitted::Nothing,
    }
}

fn begins_with_words(text: &str, words: &str) -> bool {
    let mut of_text = text.split_whitespace();
    words.split_whitespace().all(|word| of_text.next() == Some(word))
}

/// The statements of a text, cut at `;` outside of quotes and comments.
fn pieces(sql: &str) -> impl Iterator<Item = &str> {
    let (mut cuts, mut start) = (Vec::new(), 0);
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &sql[at..];
        let skip = match bytes[at] {
            quote @ (b'\'' | b'"') => rest[1..].find(char::from(quote)).map(|end| end + 2),
            b'-' if rest.starts_with("--") => rest.find('\n'),
            b'/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
            b';' => {
                cuts.push(&sql[start..at]);
                start = at + 1;
                Some(1)
            }
            _ => Some(rest.chars().next().map_or(1, char::len_utf8)),
        };
        at += skip.unwrap_or(rest.len()).max(1);
    }
    cuts.push(&sql[start..]);
    cuts.into_iter().map(without_comments).filter(|part| !part.is_empty())
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
        assert_eq!(judge("select 'a;b' -- c;d"), Permitted::Reads);
        assert_eq!(judge("insert into audit values (1)"), Permitted::Writes);
        assert_eq!(judge(" /* nothing */ "), Permitted::Nothing);
        assert_eq!(judge("create schema if not exists x; select 1"), Permitted::Reads);
        assert_eq!(judge("drop table audit"), Permitted::Refused("drop table audit".into()));
    }
}
