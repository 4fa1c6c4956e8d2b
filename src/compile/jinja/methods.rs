//! Which methods do Python's texts, tuples and numbers have?
//!
//! Lists and dicts have their own ([`values`](super::values)); what is not here is left to the library's Python mode.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
use super::mistake::Mistake;
use super::values;

/// The method `method` of a value that does not know it by itself.
pub(super) fn of_value(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let call = Call::read(args);
    let found = match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), method, &call)?,
        ValueKind::Bytes => of_bytes(value.as_bytes().unwrap_or_default(), method)?,
        ValueKind::Seq => of_sequence(value, method, &call)?,
        ValueKind::Number => of_number(value, method),
        // Results and nodes are mappings here; what dbt makes of them by this method is what they are.
        ValueKind::Map if method == "to_dict" => Some(value.clone()),
        _ => None,
    };
    match found {
        Some(found) => Ok(found),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Mistake::new("elt::jinja", what).into()
}

fn tuple<const N: usize>(parts: [&str; N]) -> Value {
    Value::from(Tuple::from(parts.map(Value::from)))
}

fn of_number(value: &Value, method: &str) -> Option<Value> {
    match method {
        "is_integer" => Some((f64::try_from(value.clone()).ok()?.fract() == 0.0).into()),
        "bit_length" => Some((64 - value.as_i64()?.unsigned_abs().leading_zeros()).into()),
        _ => None,
    }
}

fn of_bytes(bytes: &[u8], method: &str) -> Result<Option<Value>, Error> {
    Ok(match method {
        "decode" => {
            let text = std::str::from_utf8(bytes).map_err(|_| wrong("these bytes are no text"))?;
            Some(text.into())
        }
        "hex" => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
        _ => None,
    })
}

fn of_sequence(value: &Value, method: &str, call: &Call) -> Result<Option<Value>, Error> {
    if method != "index" {
        return Ok(None);
    }
    let (wanted, from) =
        (call.positional.first(), call.positional.get(1).and_then(Value::as_usize).unwrap_or(0));
    let all = values::items(value)?;
    let at = all.iter().skip(from).position(|item| Some(item) == wanted);
    at.map(|at| Some((at + from).into())).ok_or_else(|| wrong("tuple.index(x): x not in tuple"))
}

/// The part of a text that `start` and `end` say, as Python counts, and how many characters stand before it.
fn part<'a>(text: &'a str, call: &Call) -> (&'a str, usize) {
    let length = text.chars().count();
    let bound = |at: usize, name: &str, default: usize| match call.get(at, name).and_then(Value::as_i64) {
        Some(n) if n < 0 => length.saturating_sub(usize::try_from(-n).unwrap_or(usize::MAX)),
        Some(n) => usize::try_from(n).unwrap_or(usize::MAX).min(length),
        None => default,
    };
    let (start, end) = (bound(1, "start", 0), bound(2, "end", length));
    let byte = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    match start <= end {
        true => (&text[byte(start)..byte(end)], start),
        false => ("", start),
    }
}

fn of_text(text: &str, method: &str, call: &Call) -> Result<Option<Value>, Error> {
    if let Some(answer) = about(text, method) {
        return Ok(Some(answer.into()));
    }
    Ok(Some(match method {
        "casefold" => text.to_lowercase().into(),
        "swapcase" => {
            let turned = |c: char| -> String {
                if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
            };
            text.chars().map(turned).collect::<String>().into()
        }
        "title" => titled(text).into(),
        "encode" => Value::from_bytes(text.as_bytes().to_vec()),
        "zfill" => {
            let width = width(call)?;
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text),
            };
            let missing = width.saturating_sub(text.chars().count());
            format!("{sign}{}{digits}", "0".repeat(missing)).into()
        }
        "ljust" | "rjust" | "center" => {
            let fill = call.get(1, "fillchar").map_or_else(|| " ".to_owned(), Value::to_string);
            let width = width(call)?;
            let missing = width.saturating_sub(text.chars().count());
            let before = match method {
                "ljust" => 0,
                "rjust" => missing,
                // Of an odd number Python puts the larger half to the left if the width is odd.
                _ => missing / 2 + (missing & width & 1),
            };
            format!("{}{text}{}", fill.repeat(before), fill.repeat(missing - before)).into()
        }
        "expandtabs" => {
            let size = call.get(0, "tabsize").and_then(Value::as_usize).unwrap_or(8);
            let (mut out, mut column) = (String::new(), 0);
            for c in text.chars() {
                match c {
                    '\t' if size > 0 => {
                        let blanks = size - column % size;
                        out.push_str(&" ".repeat(blanks));
                        column += blanks;
                    }
                    '\t' => {}
                    c => {
                        out.push(c);
                        column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                    }
                }
            }
            out.into()
        }
        "find" | "rfind" | "index" | "rindex" | "count" => {
            let wanted = call.text(0, "sub")?;
            let (inside, before) = part(text, call);
            if method == "count" {
                let number = if wanted.is_empty() {
                    inside.chars().count() + 1
                } else {
                    inside.matches(&*wanted).count()
                };
                return Ok(Some(number.into()));
            }
            let found = if method.starts_with('r') { inside.rfind(&*wanted) } else { inside.find(&*wanted) };
            match found {
                Some(at) => (inside[..at].chars().count() + before).into(),
                None if method.ends_with("find") => Value::from(-1),
                None => return Err(wrong("substring not found")),
            }
        }
        "startswith" | "endswith" => {
            let wanted = call.get(0, "prefix").cloned().unwrap_or_default();
            let wanted = match wanted.as_str() {
                Some(one) => vec![one.to_owned()],
                None if wanted.kind() == ValueKind::Seq => {
                    values::items(&wanted)?.iter().map(Value::to_string).collect()
                }
                None => {
                    return Err(wrong(format!(
                        "{method} first arg must be str or a tuple of str, not {wanted}"
                    )));
                }
            };
            let (inside, _) = part(text, call);
            let is_one = |one: &String| match method {
                "startswith" => inside.starts_with(one.as_str()),
                _ => inside.ends_with(one.as_str()),
            };
            wanted.iter().any(is_one).into()
        }
        "removeprefix" => {
            let prefix = call.text(0, "prefix")?;
            text.strip_prefix(prefix.as_str()).unwrap_or(text).into()
        }
        "removesuffix" => {
            let suffix = call.text(0, "suffix")?;
            text.strip_suffix(suffix.as_str()).unwrap_or(text).into()
        }
        "partition" | "rpartition" => {
            let by = separator(call)?;
            let found = if method == "partition" { text.split_once(&*by) } else { text.rsplit_once(&*by) };
            match found {
                Some((before, after)) => tuple([before, &by, after]),
                None if method == "partition" => tuple([text, "", ""]),
                None => tuple(["", "", text]),
            }
        }
        "split" | "rsplit" => {
            let limit = call.get(1, "maxsplit").and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
            let by = call.get(0, "sep").filter(|by| !by.is_none()).map(Value::to_string);
            if by.as_deref() == Some("") {
                return Err(wrong("empty separator"));
            }
            values::list(split(text, by.as_deref(), limit, method == "rsplit").into_iter().map(Value::from))
        }
        "splitlines" => {
            let keeps = call.get(0, "keepends").is_some_and(Value::is_true);
            let lines = text.split_inclusive('\n');
            values::list(
                lines.map(|line| if keeps { line } else { line.trim_end_matches(['\n', '\r']) }.into()),
            )
        }
        "translate" => {
            let table = call.positional.first().cloned().unwrap_or_default();
            let mut out = String::new();
            for c in text.chars() {
                match table.get_item(&u32::from(c).into()).ok().filter(|to| !to.is_undefined()) {
                    None => out.push(c),
                    Some(to) if to.is_none() => {}
                    Some(to) => match to.as_i64().and_then(|n| char::from_u32(u32::try_from(n).ok()?)) {
                        Some(c) => out.push(c),
                        None => out.push_str(&to.to_string()),
                    },
                }
            }
            out.into()
        }
        "maketrans" => {
            let code = |c: char| Value::from(u32::from(c));
            match call.positional.as_slice() {
                [from, to, gone @ ..] => {
                    let (from, to) = (from.to_string(), to.to_string());
                    if from.chars().count() != to.chars().count() {
                        return Err(wrong("the first two maketrans arguments must have equal length"));
                    }
                    let pairs = from.chars().zip(to.chars()).map(|(from, to)| (code(from), code(to)));
                    let gone: Vec<char> =
                        gone.first().map(|gone| gone.to_string().chars().collect()).unwrap_or_default();
                    values::dict(pairs.chain(gone.into_iter().map(|c| (code(c), Value::from(())))))
                }
                [map] => values::dict(values::entries(map).into_iter().map(|(key, to)| {
                    let key = key.as_str().and_then(|key| key.chars().next()).map_or(key.clone(), code);
                    (key, to)
                })),
                [] => return Err(Error::new(ErrorKind::MissingArgument, "maketrans takes a table")),
            }
        }
        _ => return Ok(None),
    }))
}

/// The questions that are answered by yes and no.
fn about(text: &str, method: &str) -> Option<bool> {
    let all = |is_one: fn(char) -> bool| !text.is_empty() && text.chars().all(is_one);
    Some(match method {
        "isdecimal" | "isdigit" => all(|c| c.is_ascii_digit()),
        "isidentifier" => {
            all(|c| c.is_alphanumeric() || c == '_') && !text.starts_with(|c: char| c.is_numeric())
        }
        "isprintable" => !text.chars().any(char::is_control),
        "istitle" => text.chars().any(char::is_alphabetic) && titled(text) == text,
        _ => return None,
    })
}

/// A capital after everything that is no letter.
fn titled(text: &str) -> String {
    let mut after_letter = false;
    let one = |c: char| {
        let changed: String =
            if after_letter { c.to_lowercase().collect() } else { c.to_uppercase().collect() };
        after_letter = c.is_alphabetic();
        changed
    };
    text.chars().map(one).collect()
}

/// The first argument as a width that a text of a template may have.
fn width(call: &Call) -> Result<usize, Error> {
    let width =
        call.get(0, "width").and_then(Value::as_i64).ok_or_else(|| wrong("the width is a whole number"))?;
    let width = usize::try_from(width).unwrap_or(0);
    if width > 10_000_000 { Err(wrong("a text of more than ten million characters")) } else { Ok(width) }
}

fn separator(call: &Call) -> Result<String, Error> {
    let by = call.text(0, "sep")?;
    if by.is_empty() { Err(wrong("empty separator")) } else { Ok(by) }
}

/// Python's `split` and `rsplit`; without a separator by blanks, and then without empty parts.
fn split(text: &str, by: Option<&str>, limit: Option<usize>, from_right: bool) -> Vec<String> {
    let most = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    let owned = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect();
    match (by, from_right) {
        (Some(by), false) => owned(text.splitn(most, by).collect()),
        (Some(by), true) => {
            let mut parts: Vec<&str> = text.rsplitn(most, by).collect();
            parts.reverse();
            owned(parts)
        }
        (None, false) => {
            let (mut parts, mut rest) = (Vec::new(), text.trim_start());
            while !rest.is_empty() {
                let end =
                    rest.find(char::is_whitespace).filter(|_| parts.len() + 1 < most).unwrap_or(rest.len());
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start();
            }
            // What is left over keeps its blanks at the end, as Python has it.
            owned(parts)
        }
        (None, true) => {
            let (mut parts, mut rest) = (Vec::new(), text.trim_end());
            while !rest.is_empty() {
                let blank = rest.char_indices().rev().find(|(_, c)| c.is_whitespace());
                let start = blank.filter(|_| parts.len() + 1 < most).map_or(0, |(at, c)| at + c.len_utf8());
                parts.push(&rest[start..]);
                rest = rest[..start].trim_end();
            }
            parts.reverse();
            owned(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    /// What Python 3.11 answers.
    #[test]
    fn texts_have_the_methods_of_python() {
        let mut env = Environment::new();
        env.set_unknown_method_callback(super::of_value);
        super::super::filters::add(&mut env);
        for (expression, answer) in [
            ("'-7'.zfill(4) ~ 'x'.zfill(3)", "-00700x"),
            (
                "'ab'.rjust(4, '-') ~ 'ab'.ljust(4) ~ '|' ~ 'a'.center(4, '*') ~ 'ab'.center(5, '*')",
                "--abab  |*a****ab*",
            ),
            ("'a.b.c'.rsplit('.', 1)", "['a.b', 'c']"),
            ("'a.b.c'.split('.', maxsplit=1)", "['a', 'b.c']"),
            ("' a  b c '.split()", "['a', 'b', 'c']"),
            ("' a  b c '.split(none, 1)", "['a', 'b c ']"),
            ("' a  b c '.rsplit(none, 1)", "[' a  b', 'c']"),
            ("'a,b,'.split(',')", "['a', 'b', '']"),
            (
                "'abcb'.index('b') ~ 'abcb'.rindex('b') ~ 'abcb'.find('b', 2) ~ 'abcb'.find('z') ~ 'abcb'.rfind('b', 0, -1)",
                "133-11",
            ),
            ("'a-b-c'.partition('-')", "('a', '-', 'b-c')"),
            ("'a-b-c'.rpartition('-')", "('a-b', '-', 'c')"),
            ("'abc'.partition('-') ~ 'abc'.rpartition('-')", "('abc', '', '')('', '', 'abc')"),
            ("'pre_a'.removeprefix('pre_') ~ 'a.sql'.removesuffix('.sql') ~ 'a'.removeprefix('x')", "aaa"),
            ("'AbC'.swapcase() ~ 'AbC'.casefold() ~ \"they're x1y\".title()", "aBcabcThey'Re X1Y"),
            ("'aaa'.count('aa') ~ 'abc'.count('') ~ 'aXbX'.count('X', 2)", "141"),
            (
                "'abc'.startswith('b', 1) ~ 'abc'.endswith(('x', 'c')) ~ 'abc'.startswith(('x',))",
                "TrueTrueFalse",
            ),
            (
                "'12'.isdecimal() ~ 'a1'.isidentifier() ~ '1a'.isidentifier() ~ 'A Bc'.istitle() ~ 'a\tb'.isprintable()",
                "TrueTrueFalseTrueFalse",
            ),
            (
                "'a\tb'.expandtabs(4) ~ 'a\nb\n'.splitlines() ~ 'a\nb'.splitlines(true)",
                "a   b['a', 'b']['a\\n', 'b']",
            ),
            ("'abc'.translate('x'.maketrans('ab', 'xy', 'c')) ~ 'a'.translate({97: none})", "xy"),
            ("'é'.encode('utf-8').hex() ~ 'é'.encode().decode()", "c3a9é"),
            ("(1, 2, 1).index(1, 1) ~ (1, 2, 1).count(1) ~ (2.0).is_integer() ~ (5).bit_length()", "22True3"),
            ("'{}-{b}'.format(1, b=2) ~ 'x'.upper() ~ '-'.join(['a', 'b']) ~ ' x '.strip()", "1-2Xa-bx"),
        ] {
            let found = env.compile_expression(expression).unwrap().eval(()).unwrap();
            assert_eq!(found.to_string(), answer, "{expression}");
        }
        for wrong in ["'abc'.index('z')", "'a'.split('')", "(1,).index(2)", "'a'.nothing()"] {
            assert!(env.compile_expression(wrong).unwrap().eval(()).is_err(), "{wrong}");
        }
    }
}
