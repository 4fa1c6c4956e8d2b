//! Which filters of Jinja's turn texts into other texts?
//!
//! What Jinja 3.1 has of them beyond the library: shortening, wrapping, counting, and what web pages need.

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::call::Call;
use super::convert::sorted;
use super::mistake::Mistake;
use super::{emit, values};

/// Adds them.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("center", |text: Value, width: Option<usize>| -> Result<String, Error> {
        let (text, width) = (text.to_string(), bounded(width.unwrap_or(80))?);
        let missing = width.saturating_sub(text.chars().count());
        let before = missing / 2 + (missing & width & 1);
        Ok(format!("{}{text}{}", " ".repeat(before), " ".repeat(missing - before)))
    });
    env.add_filter("wordcount", |text: Value| {
        let text = text.to_string();
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
    });
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", wordwrap);
    env.add_filter("filesizeformat", file_size);
    env.add_filter("striptags", striptags);
    env.add_filter("urlencode", urlencode);
    env.add_filter("urlize", urlize);
    env.add_filter("xmlattr", xmlattr);
    env.add_filter("forceescape", |text: Value| escaped(&text.to_string()));
    env.add_filter("replace", |text: Value, old: Value, new: Value, count: Option<i64>| {
        let (text, old, new) = (text.to_string(), old.to_string(), new.to_string());
        match count.and_then(|count| usize::try_from(count).ok()) {
            Some(count) => text.replacen(&old, &new, count),
            None => text.replace(&old, &new),
        }
    });
    env.add_filter("tojson", tojson);
    env.add_filter("random", random);
    for name in ["length", "count"] {
        env.add_filter(name, length);
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Mistake::new("elt::jinja", what).into()
}

fn bounded(width: usize) -> Result<usize, Error> {
    if width > 10_000_000 { Err(wrong("a text of more than ten million characters")) } else { Ok(width) }
}

/// The items or characters there are; none of what is not defined.
fn length(value: Value) -> Result<usize, Error> {
    match value.len() {
        Some(length) => Ok(length),
        None if value.is_undefined() => Ok(0),
        None => match values::items(&value) {
            Ok(items) => Ok(items.len()),
            Err(_) => Err(wrong(format!("object of type '{}' has no len()", value.kind()))),
        },
    }
}

/// JSON with its keys in order, that can stand in a web page, as Jinja's filter has it (dbt's function has not).
fn tojson(value: Value, indent: Option<usize>, more: Kwargs) -> Result<String, Error> {
    let indent = indent.or(more.get::<Option<usize>>("indent")?);
    more.assert_all_used()?;
    let json = sorted(values::to_json(&value));
    let text = match indent {
        Some(width) => emit::indented(&json, bounded(width)?, 0),
        None => emit::json(&json),
    };
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027"))
}

/// One item, the same in every render of a run, another in another run.
fn random(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    let items = values::items(&value)?;
    let run = state.lookup("invocation_id").unwrap_or_default().to_string();
    let seed = run.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    match u64::try_from(items.len()) {
        Ok(length) if length > 0 => Ok(items[usize::try_from(seed % length).unwrap_or(0)].clone()),
        _ => Ok(Value::UNDEFINED),
    }
}

/// The argument at position `at`, or called `name`, as a whole number or a flag.
fn number(call: &Call, at: usize, name: &str, default: usize) -> Result<usize, Error> {
    match call.get(at, name) {
        Some(value) => {
            value.as_usize().ok_or_else(|| wrong(format!("`{name}` is a whole number, and here is {value}")))
        }
        None => Ok(default),
    }
}

fn flag(call: &Call, at: usize, name: &str, default: bool) -> bool {
    call.get(at, name).map_or(default, Value::is_true)
}

/// Refuses arguments that a filter has no parameter for.
fn known(call: &Call, names: &[&str]) -> Result<(), Error> {
    match call.order.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(wrong(format!("got an unexpected keyword argument '{name}'"))),
        None => Ok(()),
    }
}

fn truncate(text: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let call = Call::of(&args);
    known(&call, &["length", "killwords", "end", "leeway"])?;
    let length = number(&call, 0, "length", 255)?;
    let killwords = flag(&call, 1, "killwords", false);
    let end = call.get(2, "end").map_or_else(|| "...".to_owned(), Value::to_string);
    let leeway = number(&call, 3, "leeway", 5)?;
    let text = text.to_string();
    if text.chars().count() <= length + leeway {
        return Ok(text);
    }
    let Some(keep) = length.checked_sub(end.chars().count()) else {
        return Err(wrong(format!("expected length >= {}, got {length}", end.chars().count())));
    };
    let kept: String = text.chars().take(keep).collect();
    let kept =
        if killwords { kept.as_str() } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept) };
    Ok(format!("{kept}{end}"))
}

fn wordwrap(text: Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let call = Call::of(&args);
    known(&call, &["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = number(&call, 0, "width", 79)?.max(1);
    let breaks = flag(&call, 1, "break_long_words", true);
    let by = call
        .get(2, "wrapstring")
        .filter(|by| !by.is_none())
        .map_or_else(|| "\n".to_owned(), Value::to_string);
    let hyphens = flag(&call, 3, "break_on_hyphens", true);
    let text = text.to_string();
    let lines: Vec<String> =
        text.lines().map(|line| wrapped(line, width, breaks, hyphens).join(&by)).collect();
    Ok(lines.join(&by))
}

/// One line cut into lines of at most `width` characters.
fn wrapped(line: &str, width: usize, breaks: bool, hyphens: bool) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_inclusive(' ') {
        match hyphens {
            true => words.extend(word.split_inclusive('-').map(str::to_owned)),
            false => words.push(word.to_owned()),
        }
    }
    let length = |text: &str| text.chars().count();
    let (mut lines, mut now) = (Vec::new(), String::new());
    for mut word in words {
        while length(now.as_str()) + length(word.trim_end()) > width {
            if !now.trim_end().is_empty() && (length(word.trim_end()) <= width || !breaks) {
                lines.push(std::mem::take(&mut now).trim_end().to_owned());
                continue;
            }
            if !breaks {
                break;
            }
            let room = width.saturating_sub(length(&now));
            if room == 0 {
                lines.push(std::mem::take(&mut now).trim_end().to_owned());
                continue;
            }
            let cut = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
            let rest = word.split_off(cut);
            now.push_str(&word);
            lines.push(std::mem::take(&mut now).trim_end().to_owned());
            word = rest;
        }
        now.push_str(&word);
    }
    if !now.trim_end().is_empty() {
        lines.push(now.trim_end().to_owned());
    }
    lines
}

fn file_size(value: Value, binary: Option<bool>, more: Kwargs) -> Result<String, Error> {
    let binary = binary.or(more.get::<Option<bool>>("binary")?).unwrap_or(false);
    more.assert_all_used()?;
    let bytes: f64 =
        value.to_string().parse().map_err(|_| wrong(format!("`{value}` is no number of bytes")))?;
    let (base, units) = match binary {
        true => (1024.0_f64, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]),
        false => (1000.0_f64, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    if bytes == 1.0 {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut size = bytes / base;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    Ok(format!("{size:.1} {}", units[unit]))
}

fn striptags(text: Value) -> String {
    let text = text.to_string();
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some(open) = rest.find('<') {
        let is_comment = rest[open..].starts_with("<!--");
        let close = if is_comment {
            rest[open..].find("-->").map(|at| at + 3)
        } else {
            rest[open..].find('>').map(|at| at + 1)
        };
        let Some(close) = close else { break };
        out.push_str(&rest[..open]);
        rest = &rest[open + close..];
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", "\u{a0}"),
        ("&amp;", "&"),
    ];
    marks.iter().fold(words.join(" "), |text, (mark, c)| text.replace(mark, c))
}

/// A text for an address, with `%` and two digits for what may not stand there; `kept` may.
fn percent(text: &str, kept: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "_.-~".contains(c) || kept.contains(c) => out.push(c),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn urlencode(value: Value) -> Result<String, Error> {
    let pairs = match value.kind() {
        ValueKind::Map => values::entries(&value),
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |pair: &Value| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?));
            values::items(&value)?.iter().map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Ok(percent(&value.to_string(), "/")),
    };
    let plus = |value: &Value| percent(&value.to_string(), " ").replace(' ', "+");
    Ok(pairs
        .iter()
        .map(|(key, value)| format!("{}={}", plus(key), plus(value)))
        .collect::<Vec<_>>()
        .join("&"))
}

fn escaped(text: &str) -> String {
    let marks = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")];
    marks.iter().fold(text.to_owned(), |text, (c, mark)| text.replace(*c, mark))
}

fn urlize(text: Value) -> String {
    let text = text.to_string();
    let link = |word: &str| {
        let trimmed = word.trim_end_matches(['.', ',', ':', ';', '!', '?', ')']);
        let (before, after) = (trimmed, &word[trimmed.len()..]);
        let shown = escaped(before);
        let is_mail = before.contains('@')
            && before.rsplit_once('@').is_some_and(|(name, at)| !name.is_empty() && at.contains('.'));
        let target = if before.starts_with("https://") || before.starts_with("http://") {
            format!("<a href=\"{shown}\" rel=\"noopener\">{shown}</a>")
        } else if before.starts_with("www.") {
            format!("<a href=\"https://{shown}\" rel=\"noopener\">{shown}</a>")
        } else if is_mail {
            format!("<a href=\"mailto:{shown}\">{shown}</a>")
        } else {
            shown
        };
        format!("{target}{}", escaped(after))
    };
    text.split_inclusive(char::is_whitespace)
        .map(|part| {
            let word = part.trim_end();
            format!("{}{}", link(word), &part[word.len()..])
        })
        .collect()
}

fn xmlattr(value: Value, autospace: Option<bool>) -> Result<String, Error> {
    let mut all = Vec::new();
    for (key, value) in values::entries(&value) {
        let key = key.to_string();
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(wrong(format!("invalid character in attribute name: '{key}'")));
        }
        if !value.is_none() && !value.is_undefined() {
            all.push(format!("{}=\"{}\"", escaped(&key), escaped(&value.to_string())));
        }
    }
    let space = if autospace.unwrap_or(true) && !all.is_empty() { " " } else { "" };
    Ok(format!("{space}{}", all.join(" ")))
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    /// What Jinja 3.1 answers.
    #[test]
    fn filters_of_texts_are_those_of_jinja() {
        let mut env = Environment::new();
        super::super::filters::add(&mut env);
        for (expression, answer) in [
            ("'hello'|center(10) ~ '|'", "  hello   |"),
            (
                "'a b c,d'|wordcount ~ nothing|wordcount ~ nothing|length ~ 'abc'|length ~ {'a': 1}|count",
                "40031",
            ),
            ("'long text here now'|truncate(10)", "long..."),
            ("'long text here now'|truncate(10, true, '..')", "long tex.."),
            ("'long text here now'|truncate(length=10, end='!')", "long!"),
            ("'foo bar baz qux'|truncate(11)", "foo bar baz qux"),
            ("'a b c d'|wordwrap(3)", "a b\nc d"),
            ("'aaaaaaaaaa bb'|wordwrap(4)", "aaaa\naaaa\naa\nbb"),
            ("'aaa-bbb cc'|wordwrap(4, break_long_words=false)", "aaa-\nbbb\ncc"),
            ("'a\n\nb c d e'|wordwrap(3)", "a\n\nb c\nd e"),
            (
                "12345|filesizeformat ~ 1|filesizeformat ~ 0|filesizeformat ~ 1000000|filesizeformat",
                "12.3 kB1 Byte0 Bytes1.0 MB",
            ),
            ("1024|filesizeformat(true) ~ 5000000|filesizeformat(binary=true)", "1.0 KiB4.8 MiB"),
            (
                "'a b/c?&é'|urlencode ~ ' ' ~ {'a': 'x y', 'b': 1}|urlencode ~ ' ' ~ [('a', '/')]|urlencode",
                "a%20b/c%3F%26%C3%A9 a=x+y&b=1 a=%2F",
            ),
            ("'<b>x</b>  <!-- c --> y &amp; z'|striptags", "x y & z"),
            ("{'a': 1, 'b': none, 'c': '<'}|xmlattr", " a=\"1\" c=\"&lt;\""),
            ("'aXbXc'|replace('X', '-', 1) ~ 'aXbX'|replace('X', '')", "a-bXcab"),
            ("{'b': 1, 'a': \"<x'&>é\"}|tojson", r#"{"a": "\u003cx\u0027\u0026\u003e\u00e9", "b": 1}"#),
            ("{'b': [1, {}], 'a': 2}|tojson(indent=2)", "{\n  \"a\": 2,\n  \"b\": [\n    1,\n    {}\n  ]\n}"),
            ("[1, 2]|random in [1, 2]", "True"),
            ("'0x1f'|int(0, 16) ~ 'x'|int(9) ~ '12'|int(base=8)", "31910"),
            (
                "'see http://x.org/a now, a@b.org'|urlize",
                "see <a href=\"http://x.org/a\" rel=\"noopener\">http://x.org/a</a> now, <a href=\"mailto:a@b.org\">a@b.org</a>",
            ),
            ("'<a>'|forceescape", "&lt;a&gt;"),
        ] {
            let found = env.compile_expression(expression).unwrap().eval(()).unwrap();
            assert_eq!(found.to_string(), answer, "{expression}");
        }
        assert!(env.compile_expression("5|length").unwrap().eval(()).is_err());
    }
}
