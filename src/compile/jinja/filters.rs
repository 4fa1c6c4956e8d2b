//! Which filters and tests does dbt's Jinja have beyond the library's?

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::arithmetic;
use super::{values, wording};

/// Adds them.
pub(super) fn add(env: &mut Environment<'static>) {
    for name in ["as_text", "string"] {
        env.add_filter(name, |value: Value| value.to_string());
    }
    env.add_filter("as_native", |value: Value| value);
    env.add_filter("as_bool", as_bool);
    env.add_filter("as_number", as_number);
    env.add_filter("int", |value: Value, default: Option<i64>, base: Option<u32>, more: Kwargs| {
        let default = default.or(more.get::<Option<i64>>("default")?).unwrap_or(0);
        let base = base.or(more.get::<Option<u32>>("base")?).unwrap_or(10);
        more.assert_all_used()?;
        Ok::<i64, Error>(int_of_base(&value, base).unwrap_or(default))
    });
    env.add_filter("float", |value: Value, default: Option<f64>| {
        value.to_string().trim().parse::<f64>().unwrap_or(default.unwrap_or(0.0))
    });
    env.add_filter("list", |value: Value| values::items(&value).map(values::list));
    env.add_test("sequence", |value: Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
    });
    env.add_test("iterable", |value: Value| {
        value.try_iter().is_ok() && !value.is_undefined() && !value.is_none()
    });
    env.add_test("callable", |value: Value| {
        value.as_object().is_some()
            && !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
    });
    for name in ["escape", "e", "forceescape"] {
        env.add_filter(name, |value: Value| escaped(&value.to_string()));
    }
    arithmetic::add(env);
    env.add_filter("__format", |format: String, args: Rest<Value>| printf(&format, &args));
    wording::add(env);
    env.add_test("mapping", |value: Value| value.kind() == ValueKind::Map);
    env.add_function("__list", |value: Value| values::items(&value).map(values::list));
    env.add_function("__dict", |value: Value| values::dict(values::entries(&value)));
    env.add_function("__own", values::own);
}

/// Python's `format % args`, for the conversions that SQL is made with.
fn printf(format: &str, args: &[Value]) -> Result<String, Error> {
    let invalid = |why: &str| Error::new(ErrorKind::InvalidOperation, why.to_owned());
    // `%(name)s` is of the one mapping that is given.
    let named = args.first().filter(|first| args.len() == 1 && first.kind() == ValueKind::Map);
    let mut args = args.iter();
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut spec, mut name) = (String::new(), None);
        let kind = loop {
            match chars.next() {
                Some('(') if spec.is_empty() && name.is_none() => {
                    name = Some(chars.by_ref().take_while(|c| *c != ')').collect::<String>());
                }
                Some(c) if c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | ' ') => spec.push(c),
                Some(c) => break c,
                None => return Err(invalid("the format ends in the middle of a conversion")),
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match (name, named) {
            (Some(name), Some(named)) => named.get_item(&name.as_str().into())?,
            (Some(_), None) => {
                return Err(invalid("the format names what it takes, and is given no mapping"));
            }
            (None, _) => {
                let next = args.next().cloned();
                next.ok_or_else(|| invalid("there are fewer arguments than the format takes"))?
            }
        };
        let text = match kind {
            'd' | 'i' => lenient_int(&value).unwrap_or(0).to_string(),
            'f' => {
                let digits = spec.split_once('.').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(6);
                format!("{:.digits$}", value.to_string().parse::<f64>().unwrap_or(0.0))
            }
            _ => value.to_string(),
        };
        let width: usize =
            spec.split('.').next().unwrap_or_default().trim_matches(['-', '+', ' ']).parse().unwrap_or(0);
        let zeros = spec.starts_with('0');
        out.push_str(&match (zeros, spec.starts_with('-')) {
            (true, _) => format!("{text:0>width$}"),
            (false, true) => format!("{text:<width$}"),
            (false, false) => format!("{text:>width$}"),
        });
    }
    if named.is_none() && args.next().is_some() {
        return Err(invalid("there are more arguments than the format takes"));
    }
    Ok(out)
}

/// A whole number whose digits are those of `base`, `0x`, `0o` and `0b` left aside.
fn int_of_base(value: &Value, base: u32) -> Option<i64> {
    let written = value.as_str().map(|text| text.trim().replace('_', ""));
    let Some(text) = written.filter(|_| base != 10 && (2..=36).contains(&base)) else {
        return lenient_int(value);
    };
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let mark = match base {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    let lower = digits.to_lowercase();
    let number = i64::from_str_radix(lower.strip_prefix(mark).unwrap_or(&lower), base).ok()?;
    Some(if is_negative { -number } else { number })
}

/// A text for HTML, spelled as MarkupSafe does.
fn escaped(text: &str) -> String {
    let marks = [("&", "&amp;"), (">", "&gt;"), ("<", "&lt;"), ("'", "&#39;"), ("\"", "&#34;")];
    marks.iter().fold(text.to_owned(), |text, (mark, entity)| text.replace(mark, entity))
}

fn lenient_int(value: &Value) -> Option<i64> {
    let text = value.to_string();
    let is_grouped = |text: &str| {
        let digits = text.trim_start_matches(['-', '+']);
        !digits.is_empty()
            && digits.split('_').all(|part| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty())
    };
    let text = text.trim();
    let text = &*if is_grouped(text) { text.replace('_', "") } else { text.to_owned() };
    match text {
        "True" | "true" => Some(1),
        "False" | "false" => Some(0),
        text => text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number.trunc() as i64)),
    }
}

/// What dbt takes for a truth value; whatever else as it is, since it may be a part of a larger expression
/// (`a == 'b' | as_bool`), and what it ends in is judged where a truth value is needed.
fn as_bool(value: Value) -> Value {
    match value.to_string().trim() {
        "True" | "true" | "1" => true.into(),
        "False" | "false" | "0" => false.into(),
        _ => value,
    }
}

/// The same for numbers.
fn as_number(value: Value) -> Value {
    let text = value.to_string();
    let text = text.trim();
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _) => number.into(),
        (_, Ok(number)) => number.into(),
        _ => value,
    }
}
