//! How do lists and dicts change in place, as Python's do?
//!
//! The library's own sequences and maps never change. [`List`] and [`Dict`] do; every literal in a
//! template becomes one (`prepare`), and [`own`] turns what filters and operators return into one.
//! Methods that only read (`items`, `get`, `count` …) are left to the library's Python mode.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::call::Call;
use super::relation::Relation;

/// A list that can be changed in place.
#[derive(Debug)]
pub(super) struct List {
    items: Mutex<Vec<Value>>,
    /// Whether it is what `set()` gives: each item once.
    is_set: bool,
}

/// A mapping that can be changed in place and keeps the order of its keys.
#[derive(Debug, Default)]
pub(super) struct Dict(Mutex<Vec<(Value, Value)>>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A list of `items`.
pub(super) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::from_object(List { items: Mutex::new(items.into_iter().collect()), is_set: false })
}

/// A set of `items`, each once, in the order of their values: two sets of the same things are equal, in whatever order
/// they were made.
pub(super) fn set(items: impl IntoIterator<Item = Value>) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all.sort();
    Value::from_object(List { items: Mutex::new(all), is_set: true })
}

/// `left - right`, if both are sets.
pub(super) fn set_difference(left: &Value, right: &Value) -> Option<Value> {
    let of = |value: &Value| {
        value.downcast_object_ref::<List>().filter(|list| list.is_set).map(|list| locked(&list.items).clone())
    };
    let (left, right) = (of(left)?, of(right)?);
    Some(set(left.into_iter().filter(|item| !right.contains(item))))
}

/// A dict of `entries`.
pub(super) fn dict(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    Value::from_object(Dict(Mutex::new(entries.into_iter().collect())))
}

/// The value of a JSON text, with lists and dicts that can be changed.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Array(items) => list(items.iter().map(from_json)),
        Json::Object(entries) => {
            dict(entries.iter().map(|(key, value)| (key.as_str().into(), from_json(value))))
        }
        Json::String(text) => text.as_str().into(),
        Json::Bool(flag) => (*flag).into(),
        Json::Null => none(),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().into(),
        },
    }
}

/// The JSON of a value; what has no JSON is its text.
pub(super) fn to_json(value: &Value) -> Json {
    if let Some(relation) = value.downcast_object_ref::<Relation>() {
        return relation.to_string().into();
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Map => entries(value).into_iter().map(|(k, v)| (k.to_string(), to_json(&v))).collect(),
        ValueKind::Seq | ValueKind::Iterable => {
            items(value).unwrap_or_default().iter().map(to_json).collect()
        }
        ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            serde_json::to_value(value).unwrap_or_else(|_| Json::String(value.to_string()))
        }
        _ => Json::String(value.to_string()),
    }
}

/// A value that can be changed in place, if it is a list or dict of the library's own.
pub(super) fn own(value: Value) -> Value {
    let is_plain_list = value.downcast_object_ref::<Vec<Value>>().is_some() && !value.is_tuple();
    match value.kind() {
        ValueKind::Seq if is_plain_list => list(items(&value).unwrap_or_default()),
        ValueKind::Iterable => list(items(&value).unwrap_or_default()),
        _ => value,
    }
}

/// The items of anything that can be walked.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    Ok(value.try_iter()?.collect())
}

/// The keys and values of a mapping.
pub(super) fn entries(value: &Value) -> Vec<(Value, Value)> {
    let keys = items(value).unwrap_or_default();
    keys.into_iter().map(|key| (key.clone(), value.get_item(&key).unwrap_or_default())).collect()
}

fn none() -> Value {
    Value::from(())
}

fn argument<'a>(method: &str, args: &'a [Value], at: usize) -> Result<&'a Value, Error> {
    args.get(at)
        .ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("`{method}` needs an argument")))
}

fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}

/// A Python index: from the end if negative.
fn index(value: &Value, length: usize) -> Option<usize> {
    let at = value.as_i64()?;
    if at < 0 { length.checked_sub(usize::try_from(-at).ok()?) } else { usize::try_from(at).ok() }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let items = locked(&self.items);
        items.get(index(key, items.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(locked(&self.items).clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.items).len())
    }

    fn custom_cmp(self: &Arc<Self>, _other: &DynObject) -> Option<std::cmp::Ordering> {
        None
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let first = || argument(method, args, 0);
        match method {
            "append" if self.is_set => return Err(invalid("a set has no `append`; use `add`")),
            "append" => locked(&self.items).push(first()?.clone()),
            "extend" => {
                let more = items(first()?)?;
                locked(&self.items).extend(more);
            }
            "insert" => {
                let mut items = locked(&self.items);
                let at = index(first()?, items.len()).unwrap_or(0).min(items.len());
                items.insert(at, argument(method, args, 1)?.clone());
            }
            "remove" | "pop" | "update" | "add" if self.is_set => return self.of_set(method, args),
            "remove" => {
                let mut items = locked(&self.items);
                let at = items.iter().position(|item| Some(item) == args.first());
                items.remove(at.ok_or_else(|| invalid("list.remove(x): x is not in the list"))?);
            }
            "pop" => {
                let mut items = locked(&self.items);
                let at = index(args.first().unwrap_or(&Value::from(-1)), items.len());
                let at = at.filter(|at| *at < items.len());
                return Ok(items.remove(at.ok_or_else(|| invalid("pop index out of range"))?));
            }
            "sort" => {
                let call = Call::read(args);
                if call.get(0, "key").is_some_and(|key| !key.is_none()) {
                    let why = "instead sort a copy: `list | sort(attribute='…')`";
                    return Err(super::mistake::Mistake::unsupported("`list.sort(key=…)`", why).into());
                }
                locked(&self.items).sort();
                if call.named.get("reverse").is_some_and(Value::is_true) {
                    locked(&self.items).reverse();
                }
            }
            "reverse" => locked(&self.items).reverse(),
            "clear" => locked(&self.items).clear(),
            "copy" if !self.is_set => return Ok(list(locked(&self.items).clone())),
            _ if self.is_set => return self.of_set(method, args),
            "index" => {
                let from = args.get(1).and_then(Value::as_usize).unwrap_or(0);
                let at = locked(&self.items).iter().skip(from).position(|item| Some(item) == args.first());
                let at = at.map(|at| at + from);
                return at.map(Value::from).ok_or_else(|| invalid("list.index(x): x is not in the list"));
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(none())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = locked(&self.items).clone();
        let (open, close) = match (self.is_set, items.is_empty()) {
            (true, true) => return f.write_str("set()"),
            (true, false) => ('{', '}'),
            (false, _) => ('[', ']'),
        };
        f.write_char(open)?;
        for (at, item) in items.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            // A tuple of the library's writes its item as Python does in a list.
            let shown = Value::from(vec![item.clone()]).to_string();
            f.write_str(shown.get(1..shown.len().saturating_sub(1)).unwrap_or_default())?;
        }
        f.write_char(close)
    }
}

impl List {
    /// The methods of sets.
    fn of_set(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let own = locked(&self.items).clone();
        let others = args.iter().map(items).collect::<Result<Vec<_>, _>>();
        let is_in = |item: &Value, lists: &[Vec<Value>]| lists.iter().any(|list| list.contains(item));
        let first = || argument(method, args, 0).cloned();
        let put = |all: Vec<Value>| {
            let sorted = set(all);
            *locked(&self.items) = items(&sorted).unwrap_or_default();
        };
        let other = || argument(method, args, 0).and_then(items);
        match method {
            "add" => put(own.into_iter().chain([first()?]).collect()),
            "update" => put(own.into_iter().chain(others?.into_iter().flatten()).collect()),
            "discard" | "remove" => {
                let gone = first()?;
                if method == "remove" && !own.contains(&gone) {
                    return Err(invalid(format!("the set has no {gone}")));
                }
                put(own.into_iter().filter(|item| *item != gone).collect());
            }
            "pop" => {
                let mut own = own;
                let one =
                    own.drain(..1.min(own.len())).next().ok_or_else(|| invalid("pop from an empty set"))?;
                put(own);
                return Ok(one);
            }
            "copy" => return Ok(set(own)),
            "union" => return Ok(set(own.into_iter().chain(others?.into_iter().flatten()))),
            "difference" => {
                let others = others?;
                return Ok(set(own.into_iter().filter(|item| !is_in(item, &others))));
            }
            "intersection" => {
                let others = others?;
                return Ok(set(own.into_iter().filter(|item| others.iter().all(|list| list.contains(item)))));
            }
            "symmetric_difference" => {
                let other = other()?;
                let more: Vec<Value> = other.iter().filter(|item| !own.contains(item)).cloned().collect();
                return Ok(set(own.into_iter().filter(|item| !other.contains(item)).chain(more)));
            }
            "issubset" => {
                let other = other()?;
                return Ok(own.iter().all(|item| other.contains(item)).into());
            }
            "issuperset" => return Ok(other()?.iter().all(|item| own.contains(item)).into()),
            "isdisjoint" => return Ok((!other()?.iter().any(|item| own.contains(item))).into()),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(none())
    }
}

impl Dict {
    fn put(&self, key: Value, value: Value) {
        let mut entries = locked(&self.0);
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }

    fn update(&self, args: &[Value]) -> Result<(), Error> {
        for more in args {
            if more.kind() == ValueKind::Map || more.is_kwargs() {
                entries(more).into_iter().for_each(|(key, value)| self.put(key, value));
                continue;
            }
            for pair in items(more)? {
                self.put(pair.get_item_by_index(0)?, pair.get_item_by_index(1)?);
            }
        }
        Ok(())
    }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        locked(&self.0).iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(locked(&self.0).iter().map(|(key, _)| key.clone()).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.0).len())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "update" => self.update(args)?,
            "clear" => locked(&self.0).clear(),
            "copy" => return Ok(dict(locked(&self.0).clone())),
            "pop" => {
                let key = argument(method, args, 0)?;
                let mut entries = locked(&self.0);
                return match entries.iter().position(|(known, _)| known == key) {
                    Some(at) => Ok(entries.remove(at).1),
                    None => args.get(1).cloned().ok_or_else(|| invalid(format!("there is no key {key}"))),
                };
            }
            "setdefault" => {
                let key = argument(method, args, 0)?;
                if let Some(value) = self.get_value(key) {
                    return Ok(value);
                }
                let value = args.get(1).cloned().unwrap_or_else(none);
                self.put(key.clone(), value.clone());
                return Ok(value);
            }
            "items" => {
                let pairs = locked(&self.0).clone();
                return Ok(list(
                    pairs.into_iter().map(|(key, value)| Value::from(Tuple::from([key, value]))),
                ));
            }
            "get" => {
                let key = argument(method, args, 0)?;
                let default = Call::read(args).get(1, "default").cloned();
                return Ok(self.get_value(key).or(default).unwrap_or_else(none));
            }
            "popitem" => {
                let last = locked(&self.0).pop();
                let (key, value) = last.ok_or_else(|| invalid("popitem(): the dictionary is empty"))?;
                return Ok(Value::from(Tuple::from([key, value])));
            }
            "fromkeys" => {
                let value = args.get(1).cloned().unwrap_or_else(none);
                let keys = items(argument(method, args, 0)?)?;
                return Ok(dict(keys.into_iter().map(|key| (key, value.clone()))));
            }
            "keys" => return Ok(list(locked(&self.0).iter().map(|(key, _)| key.clone()))),
            "values" => return Ok(list(locked(&self.0).iter().map(|(_, value)| value.clone()))),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(none())
    }
}
