//! Which of Python's modules do templates have?
//!
//! `modules.datetime`, `modules.pytz`, `modules.re` and `modules.itertools`, as far as dbt's projects use them.

use std::fmt;
use std::sync::Arc;

use fancy_regex::{Captures, Regex};
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
use super::itertools::Itertools;
use super::mistake::Mistake;
use super::scope::Scope;
use super::time::{Class, zone};
use super::values;

/// `modules`
pub(super) fn modules(scope: &Arc<Scope>) -> Value {
    let now = scope.given.run_started_at;
    let classes = ["datetime", "date", "time", "timedelta"]
        .map(|name| (Value::from(name), Value::from_object(Class { name, now })));
    let utc = zone("UTC").unwrap_or_default();
    let pytz = values::dict([
        ("timezone".into(), Value::from_function(|name: String| zone(&name))),
        ("utc".into(), utc.clone()),
        ("UTC".into(), utc),
    ]);
    values::dict([
        ("datetime".into(), values::dict(classes)),
        ("pytz".into(), pytz),
        ("re".into(), Value::from_object(Re)),
        ("itertools".into(), Value::from_object(Itertools)),
    ])
}

/// `modules.re`
#[derive(Debug)]
struct Re;

/// `re.compile(…)`
#[derive(Debug)]
struct Pattern(Regex);

/// What `re.match` found.
#[derive(Debug)]
struct Match {
    /// What each group found, and from which character to which.
    groups: Vec<Option<(String, usize, usize)>>,
    names: Vec<Option<String>>,
    subject: String,
}

fn pattern(value: &Value, flags: Option<&Value>) -> Result<Regex, Error> {
    if let Some(Pattern(compiled)) = value.downcast_object_ref::<Pattern>() {
        return Ok(compiled.clone());
    }
    let flags = flags.and_then(Value::as_i64).unwrap_or(0);
    let mut prefix = String::new();
    for (bit, letter) in [(2, 'i'), (8, 'm'), (16, 's'), (64, 'x')] {
        if flags & bit != 0 {
            prefix.push(letter);
        }
    }
    let prefix = if prefix.is_empty() { prefix } else { format!("(?{prefix})") };
    Regex::new(&format!("{prefix}{value}")).map_err(|error| {
        let what = format!("`{value}` is not a regular expression that elt knows: {error}");
        Mistake::new("elt::jinja", what).into()
    })
}

/// An expression that looks around may try too many ways.
fn too_hard(error: fancy_regex::Error) -> Error {
    Mistake::new("elt::jinja", format!("a regular expression was given up: {error}"))
        .help("say more plainly what it is to find")
        .into()
}

fn found(regex: &Regex, captures: &Captures<'_, str>, subject: &str) -> Value {
    let chars = |byte: usize| subject.get(..byte).map_or(0, |before| before.chars().count());
    let one =
        |group: fancy_regex::Match<'_>| (group.as_str().to_owned(), chars(group.start()), chars(group.end()));
    let groups = captures.iter().map(|group| group.map(one)).collect();
    let names = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
    Value::from_object(Match { groups, names, subject: subject.to_owned() })
}

/// Python's `\1` and `\g<name>` as the library writes them.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.replace('$', "$$").chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                chars.next();
                out.push_str(&format!("${{{digit}}}"));
            }
            ('\\', Some('g')) => {
                chars.next();
                let name: String = chars.by_ref().skip(1).take_while(|c| *c != '>').collect();
                out.push_str(&format!("${{{name}}}"));
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            _ => out.push(c),
        }
    }
    out
}

fn run(method: &str, regex: &Regex, call: &Call, from: usize) -> Result<Value, Error> {
    let text = |at: usize, name: &str| call.text(at + from, name);
    match method {
        "match" | "fullmatch" => {
            let subject = text(0, "string")?;
            let whole = if method == "fullmatch" { "$" } else { "" };
            let anchored = Regex::new(&format!("^(?:{}){whole}", regex.as_str())).unwrap_or(regex.clone());
            let captures = anchored.captures(subject.as_str()).map_err(too_hard)?;
            Ok(captures.map_or(Value::from(()), |captures| found(&anchored, &captures, &subject)))
        }
        "search" => {
            let subject = text(0, "string")?;
            let captures = regex.captures(subject.as_str()).map_err(too_hard)?;
            Ok(captures.map_or(Value::from(()), |captures| found(regex, &captures, &subject)))
        }
        "sub" | "subn" => {
            if call.get(from, "repl").is_some_and(|with| with.as_str().is_none()) {
                let what = format!("a function as what `modules.re.{method}()` puts in");
                return Err(Mistake::unsupported(what, "instead loop over finditer()").into());
            }
            let (with, subject) = (replacement(&text(0, "repl")?), text(1, "string")?);
            let count = call.get(2 + from, "count").and_then(Value::as_usize).unwrap_or(0);
            let replaced = regex.try_replacen(subject.as_str(), count, with.as_str()).map_err(too_hard)?;
            if method == "sub" {
                return Ok(replaced.into_owned().into());
            }
            let number = regex.find_iter(subject.as_str()).count();
            let number = if count == 0 { number } else { number.min(count) };
            Ok(Value::from(Tuple::from([replaced.into_owned().into(), number.into()])))
        }
        "split" => {
            let subject = text(0, "string")?;
            let most = call.get(1 + from, "maxsplit").and_then(Value::as_usize).filter(|most| *most > 0);
            let (mut parts, mut at) = (Vec::new(), 0);
            for captures in regex.captures_iter(subject.as_str()).take(most.unwrap_or(usize::MAX)) {
                let captures = captures.map_err(too_hard)?;
                let Some(whole) = captures.get(0) else { continue };
                parts.push(Value::from(&subject[at..whole.start()]));
                // What stands in brackets is kept, as Python does.
                parts.extend(
                    captures.iter().skip(1).map(|group| group.map_or(Value::from(()), |g| g.as_str().into())),
                );
                at = whole.end();
            }
            parts.push(Value::from(&subject[at..]));
            Ok(values::list(parts))
        }
        "findall" | "finditer" => {
            let subject = text(0, "string")?;
            let one = |captures: Captures<'_, str>| match (method, captures.len()) {
                ("finditer", _) => found(regex, &captures, &subject),
                (_, 1) => captures.get(0).map_or("", |whole| whole.as_str()).into(),
                (_, 2) => captures.get(1).map_or("", |group| group.as_str()).into(),
                _ => {
                    let groups = captures.iter().skip(1).map(|group| group.map_or("", |g| g.as_str()).into());
                    Value::from(Tuple::from(groups.collect::<Vec<Value>>()))
                }
            };
            let all: Result<Vec<Value>, _> =
                regex.captures_iter(subject.as_str()).map(|found| found.map(one)).collect();
            Ok(values::list(all.map_err(too_hard)?))
        }
        _ => Err(Mistake::unsupported(
            format!("`modules.re.{method}()`"),
            "instead use match, search, sub, findall or split",
        )
        .into()),
    }
}

impl Object for Re {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "I" | "IGNORECASE" => 2.into(),
            "M" | "MULTILINE" => 8.into(),
            "S" | "DOTALL" => 16.into(),
            "X" | "VERBOSE" => 64.into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        if method == "escape" {
            return Ok(fancy_regex::escape(&call.text(0, "pattern")?).into_owned().into());
        }
        let written = call.get(0, "pattern").cloned().unwrap_or_default();
        let flags_at = match method {
            "compile" => 1,
            "sub" | "subn" => 4,
            "split" => 3,
            _ => 2,
        };
        let regex = pattern(&written, call.get(flags_at, "flags"))?;
        match method {
            "compile" => Ok(Value::from_object(Pattern(regex))),
            _ => run(method, &regex, &call, 1),
        }
    }
}

impl Object for Pattern {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "pattern" => Some(self.0.as_str().into()),
            "groups" => Some((self.0.captures_len() - 1).into()),
            _ => None,
        }
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        run(method, &self.0, &Call::read(args), 0)
    }
}

impl Match {
    /// The group of this number or name.
    fn group(&self, asked: &Value) -> Option<&Option<(String, usize, usize)>> {
        let by_name =
            || self.names.iter().position(|name| name.is_some() && name.as_deref() == asked.as_str());
        self.groups.get(asked.as_usize().or_else(by_name)?)
    }
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("string") => Some(self.subject.as_str().into()),
            Some("re" | "pos" | "endpos") => None,
            _ => {
                let group = self.group(key)?.as_ref();
                Some(group.map_or(Value::from(()), |(text, ..)| text.as_str().into()))
            }
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let text = |group: &Option<(String, usize, usize)>, default: &Value| {
            group.as_ref().map_or_else(|| default.clone(), |(text, ..)| text.as_str().into())
        };
        let group = |asked: &Value| {
            self.group(asked)
                .ok_or_else(|| Mistake::new("elt::jinja", format!("the match has no group {asked}")))
        };
        let none = Value::from(());
        let default = Call::read(args).get(0, "default").cloned().unwrap_or_else(|| none.clone());
        let whole = Value::from(0);
        let first = args.first().unwrap_or(&whole);
        match method {
            "group" if args.len() > 1 => {
                let all: Result<Vec<Value>, Mistake> =
                    args.iter().map(|one| Ok(text(group(one)?, &none))).collect();
                Ok(Value::from(Tuple::from(all?)))
            }
            "group" => Ok(text(group(first)?, &none)),
            "groups" => {
                let all = self.groups.iter().skip(1).map(|group| text(group, &default));
                Ok(Value::from(Tuple::from(all.collect::<Vec<_>>())))
            }
            "groupdict" => {
                let named = self.names.iter().zip(&self.groups);
                let named =
                    named.filter_map(|(name, group)| Some((name.as_deref()?.into(), text(group, &default))));
                Ok(values::dict(named))
            }
            "start" => Ok(group(first)?.as_ref().map_or(-1, |(_, start, _)| *start as i64).into()),
            "end" => Ok(group(first)?.as_ref().map_or(-1, |(_, _, end)| *end as i64).into()),
            "span" => {
                let span =
                    group(first)?.as_ref().map_or((-1, -1), |(_, start, end)| (*start as i64, *end as i64));
                Ok(Value::from(Tuple::from([span.0.into(), span.1.into()])))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<match {:?}>", self.groups.first().cloned().flatten().unwrap_or_default().0)
    }
}
