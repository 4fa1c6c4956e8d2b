//! Which colours has a line while it is typed?

use std::borrow::Cow;

use super::complete::KEYWORDS;
use super::scan::{Kind, scan};

const KEYWORD: &str = "\x1b[1;34m";
const TEXT: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const COMMENT: &str = "\x1b[2m";
const COMMAND: &str = "\x1b[35m";
const PAIR: &str = "\x1b[1;4m";
const END: &str = "\x1b[0m";

/// The line with colours: keywords, texts, numbers, comments, and the bracket that belongs to the one at `cursor`.
pub(super) fn highlight(line: &str, cursor: usize) -> Cow<'_, str> {
    if line.starts_with(['\\', '.']) {
        return Cow::Owned(format!("{COMMAND}{line}{END}"));
    }
    let pair = brackets(line, cursor);
    let mut out = String::with_capacity(line.len() + 64);
    for bit in scan(line) {
        let color = match bit.kind {
            Kind::Word if is_keyword(bit.text) => KEYWORD,
            Kind::Number => NUMBER,
            Kind::Text => TEXT,
            Kind::Comment => COMMENT,
            Kind::Sign if pair.is_some_and(|(a, b)| bit.start == a || bit.start == b) => PAIR,
            _ => {
                out.push_str(bit.text);
                continue;
            }
        };
        out.push_str(color);
        out.push_str(bit.text);
        out.push_str(END);
    }
    Cow::Owned(out)
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|known| known.split(' ').any(|part| part.eq_ignore_ascii_case(word)))
}

/// The bracket at the cursor, or just before it, and the one that belongs to it.
fn brackets(line: &str, cursor: usize) -> Option<(usize, usize)> {
    let signs: Vec<(usize, &str)> = scan(line)
        .into_iter()
        .filter(|bit| bit.kind == Kind::Sign && "()[]{}".contains(bit.text))
        .map(|bit| (bit.start, bit.text))
        .collect();
    let at_cursor = |at: usize| signs.iter().position(|(start, _)| *start == at);
    let here = at_cursor(cursor).or_else(|| at_cursor(cursor.checked_sub(1)?))?;
    let opens = |text: &str| "([{".contains(text);
    let step = |depth: i32, text: &str| if opens(text) { depth + 1 } else { depth - 1 };
    let mut depth = 0;
    let found = if opens(signs[here].1) {
        signs[here..].iter().find(|(_, text)| {
            depth = step(depth, text);
            depth == 0
        })
    } else {
        signs[..=here].iter().rev().find(|(_, text)| {
            depth = step(depth, text);
            depth == 0
        })
    };
    found.map(|(start, _)| (signs[here].0, *start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with what is coloured between angle brackets.
    fn marked(line: &str, cursor: usize) -> String {
        let mut text = highlight(line, cursor).into_owned();
        for color in [KEYWORD, TEXT, NUMBER, COMMENT, COMMAND, PAIR] {
            text = text.replace(color, "<");
        }
        text.replace(END, ">")
    }

    #[test]
    fn what_is_typed_is_kept_and_coloured() {
        assert_eq!(marked("select 'a' , x1 from t -- so", 99), "<select> <'a'> , x1 <from> t <-- so>");
        assert_eq!(marked("\\dt", 3), "<\\dt>");
        assert_eq!(marked("SELECT 1.5 'open", 0), "<SELECT> <1.5> <'open>");
    }

    #[test]
    fn brackets_are_shown_in_pairs() {
        assert_eq!(marked("f(a, (b))", 9), "f<(>a, (b)<)>");
        assert_eq!(marked("f(a, (b))", 5), "f(a, <(>b<)>)");
        assert_eq!(marked("f(a, ')'", 1), "f(a, <')'>");
        assert_eq!(marked("é(a)", 2), "é<(>a<)>");
    }
}
