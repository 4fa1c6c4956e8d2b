//! Which tools for lists do templates have beyond Jinja's?
//!
//! `modules.itertools`, as dbt gives it, and `cycler` and `joiner` of Jinja. What Python makes without end is refused.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
use super::mistake::Mistake;
use super::values;

/// `modules.itertools`
#[derive(Debug)]
pub(super) struct Itertools;

/// One function of it.
#[derive(Debug)]
struct Tool(String);

fn tuple(items: Vec<Value>) -> Value {
    Value::from(Tuple::from(items))
}

fn tool(name: &str, call: &Call) -> Result<Value, Error> {
    let lists = || call.positional.iter().map(values::items).collect::<Result<Vec<_>, _>>();
    let first = || values::items(call.positional.first().unwrap_or(&Value::UNDEFINED));
    let number = |at: usize, name: &str| call.get(at, name).and_then(Value::as_usize);
    let rows = |rows: Vec<Vec<Value>>| values::list(rows.into_iter().map(tuple));
    Ok(match name {
        "chain" => values::list(lists()?.into_iter().flatten()),
        "from_iterable" => {
            let parts: Result<Vec<_>, _> = first()?.iter().map(values::items).collect();
            values::list(parts?.into_iter().flatten())
        }
        "product" => {
            let times = call.named.get("repeat").and_then(Value::as_usize).unwrap_or(1);
            let once = lists()?;
            let all: Vec<Vec<Value>> = (0..times).flat_map(|_| once.clone()).collect();
            bounded(all.iter().try_fold(1usize, |size, list| size.checked_mul(list.len())))?;
            rows(all.into_iter().fold(vec![Vec::new()], |rows: Vec<Vec<Value>>, list| {
                let extend =
                    |row: &Vec<Value>, item: &Value| row.iter().cloned().chain([item.clone()]).collect();
                rows.iter().flat_map(|row| list.iter().map(move |item| extend(row, item))).collect()
            }))
        }
        "combinations" | "combinations_with_replacement" | "permutations" => {
            let items = first()?;
            let size = number(1, "r").unwrap_or(items.len());
            bounded(u32::try_from(size).ok().and_then(|size| items.len().checked_pow(size)))?;
            let way = match name {
                "combinations" => Way::Onwards,
                "permutations" => Way::Others,
                _ => Way::Again,
            };
            let mut chosen = Vec::new();
            choose(items.len(), size, way, &mut Vec::new(), &mut chosen);
            rows(chosen.into_iter().map(|at| at.into_iter().map(|at| items[at].clone()).collect()).collect())
        }
        "accumulate" => {
            if call.get(1, "func").is_some_and(|func| !func.is_none()) {
                return Err(Mistake::unsupported("a function of accumulate()", "instead write a loop").into());
            }
            let start = call.named.get("initial").filter(|start| !start.is_none()).cloned();
            let mut all: Vec<Value> = start.into_iter().collect();
            for item in first()? {
                let next = match all.last() {
                    Some(last) => super::arithmetic::sum(last, &item)?,
                    None => item,
                };
                all.push(next);
            }
            values::list(all)
        }
        "compress" => {
            let lists = lists()?;
            let [items, flags] = lists.as_slice() else {
                return Err(takes("compress", "a list and one of flags"));
            };
            values::list(
                items.iter().zip(flags).filter(|(_, flag)| flag.is_true()).map(|(item, _)| item.clone()),
            )
        }
        "islice" => {
            let bounds: Vec<Option<usize>> = call.positional.iter().skip(1).map(Value::as_usize).collect();
            let (start, stop, step) = match bounds.as_slice() {
                [stop] => (0, *stop, 1),
                [start, stop] => (start.unwrap_or(0), *stop, 1),
                [start, stop, step] => (start.unwrap_or(0), *stop, step.unwrap_or(1).max(1)),
                _ => return Err(takes("islice", "a list, and where to begin and stop")),
            };
            let stop = stop.unwrap_or(usize::MAX);
            values::list(first()?.into_iter().take(stop).skip(start).step_by(step))
        }
        "repeat" => match number(1, "times") {
            Some(times) => {
                bounded(Some(times))?;
                let one = call.positional.first().cloned().unwrap_or_default();
                values::list(std::iter::repeat_n(one, times))
            }
            None => return Err(endless(name)),
        },
        "tee" => {
            let items = first()?;
            let copies = (0..number(1, "n").unwrap_or(2).min(1000)).map(|_| values::list(items.clone()));
            tuple(copies.collect())
        }
        "zip_longest" => {
            let lists = lists()?;
            let fill = call.named.get("fillvalue").cloned().unwrap_or_else(|| Value::from(()));
            let length = lists.iter().map(Vec::len).max().unwrap_or(0);
            let row = |at: usize| lists.iter().map(|list| list.get(at).unwrap_or(&fill).clone()).collect();
            rows((0..length).map(row).collect())
        }
        "count" | "cycle" => return Err(endless(name)),
        _ => {
            return Err(Mistake::unsupported(
                format!("`modules.itertools.{name}()`"),
                "instead use chain, product, combinations, permutations, accumulate, zip_longest, islice or a loop",
            )
            .into());
        }
    })
}

fn takes(name: &str, what: &str) -> Error {
    Mistake::new("elt::jinja", format!("`modules.itertools.{name}()` takes {what}")).into()
}

fn endless(name: &str) -> Error {
    let what = format!("`modules.itertools.{name}()` without an end");
    Mistake::unsupported(what, "instead loop over range() or use repeat(value, times)").into()
}

/// Refuses what would fill the memory.
fn bounded(size: Option<usize>) -> Result<(), Error> {
    match size.filter(|size| *size <= 10_000_000) {
        Some(_) => Ok(()),
        None => Err(Mistake::new("elt::jinja", "this makes more than ten million rows").into()),
    }
}

/// Which items may come after one.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Onwards,
    Again,
    Others,
}

/// Every choice of `size` places out of `length`, in Python's order.
fn choose(length: usize, size: usize, way: Way, chosen: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
    if chosen.len() == size {
        return all.push(chosen.clone());
    }
    let from = match (way, chosen.last()) {
        (Way::Onwards, Some(last)) => last + 1,
        (Way::Again, Some(last)) => *last,
        _ => 0,
    };
    for at in from..length {
        if way != Way::Others || !chosen.contains(&at) {
            chosen.push(at);
            choose(length, size, way, chosen, all);
            chosen.pop();
        }
    }
}

impl Object for Itertools {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from_object(Tool(key.as_str()?.to_owned())))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        name: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        tool(name, &Call::read(args))
    }
}

impl Object for Tool {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        tool(&self.0, &Call::read(args))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        name: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match (self.0.as_str(), name) {
            ("chain", "from_iterable") => tool(name, &Call::read(args)),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `cycler(a, b)`: one after the other, again and again.
#[derive(Debug)]
pub(super) struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Cycler {
    /// # Errors
    /// If there is nothing to go through.
    pub(super) fn value(call: &Call) -> Result<Value, Error> {
        if call.positional.is_empty() {
            return Err(Mistake::new("elt::jinja", "cycler() takes at least one item").into());
        }
        Ok(Value::from_object(Self { items: call.positional.clone(), at: AtomicUsize::new(0) }))
    }

    fn now(&self) -> Value {
        self.items[self.at.load(Ordering::Relaxed) % self.items.len()].clone()
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "current").then(|| self.now())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, name: &str, _: &[Value]) -> Result<Value, Error> {
        match name {
            "next" => {
                let now = self.now();
                self.at.fetch_add(1, Ordering::Relaxed);
                Ok(now)
            }
            "reset" => {
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `joiner(', ')`: nothing the first time it is called, the text from then on.
#[derive(Debug)]
pub(super) struct Joiner {
    by: Value,
    was_called: AtomicUsize,
}

impl Joiner {
    pub(super) fn value(call: &Call) -> Value {
        let by = call.get(0, "sep").cloned().unwrap_or_else(|| ", ".into());
        Value::from_object(Self { by, was_called: AtomicUsize::new(0) })
    }
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        match self.was_called.fetch_add(1, Ordering::Relaxed) {
            0 => Ok("".into()),
            _ => Ok(self.by.clone()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<joiner {}>", self.by)
    }
}
