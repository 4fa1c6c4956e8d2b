//! How does Python write a value as JSON or YAML?

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Value as Json;

use super::values;

/// JSON as Python's `json.dumps` writes it: a blank after `,` and `:`, and nothing beyond ASCII.
pub(super) fn json(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let one = |(key, value): (&String, &Json)| format!("{}: {}", text(key), json(value));
            format!("{{{}}}", entries.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        Json::String(written) => text(written),
        scalar => scalar.to_string(),
    }
}

fn text(written: &str) -> String {
    let mut out = String::new();
    for c in Json::from(written).to_string().chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
        }
    }
    out
}

/// JSON over several lines, each level `width` blanks deeper.
pub(super) fn indented(value: &Json, width: usize, depth: usize) -> String {
    let lines = |open: char, inside: Vec<String>, close: char| {
        let deeper = format!("\n{}", " ".repeat(width * (depth + 1)));
        let inside = inside.join(&format!(",{deeper}"));
        format!("{open}{deeper}{inside}\n{}{close}", " ".repeat(width * depth))
    };
    match value {
        Json::Array(items) if !items.is_empty() => {
            lines('[', items.iter().map(|item| indented(item, width, depth + 1)).collect(), ']')
        }
        Json::Object(entries) if !entries.is_empty() => {
            let one = |(key, value): (&String, &Json)| {
                format!("{}: {}", text(key), indented(value, width, depth + 1))
            };
            lines('{', entries.iter().map(one).collect(), '}')
        }
        scalar => json(scalar),
    }
}

/// YAML as PyYAML's `safe_dump` writes it, in blocks; long texts stay on one line.
pub(super) fn yaml(value: &Value, is_sorted: bool) -> String {
    let mut out = String::new();
    match shape(value) {
        Shape::Scalar(word) => {
            let is_open = !word.starts_with(['\'', '"']);
            out.push_str(&word);
            out.push('\n');
            if is_open && !matches!(word.as_str(), "[]" | "{}") {
                out.push_str("...\n");
            }
        }
        whole => block(&mut out, &whole, 0, is_sorted),
    }
    out
}

/// What a value is in YAML.
enum Shape {
    Scalar(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

fn shape(value: &Value) -> Shape {
    match value.kind() {
        ValueKind::Map => match values::entries(value) {
            none if none.is_empty() => Shape::Scalar("{}".to_owned()),
            entries => Shape::Map(entries),
        },
        ValueKind::Seq | ValueKind::Iterable => match values::items(value).unwrap_or_default() {
            none if none.is_empty() => Shape::Scalar("[]".to_owned()),
            items => Shape::List(items),
        },
        _ => Shape::Scalar(word(&values::to_json(value))),
    }
}

fn block(out: &mut String, shape: &Shape, depth: usize, is_sorted: bool) {
    let blanks = "  ".repeat(depth);
    // What stands in an item begins on the line of its dash.
    let mut first = out.ends_with("- ");
    let mut indent = |out: &mut String| match std::mem::take(&mut first) {
        true => {}
        false => out.push_str(&blanks),
    };
    match shape {
        Shape::Scalar(word) => {
            out.push_str(word);
            out.push('\n');
        }
        Shape::List(items) => {
            for item in items {
                indent(out);
                out.push_str("- ");
                block(out, &self::shape(item), depth + 1, is_sorted);
            }
        }
        Shape::Map(entries) => {
            let mut entries: Vec<&(Value, Value)> = entries.iter().collect();
            if is_sorted {
                entries.sort_by(|a, b| a.0.cmp(&b.0));
            }
            for (key, value) in entries {
                indent(out);
                out.push_str(&word(&values::to_json(key)));
                out.push(':');
                match self::shape(value) {
                    Shape::Scalar(word) => {
                        out.push(' ');
                        out.push_str(&word);
                        out.push('\n');
                    }
                    // A list in a mapping stands where its key does.
                    list @ Shape::List(_) => {
                        out.push('\n');
                        block(out, &list, depth, is_sorted);
                    }
                    map @ Shape::Map(_) => {
                        out.push('\n');
                        block(out, &map, depth + 1, is_sorted);
                    }
                }
            }
        }
    }
}

/// A scalar as a word of YAML, in quotes where it would be read as something else.
fn word(value: &Json) -> String {
    let Json::String(written) = value else {
        return match value {
            Json::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
            scalar => scalar.to_string(),
        };
    };
    let is_special = |c: char| !c.is_ascii() || (c.is_ascii_control() && c != '\n');
    if written.contains(is_special) || written.contains('\n') {
        return escaped(written);
    }
    let begins_otherwise = written.starts_with(|c: char| "!&*%@`\"'#,[]{}|>".contains(c))
        || ["- ", "? ", ": ", "---", "..."].iter().any(|mark| written.starts_with(mark))
        || matches!(written.as_str(), "-" | "?" | ":" | "=" | "<<");
    let is_date = written.len() >= 8
        && written.get(4..5) == Some("-")
        && written.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    let is_text = crate::project::read_yaml(written).is_ok_and(|read| read == *value);
    let is_plain = is_text
        && !begins_otherwise
        && !is_date
        && !written.contains(": ")
        && !written.contains(" #")
        && !written.ends_with([':', ' '])
        && !written.starts_with(' ');
    if is_plain { written.clone() } else { format!("'{}'", written.replace('\'', "''")) }
}

/// A text in double quotes, for characters that cannot be written otherwise.
fn escaped(written: &str) -> String {
    let mut out = String::from("\"");
    for c in written.chars() {
        match (c, u32::from(c)) {
            ('"', _) => out.push_str("\\\""),
            ('\\', _) => out.push_str("\\\\"),
            ('\n', _) => out.push_str("\\n"),
            ('\t', _) => out.push_str("\\t"),
            ('\r', _) => out.push_str("\\r"),
            (c, 0x20..=0x7e) => out.push(c),
            (_, code @ ..=0xff) => out.push_str(&format!("\\x{code:02X}")),
            (_, code @ ..=0xffff) => out.push_str(&format!("\\u{code:04X}")),
            (_, code) => out.push_str(&format!("\\U{code:08X}")),
        }
    }
    out.push('"');
    out
}

fn float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let written = format!("{number:e}");
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let digits = if digits.contains('.') { digits.to_owned() } else { format!("{digits}.0") };
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let written = number.to_string();
    if written.contains('.') { written } else { format!("{written}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.11 and PyYAML 6 write; only texts of several lines are quoted otherwise.
    #[test]
    fn json_and_yaml_are_written_as_python_does() {
        let read = |text: &str| values::from_json(&serde_json::from_str(text).unwrap());
        for (given, written) in [
            (
                r#"{"b":["x",{"c":[1,[2,3]],"d":{}}],"a":null,"e":[]}"#,
                "b:\n- x\n- c:\n  - 1\n  - - 2\n    - 3\n  d: {}\na: null\ne: []\n",
            ),
            (
                r##"{"i":"yes","j":"a: b","k":"it's","m":"","n":" x","o":"#c","p":"- a","q":"012"}"##,
                "i: 'yes'\nj: 'a: b'\nk: it's\nm: ''\nn: ' x'\no: '#c'\np: '- a'\nq: '012'\n",
            ),
            (
                r#"{"r":"é","s":"x\ty","u":"2024-01-01","v":"*a","w":"a:","x":"{a","z":"~","t":true,"f":1.5,"g":1e20}"#,
                "r: \"\\xE9\"\ns: \"x\\ty\"\nu: '2024-01-01'\nv: '*a'\nw: 'a:'\nx: '{a'\nz: '~'\nt: true\nf: 1.5\ng: 1.0e+20\n",
            ),
            (r#""abc""#, "abc\n...\n"),
            (r#""yes""#, "'yes'\n"),
            ("[]", "[]\n"),
            ("[[],5]", "- []\n- 5\n"),
        ] {
            assert_eq!(yaml(&read(given), false), written, "{given}");
            assert_eq!(
                crate::project::read_yaml(&yaml(&read(given), true).replace("...\n", "")).unwrap(),
                serde_json::from_str::<Json>(given).unwrap()
            );
        }
        assert_eq!(yaml(&read(r#"{"b":1,"a":2}"#), true), "a: 2\nb: 1\n");
        assert_eq!(json(&serde_json::json!({"a": ["é", 1, null]})), r#"{"a": ["\u00e9", 1, null]}"#);
        assert_eq!(
            indented(&serde_json::json!({"a": [1, {}]}), 2, 0),
            "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"
        );
    }
}
