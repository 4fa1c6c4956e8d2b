//! What has been typed: which statements and commands, and is the last one finished?
//!
//! A statement ends with a semicolon, a command with its line. A command begins where a statement could:
//! with a backslash, with a dot and a letter, or as one of the bare words that people try first.

use crate::lakehouse::{Piece, Split, split};

/// One thing to do, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `\dt`, `.tables`, `quit`
    Command(Piece),
    /// A statement of SQL, without its semicolon.
    Statement(Piece),
}

/// A text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// What is finished, in order.
    pub(super) entries: Vec<Entry>,
    /// A statement that has no end yet.
    pub(super) rest: Option<Piece>,
}

impl Reading {
    /// Everything, the rest included: no more text will come.
    pub(super) fn all(self) -> Vec<Entry> {
        self.entries.into_iter().chain(self.rest.map(Entry::Statement)).collect()
    }
}

/// Takes a text apart into commands and statements.
pub(super) fn read(text: &str) -> Reading {
    let mut entries = Vec::new();
    let mut at = 0;
    'commands: loop {
        let Split { complete, rest, .. } = split(&text[at..]);
        let moved =
            |piece: Piece| Piece { bytes: piece.bytes.start + at..piece.bytes.end + at, sql: piece.sql };
        let last = complete.len();
        for (number, piece) in complete.into_iter().chain(rest).map(moved).enumerate() {
            // A command ends the tokenizer's reign: what it took for a string may be an apostrophe.
            if let Some(command) = command_at(text, piece.bytes.start) {
                at = command.bytes.end;
                entries.push(Entry::Command(command));
                continue 'commands;
            }
            if number == last {
                return Reading { entries, rest: Some(piece) };
            }
            entries.push(Entry::Statement(piece));
        }
        return Reading { entries, rest: None };
    }
}

/// Whether a text can be run, or more lines belong to it.
///
/// An empty line after a line that ends in a semicolon finishes a text in any case: whoever forgot to
/// close a string, and so can end nothing, is then told so.
pub(super) fn is_complete(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let gives_up = matches!(lines.as_slice(), [.., before, ""] if before.ends_with(';'));
    gives_up || read(text).rest.is_none()
}

/// Whether a line that follows unfinished text is a command of its own: a backslash begins no line of SQL,
/// except inside a string.
pub(super) fn is_command_within(unfinished: &str, line: &str) -> bool {
    line.trim_start().starts_with('\\') && !split(unfinished).open
}

/// The command that begins at byte `start`, after space and comments.
fn command_at(text: &str, start: usize) -> Option<Piece> {
    let start = start + blank(&text[start..]);
    let line = text[start..].lines().next()?.trim_end();
    let is_command = match line.strip_prefix('.') {
        Some(after) => after.starts_with(|c: char| c.is_ascii_alphabetic()),
        None => line.starts_with('\\') || is_bare_word(line),
    };
    is_command.then(|| Piece { sql: line.to_owned(), bytes: start..start + line.len() })
}

fn is_bare_word(line: &str) -> bool {
    let word = line.trim_end_matches(';').trim_end();
    ["quit", "exit", "help"].iter().any(|bare| word.eq_ignore_ascii_case(bare))
}

/// How many bytes of space and comments a text begins with.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return text.len() - rest.len();
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `s:select 1 c:\dt …select`: statements, commands and the rest.
    fn parts(text: &str) -> Vec<String> {
        let Reading { entries, rest } = read(text);
        let check = |piece: &Piece| assert_eq!(&text[piece.bytes.clone()], piece.sql, "in {text:?}");
        let entries = entries.iter().map(|entry| match entry {
            Entry::Command(piece) => (piece, format!("c:{}", piece.sql)),
            Entry::Statement(piece) => (piece, format!("s:{}", piece.sql)),
        });
        let mut parts: Vec<String> =
            entries.inspect(|(piece, _)| check(piece)).map(|(_, shown)| shown).collect();
        parts.extend(rest.inspect(check).map(|piece| format!("…{}", piece.sql)));
        parts
    }

    #[test]
    fn commands_end_with_their_line_and_statements_with_a_semicolon() {
        assert_eq!(parts("select 1; select 'é;' ; select 3"), ["s:select 1", "s:select 'é;'", "…select 3"]);
        assert_eq!(parts("\\i it's.sql\nselect 1;\n\\dt\n"), ["c:\\i it's.sql", "s:select 1", "c:\\dt"]);
        assert_eq!(parts("select 'é'; \\d t"), ["s:select 'é'", "c:\\d t"]);
        assert_eq!(parts("-- why; not\n/* x */ .tables\n;;"), ["c:.tables"]);
        assert_eq!(parts("quit"), ["c:quit"]);
        assert_eq!(parts("EXIT;\nselect 1"), ["c:EXIT;", "…select 1"]);
        assert_eq!(parts("select\n\\dt"), ["…select\n\\dt"]);
        assert_eq!(parts(" -- nothing\n"), Vec::<String>::new());
        assert_eq!(parts("\\i é.sql; \r\nselect 2;"), ["c:\\i é.sql;", "s:select 2"]);
    }

    #[test]
    fn a_text_is_complete_when_nothing_is_left_over() {
        for text in [
            "",
            "  ",
            "-- a thought",
            "select 1;",
            "selec 1;",
            "\\dt",
            ".mode csv",
            "quit",
            "select 1; -- so",
        ] {
            assert!(is_complete(text), "{text:?} waits for more");
        }
        for text in
            ["select 1", "select ';", "select /* ;", "select 1; select 2", "select 'a\n;\nb", "select\n\n"]
        {
            assert!(!is_complete(text), "{text:?} does not wait for more");
        }
        assert!(is_complete("select 'oops;\n\n"), "an empty line ends what nothing else can end");
    }
}
