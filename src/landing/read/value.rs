//! What does a line of JSON hold, to the last digit?
//!
//! [`Json`] borrows from the line and keeps numbers as they are written, where `serde_json::Value` would
//! round them. What is no JSON, `serde_json` explains.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::landing::rescue::json_text;

/// How deep objects and lists may be nested.
const DEEPEST: usize = 100;

/// A JSON value, borrowed from its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    String(Cow<'a, str>),
    /// Its text, and its items.
    List(&'a str, Vec<Json<'a>>),
    /// Its text, and its members in the order of the text.
    Object(&'a str, Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Reads one JSON value. The error is a sentence for a person.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Result<Json<'_>, String> {
    parse_expecting(text, &[])
}

/// The same, of an object that probably has members of these names, in this order.
fn parse_expecting<'a>(text: &'a str, names: &[&'a str]) -> Result<Json<'a>, String> {
    let mut walker = Walker { text, bytes: text.as_bytes(), at: 0 };
    let value = walker.value(0, names);
    walker.skip_blanks();
    if let Some(value) = value
        && walker.at == text.len()
    {
        return Ok(value);
    }
    Err(match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => {
            // The line is always 1 here; the reader knows the real one.
            let sentence = error.to_string();
            let reason = sentence.split(" at line ").next().unwrap_or(&sentence);
            format!("{reason} at character {}", error.column())
        }
        Ok(_) => format!("nested more than {DEEPEST} levels deep, or a text with half a surrogate pair"),
    })
}

/// Reads a text that is one value, or several one after another on one line. `each` is told every one; a text that is
/// neither is told as one. Returns how many there were. `names` are those that an object's members probably have, mostly
/// those of the object before: they are compared and not read.
pub(crate) fn parse_each<'a>(
    text: &'a str,
    names: &[&'a str],
    mut each: impl FnMut(&'a str, Result<Json<'a>, String>),
) -> u64 {
    let parsed = parse_expecting(text, names);
    if parsed.is_ok() {
        each(text, parsed);
        return 1;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut ends = vec![0];
    while values.next().is_some_and(|value| value.is_ok()) {
        ends.push(values.byte_offset());
    }
    if ends.len() < 3 || !text[ends[ends.len() - 1]..].trim_ascii().is_empty() {
        each(text, parsed);
        return 1;
    }
    for ends in ends.windows(2) {
        let value = text[ends[0]..ends[1]].trim_ascii();
        each(value, parse_expecting(value, names));
    }
    ends.len() as u64 - 1
}

impl<'a> Json<'a> {
    /// The value as the text of a cell: strings without quotes, the rest as written. Null has none.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(text) | Self::List(text, _) | Self::Object(text, _) => Some(text),
            Self::String(text) => Some(text),
        }
    }

    /// The value as JSON.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::String(text) => json_text(text),
            other => other.as_text().unwrap_or("null").to_owned(),
        }
    }
}

/// Takes JSON apart in one pass, by the grammar of RFC 8259. Nothing comes back where a text does not keep to it, or goes
/// too deep.
struct Walker<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    /// The next value; if it is an object, members of these names are expected.
    fn value(&mut self, depth: usize, names: &[&'a str]) -> Option<Json<'a>> {
        self.skip_blanks();
        let start = self.at;
        Some(match self.peek()? {
            b'{' if depth < DEEPEST => {
                let mut found = Vec::with_capacity(names.len());
                self.at += 1;
                if !self.ends_at_once(b'}') {
                    loop {
                        self.skip_blanks();
                        let name = self.name(names.get(found.len()).copied())?;
                        self.skip_blanks();
                        self.take(b':')?;
                        found.push((name, self.value(depth + 1, &[])?));
                        if !self.goes_on(b'}')? {
                            break;
                        }
                    }
                }
                Json::Object(&self.text[start..self.at], found)
            }
            b'[' if depth < DEEPEST => {
                let mut items = Vec::new();
                self.at += 1;
                if !self.ends_at_once(b']') {
                    loop {
                        items.push(self.value(depth + 1, &[])?);
                        if !self.goes_on(b']')? {
                            break;
                        }
                    }
                }
                Json::List(&self.text[start..self.at], items)
            }
            b'"' => Json::String(self.string()?),
            b't' => self.word("true", Json::Bool(true))?,
            b'f' => self.word("false", Json::Bool(false))?,
            b'n' => self.word("null", Json::Null)?,
            _ => Json::Number(self.number()?),
        })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether a list or an object that has just begun is empty; then it is stepped over.
    fn ends_at_once(&mut self, end: u8) -> bool {
        self.skip_blanks();
        self.take(end).is_some()
    }

    /// Whether there is a comma behind a value, and not the end.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.skip_blanks();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            _ if byte == end => Some(false),
            _ => None,
        }
    }

    /// A member's name, which may be the expected one. That stood in a text as it is, and has nothing in it that ends it.
    fn name(&mut self, expected: Option<&'a str>) -> Option<Cow<'a, str>> {
        if let Some(expected) = expected
            && let Some(rest) = self.bytes.get(self.at..)?.strip_prefix(b"\"")
            && let Some(rest) = rest.strip_prefix(expected.as_bytes())
            && rest.first() == Some(&b'"')
        {
            self.at += expected.len() + 2;
            return Some(Cow::Borrowed(expected));
        }
        self.string()
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            self.at += plain(self.bytes.get(self.at..)?);
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return None,
            }
        }
        self.at += 1;
        if escaped {
            serde_json::from_str(&self.text[start..self.at]).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&self.text[start + 1..self.at - 1]))
        }
    }

    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(&self.text[start..self.at])
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }
}

/// How many bytes there are before the first that is a quote, a backslash or a control character. Eight are looked at at
/// a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    // The top bit of the first byte that is below `bound` is set, and none before it.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & TOPS;
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let ends = is(b'"') | is(b'\\') | below(word, 0x20);
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    at + rest.unwrap_or(bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_end_where_looking_at_each_byte_finds_their_end(
            bytes in prop::collection::vec(
                prop_oneof![
                    8 => any::<u8>(),
                    2 => prop::sample::select(vec![b'"', b'\\', 0x1f, 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff]),
                    20 => Just(b'a'),
                ],
                0..40,
            ),
        ) {
            let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let slow = bytes.iter().position(is_end).unwrap_or(bytes.len());
            prop_assert_eq!(plain(&bytes), slow);
        }
    }

    #[test]
    fn values_are_what_serde_json_reads() {
        for text in [
            "null",
            " true ",
            "-1.5e3",
            r#""a\"b\\""#,
            r#""é\u00e9\n""#,
            "[]",
            "{}",
            r#"[1, [2 ,3],{"a":[]} ]"#,
            r#"{"a" : {"b":"}"}, "c,":[true,false,null], "\u0064":"\\"}"#,
            "[0, -0, -0.0e+5, 1E5, 10.25, { } , [ ] ]",
        ] {
            let json = parse(text).unwrap();
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(rebuilt(&json), expected, "{text}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&json.to_json()).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    fn rebuilt(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::List(_, items) => items.iter().map(rebuilt).collect(),
            Json::Object(_, members) => {
                members.iter().map(|(name, value)| (name.to_string(), rebuilt(value))).collect()
            }
            scalar => serde_json::from_str(&scalar.to_json()).unwrap(),
        }
    }

    /// Cuts, doubles and swaps bytes of valid texts: both readers say yes or no to the same ones.
    #[test]
    fn what_is_json_is_what_serde_json_says() {
        let whole = r#"{"a":[1,-0.5e+3,"x\n\u00e9",{}],"b":{"c":null,"d":[true,false]}, "e" : ""}"#;
        let mut seen = [0, 0];
        for at in 0..whole.len() {
            for byte in b" ,:{}[]\"\\0-1.eEtn\n" {
                for with in [&[][..], &[*byte][..], &[*byte, whole.as_bytes()[at]][..]] {
                    let mut text = whole.as_bytes().to_vec();
                    text.splice(at..=at, with.iter().copied());
                    let Ok(text) = String::from_utf8(text) else { continue };
                    let expected = serde_json::from_str::<serde_json::Value>(&text);
                    assert_eq!(parse(&text).is_ok(), expected.is_ok(), "{text}");
                    seen[usize::from(expected.is_ok())] += 1;
                }
            }
        }
        assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
    }

    #[test]
    fn names_that_are_expected_change_nothing() {
        for text in [
            r#"{"a":1,"b":2}"#,
            r#"{ "a" : {"a":1,"b":[{"b":1}]} , "b":"a"}"#,
            r#"{"b":1,"a":2,"c":3}"#,
            r#"{"ab":1,"":2}"#,
            r#"{"\u0061":1,"a\"":2}"#,
            r#"{"a"1}"#,
            r#"{"a"#,
            "[]",
        ] {
            for names in [&["a", "b"][..], &["a"], &["", "b"], &["ab", ""], &["b", "a", "c", "d"]] {
                assert_eq!(parse_expecting(text, names), parse(text), "{text} {names:?}");
            }
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let number = "12345678901234567890.123456789012345678901";
        assert_eq!(parse(number), Ok(Json::Number(number)));
    }

    #[test]
    fn values_one_after_another_are_told_apart() {
        for (text, values) in [
            (r#"{"a":1}"#, vec![r#"{"a":1}"#]),
            (r#"{"a":1}{"a":"}{"} [2]"#, vec![r#"{"a":1}"#, r#"{"a":"}{"}"#, "[2]"]),
            (r#"{"a":1}{"a":"#, vec![r#"{"a":1}{"a":"#]),
            ("{oops}", vec!["{oops}"]),
        ] {
            let mut told = Vec::new();
            assert_eq!(parse_each(text, &[], |value, _| told.push(value)), values.len() as u64);
            assert_eq!(told, values);
        }
    }

    #[test]
    fn what_is_not_json_is_said_to_be_so() {
        for text in [
            "",
            "{",
            "{'a':1}",
            "{\"a\":1} x",
            "01",
            "\"\\ud800\"",
            "nul",
            "tru",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "1.5.5",
            "\"a\nb\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a",
            "\"a\\",
            "nullx",
            "[1}",
            &"[".repeat(99_999),
            &format!("{}{}", "[".repeat(101), "]".repeat(101)),
        ] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
        assert_eq!(parse("{\"a\":}").unwrap_err(), "expected value at character 6");
    }
}
