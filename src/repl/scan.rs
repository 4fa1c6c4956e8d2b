//! Of which pieces is a line, as far as it is typed?
//!
//! Rougher than the parser's own tokens: a text that is still being written may end inside a string, and every piece,
//! space too, has to be found again at its place.

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    /// `'…'`, or up to the end if it is open.
    Text,
    /// `"…"`
    Quoted,
    Comment,
    Space,
    /// Any other character.
    Sign,
}

/// A piece and where it is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bit<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
    /// A text, name or comment without its end.
    pub(super) open: bool,
}

impl Bit<'_> {
    /// Whether it is this word, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Takes a text apart; the pieces together are the text.
pub(super) fn scan(text: &str) -> Vec<Bit<'_>> {
    let mut bits = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let rest = &text[start..];
        let while_it = |test: &dyn Fn(char) -> bool| rest.find(|c| !test(c)).unwrap_or(rest.len());
        let (kind, length, open) = match first {
            '\'' | '"' => {
                let (length, open) = quoted(rest, first);
                (if first == '\'' { Kind::Text } else { Kind::Quoted }, length, open)
            }
            '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => match rest.find("*/") {
                Some(end) => (Kind::Comment, end + 2, false),
                None => (Kind::Comment, rest.len(), true),
            },
            c if c.is_whitespace() => (Kind::Space, while_it(&char::is_whitespace), false),
            c if c.is_ascii_digit() => {
                (Kind::Number, while_it(&|c| c.is_ascii_alphanumeric() || c == '.' || c == '_'), false)
            }
            c if c.is_alphabetic() || c == '_' => {
                (Kind::Word, while_it(&|c| c.is_alphanumeric() || c == '_'), false)
            }
            c => (Kind::Sign, c.len_utf8(), false),
        };
        bits.push(Bit { kind, text: &rest[..length], start, open });
        start += length;
    }
    bits
}

/// How long a quoted piece is, and whether its end is missing. A doubled quote does not end it.
fn quoted(rest: &str, quote: char) -> (usize, bool) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return (at + 1, false);
            }
        }
    }
    (rest.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_together_are_the_text() {
        for text in ["select 'it''s', \"a b\" -- é\nfrom t where x>=1.5/* so", "'open", "é Ω _x", ""] {
            let bits = scan(text);
            assert_eq!(bits.iter().map(|bit| bit.text).collect::<String>(), text);
        }
        let bits = scan("a 'b''c' 'd");
        let texts: Vec<(&str, bool)> =
            bits.iter().filter(|bit| bit.kind == Kind::Text).map(|bit| (bit.text, bit.open)).collect();
        assert_eq!(texts, [("'b''c'", false), ("'d", true)]);
    }
}
