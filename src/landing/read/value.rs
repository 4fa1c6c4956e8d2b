//! What does a line of JSON hold, to the last digit?
//!
//! [`Json`] borrows from the line and keeps numbers as they are written, where `serde_json::Value` would
//! round them. `serde_json` still decides what is valid JSON; [`parse`] only takes apart what it accepted.

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
pub(crate) fn parse(text: &str) -> Result<Json<'_>, String> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        // The line is always 1 here; the reader knows the real one.
        let sentence = error.to_string();
        let reason = sentence.split(" at line ").next().unwrap_or(&sentence);
        return Err(format!("{reason} at character {}", error.column()));
    }
    Walker { text, at: 0 }.value(0).ok_or_else(|| {
        format!("nested more than {DEEPEST} levels deep, or a text with half a surrogate pair")
    })
}

/// Reads a text that is one value, or several one after another on one line. `each` is told every one; a text that is
/// neither is told as one. Returns how many there were.
pub(crate) fn parse_each<'a>(text: &'a str, mut each: impl FnMut(&'a str, Result<Json<'a>, String>)) -> u64 {
    let parsed = parse(text);
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
        each(value, parse(value));
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

/// Takes valid JSON apart. Nothing comes back where validity did not promise enough.
struct Walker<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walker<'a> {
    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        let start = self.at_token()?;
        Some(match self.text.as_bytes()[start] {
            b'{' if depth < DEEPEST => {
                let mut members = Vec::new();
                self.at += 1;
                while !self.closes(b'}')? {
                    let name = self.string()?;
                    self.at_token()?;
                    self.at += 1;
                    members.push((name, self.value(depth + 1)?));
                }
                Json::Object(&self.text[start..self.at], members)
            }
            b'[' if depth < DEEPEST => {
                let mut items = Vec::new();
                self.at += 1;
                while !self.closes(b']')? {
                    items.push(self.value(depth + 1)?);
                }
                Json::List(&self.text[start..self.at], items)
            }
            b'{' | b'[' => return None,
            b'"' => Json::String(self.string()?),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => {
                let rest = &self.text[start..];
                let length = rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                self.at += length;
                Json::Number(&rest[..length])
            }
        })
    }

    /// Goes to the next token that is no comma, and steps over it if it is `end`.
    fn closes(&mut self, end: u8) -> Option<bool> {
        let mut at = self.at_token()?;
        if self.text.as_bytes()[at] == b',' {
            self.at += 1;
            at = self.at_token()?;
        }
        let closes = self.text.as_bytes()[at] == end;
        self.at += usize::from(closes);
        Some(closes)
    }

    fn at_token(&mut self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
        Some(self.at)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at_token()?;
        let bytes = self.text.as_bytes();
        let (mut end, mut escaped) = (start + 1, false);
        loop {
            end += bytes[end..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            if bytes[end] == b'"' {
                break;
            }
            escaped = true;
            end += 2;
        }
        self.at = end + 1;
        if escaped {
            serde_json::from_str(&self.text[start..=end]).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&self.text[start + 1..end]))
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Json<'a> {
        self.at += word.len();
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(parse_each(text, |value, _| told.push(value)), values.len() as u64);
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
            &"[".repeat(99_999),
            &format!("{}{}", "[".repeat(101), "]".repeat(101)),
        ] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
        assert_eq!(parse("{\"a\":}").unwrap_err(), "expected value at character 6");
    }
}
