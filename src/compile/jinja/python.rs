//! Which of Python's modules do templates have?
//!
//! `modules.datetime`, `modules.pytz`, `modules.re` and `modules.itertools`, as far as dbt's projects use them.

use std::fmt;
use std::sync::Arc;

use fancy_regex::{Captures, Regex};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
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
    groups: Vec<Option<String>>,
    names: Vec<Option<String>>,
    span: (usize, usize),
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

fn found(regex: &Regex, captures: &Captures<'_, str>) -> Value {
    let whole = captures.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()));
    let groups = captures.iter().map(|group| group.map(|group| group.as_str().to_owned())).collect();
    let names = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
    Value::from_object(Match { groups, names, span: whole })
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
            Ok(captures.map_or(Value::from(()), |captures| found(&anchored, &captures)))
        }
        "search" => {
            let subject = text(0, "string")?;
            let captures = regex.captures(subject.as_str()).map_err(too_hard)?;
            Ok(captures.map_or(Value::from(()), |captures| found(regex, &captures)))
        }
        "sub" => {
            let (with, subject) = (replacement(&text(0, "repl")?), text(1, "string")?);
            let count = call.get(2 + from, "count").and_then(Value::as_usize).unwrap_or(0);
            let replaced = regex.try_replacen(subject.as_str(), count, with.as_str()).map_err(too_hard)?;
            Ok(replaced.into_owned().into())
        }
        "split" => {
            let subject = text(0, "string")?;
            let parts: Result<Vec<&str>, _> = regex.split(subject.as_str()).collect();
            Ok(values::list(parts.map_err(too_hard)?.into_iter().map(Value::from)))
        }
        "findall" | "finditer" => {
            let subject = text(0, "string")?;
            let one = |captures: Captures<'_, str>| match (method, captures.len()) {
                ("finditer", _) => found(regex, &captures),
                (_, 1) => captures.get(0).map_or("", |whole| whole.as_str()).into(),
                (_, 2) => captures.get(1).map_or("", |group| group.as_str()).into(),
                _ => {
                    values::list(captures.iter().skip(1).map(|group| group.map_or("", |g| g.as_str()).into()))
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
            "sub" => 4,
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

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        run(method, &self.0, &Call::read(args), 0)
    }
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
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
        let text = |group: &Option<String>| group.as_deref().map_or(Value::from(()), Value::from);
        match method {
            "group" => {
                let asked = args.first().cloned().unwrap_or_else(|| 0.into());
                let by_name = || self.names.iter().position(|name| name.as_deref() == asked.as_str());
                let at = asked.as_usize().or_else(by_name);
                let group = at.and_then(|at| self.groups.get(at));
                group.map(text).ok_or_else(|| {
                    Mistake::new("elt::jinja", format!("the match has no group {asked}")).into()
                })
            }
            "groups" => Ok(values::list(self.groups.iter().skip(1).map(text))),
            "start" => Ok(self.span.0.into()),
            "end" => Ok(self.span.1.into()),
            "span" => Ok(values::list([self.span.0.into(), self.span.1.into()])),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<match {:?}>", self.groups.first().cloned().flatten().unwrap_or_default())
    }
}

/// `modules.itertools`
#[derive(Debug)]
struct Itertools;

impl Object for Itertools {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let lists: Vec<Vec<Value>> = args
            .iter()
            .filter(|arg| !arg.is_kwargs())
            .map(|arg| values::items(arg).unwrap_or_default())
            .collect();
        match method {
            "chain" => Ok(values::list(lists.into_iter().flatten())),
            "product" => {
                let rows = lists.into_iter().fold(vec![Vec::new()], |rows: Vec<Vec<Value>>, list| {
                    let extend = |row: &Vec<Value>, item: &Value| {
                        row.iter().cloned().chain([item.clone()]).collect::<Vec<_>>()
                    };
                    rows.iter().flat_map(|row| list.iter().map(move |item| extend(row, item))).collect()
                });
                Ok(values::list(rows.into_iter().map(values::list)))
            }
            "combinations" => {
                let size = args.get(1).and_then(Value::as_usize).unwrap_or(0);
                let items = lists.into_iter().next().unwrap_or_default();
                Ok(values::list(combinations(&items, size).into_iter().map(values::list)))
            }
            _ => Err(Mistake::unsupported(
                format!("`modules.itertools.{method}()`"),
                "instead use chain, product, combinations or a loop",
            )
            .into()),
        }
    }
}

fn combinations(items: &[Value], size: usize) -> Vec<Vec<Value>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let with = |at: usize| {
        combinations(&items[at + 1..], size - 1).into_iter().map(move |mut rest| {
            rest.insert(0, items[at].clone());
            rest
        })
    };
    (0..items.len()).flat_map(with).collect()
}
