//! What does a query's answer look like to a template?
//!
//! Like the table of Python's agate, of which dbt's templates use a handful of ways: `.columns[0].values()`,
//! `.rows[0]['name']`, `.column_names`, `{% for row in table.rows %}`.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::compile::lookup::{Answer, AnswerColumn};

use super::call::Call;
use super::mistake::Mistake;
use super::{time, values};

/// A table of values.
#[derive(Debug)]
pub(super) struct Table {
    columns: Arc<[AnswerColumn]>,
    rows: Vec<Arc<[Value]>>,
}

/// One row: its values by position or by the name of their column.
#[derive(Debug)]
struct Row {
    columns: Arc<[AnswerColumn]>,
    values: Arc<[Value]>,
}

/// One column: its values by row.
#[derive(Debug)]
struct ColumnValues {
    name: String,
    data_type: String,
    values: Vec<Value>,
}

/// The columns of a table, by position or by name.
#[derive(Debug)]
struct Columns(Arc<Table>);

/// The rows of a table, by position.
#[derive(Debug)]
struct Rows(Arc<Table>);

impl Table {
    pub(super) fn value(answer: Answer) -> Value {
        let value = |(column, value): (&AnswerColumn, &serde_json::Value)| {
            let instant = value.as_str().and_then(|text| time::of_column(&column.data_type, text));
            instant.unwrap_or_else(|| values::from_json(value))
        };
        let row = |row: &Vec<serde_json::Value>| answer.columns.iter().zip(row).map(value).collect();
        let rows = answer.rows.iter().map(row).collect();
        Value::from_object(Self { columns: answer.columns.into(), rows })
    }

    fn row(&self, at: usize) -> Option<Value> {
        let values = Arc::clone(self.rows.get(at)?);
        Some(Value::from_object(Row { columns: Arc::clone(&self.columns), values }))
    }

    fn all_rows(&self) -> Value {
        values::list((0..self.rows.len()).filter_map(|at| self.row(at)))
    }

    /// The positions of one column or of a list of them.
    fn positions(&self, key: Option<&Value>) -> Result<Vec<usize>, Error> {
        let wanted = match key {
            Some(key) if key.kind() == ValueKind::Seq => values::items(key)?,
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        let one = |key: &Value| {
            position(&self.columns, key).filter(|at| *at < self.columns.len()).ok_or_else(|| {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                Mistake::new("elt::jinja", format!("the table has no column `{key}`"))
                    .help(format!("it has: {}", names.join(", ")))
                    .into()
            })
        };
        wanted.iter().map(one).collect()
    }

    fn of_columns(&self, at: &[usize]) -> Value {
        let columns = at.iter().map(|at| self.columns[*at].clone()).collect();
        let pick = |row: &Arc<[Value]>| at.iter().map(|at| row[*at].clone()).collect();
        Value::from_object(Self { columns, rows: self.rows.iter().map(pick).collect() })
    }

    fn of_rows(&self, rows: Vec<Arc<[Value]>>) -> Value {
        Value::from_object(Self { columns: Arc::clone(&self.columns), rows })
    }

    /// The rows as comma-separated values, the names of the columns first.
    fn csv(&self) -> String {
        let cell = |text: String| match text.contains([',', '"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text,
        };
        let line = |cells: Vec<String>| cells.into_iter().map(cell).collect::<Vec<_>>().join(",");
        let told = |value: &Value| if value.is_none() { String::new() } else { value.to_string() };
        let head = line(self.columns.iter().map(|column| column.name.clone()).collect());
        let rows = self.rows.iter().map(|row| line(row.iter().map(told).collect()));
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// The rows, each as a dict.
    fn dicts(&self) -> Value {
        let names = || self.columns.iter().map(|column| Value::from(column.name.as_str()));
        values::list(self.rows.iter().map(|row| values::dict(names().zip(row.iter().cloned()))))
    }

    fn names(&self) -> Value {
        values::list(self.columns.iter().map(|column| column.name.as_str().into()))
    }

    fn column(&self, at: usize) -> Option<Value> {
        let column = self.columns.get(at)?;
        Some(Value::from_object(ColumnValues {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            values: self.rows.iter().map(|row| row[at].clone()).collect(),
        }))
    }
}

/// What agate gives as a tuple: it prints in parentheses, and cannot be changed.
fn tuple(values: impl IntoIterator<Item = Value>) -> Value {
    Value::from(Tuple::from(values.into_iter().collect::<Vec<_>>()))
}

/// The position that a key means: a number, from the end if negative, or the name of a column.
fn position(columns: &[AnswerColumn], key: &Value) -> Option<usize> {
    if let Some(at) = key.as_i64() {
        let at = if at < 0 { at + i64::try_from(columns.len()).ok()? } else { at };
        return usize::try_from(at).ok();
    }
    let name = key.as_str()?;
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
}

impl Object for Table {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        // A table is walked row by row.
        ObjectRepr::Seq
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values((0..self.rows.len()).filter_map(|at| self.row(at)).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.rows.len())
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(at) = key.as_usize() {
            return self.row(at);
        }
        match key.as_str()? {
            "rows" => Some(Value::from_object(Rows(Arc::clone(self)))),
            "columns" => Some(Value::from_object(Columns(Arc::clone(self)))),
            "column_names" => Some(self.names()),
            "column_types" => {
                Some(values::list(self.columns.iter().map(|column| column.data_type.as_str().into())))
            }
            _ => None,
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        match method {
            "print_table" | "print_csv" | "print_json" => {
                let text = match method {
                    "print_table" => self.to_string(),
                    "print_csv" => self.csv(),
                    _ => values::to_json(&self.dicts()).to_string(),
                };
                let print = state.lookup("print").unwrap_or_default();
                print.call(state, &[text.trim_end().into()])?;
                Ok(Value::from(()))
            }
            "rename" => {
                let names = call.get(0, "column_names").cloned().unwrap_or(Value::from(()));
                let renamed = |at: usize, name: &str| match names.kind() {
                    ValueKind::Map => names.get_item(&name.into()).ok().filter(|new| !new.is_undefined()),
                    ValueKind::Seq => names.get_item_by_index(at).ok().filter(|new| !new.is_undefined()),
                    _ => None,
                };
                let columns = self.columns.iter().enumerate().map(|(at, column)| AnswerColumn {
                    name: renamed(at, &column.name)
                        .map_or_else(|| column.name.clone(), |new| new.to_string()),
                    data_type: column.data_type.clone(),
                });
                Ok(Value::from_object(Self { columns: columns.collect(), rows: self.rows.clone() }))
            }
            "select" => {
                let wanted = self.positions(call.get(0, "key"))?;
                Ok(self.of_columns(&wanted))
            }
            "exclude" => {
                let unwanted = self.positions(call.get(0, "key"))?;
                let wanted: Vec<usize> =
                    (0..self.columns.len()).filter(|at| !unwanted.contains(at)).collect();
                Ok(self.of_columns(&wanted))
            }
            "order_by" => {
                let keys = self.positions(call.get(0, "key"))?;
                let mut rows = self.rows.clone();
                // Python puts what is not there last.
                let key = |row: &Arc<[Value]>| -> Vec<(bool, Value)> {
                    keys.iter().map(|at| (row[*at].is_none(), row[*at].clone())).collect()
                };
                rows.sort_by_key(|row| key(row));
                if call.get(1, "reverse").is_some_and(Value::is_true) {
                    rows.reverse();
                }
                Ok(self.of_rows(rows))
            }
            "limit" => {
                let bound = |at: usize, name: &str| call.get(at, name).and_then(Value::as_usize);
                let (start, stop) = match bound(1, "stop") {
                    Some(stop) => (bound(0, "start_or_stop").unwrap_or(0), stop),
                    None => (0, bound(0, "start_or_stop").unwrap_or(usize::MAX)),
                };
                let step = bound(2, "step").unwrap_or(1).max(1);
                Ok(self.of_rows(self.rows.iter().take(stop).skip(start).step_by(step).cloned().collect()))
            }
            "distinct" => {
                let keys = match call.get(0, "key").filter(|key| !key.is_none()) {
                    Some(key) => self.positions(Some(key))?,
                    None => (0..self.columns.len()).collect(),
                };
                let mut seen: Vec<Vec<Value>> = Vec::new();
                let mut rows = Vec::new();
                for row in &self.rows {
                    let key: Vec<Value> = keys.iter().map(|at| row[*at].clone()).collect();
                    if !seen.contains(&key) {
                        seen.push(key);
                        rows.push(Arc::clone(row));
                    }
                }
                Ok(self.of_rows(rows))
            }
            "where" | "find" | "group_by" | "aggregate" | "compute" | "join" | "pivot" | "denormalize"
            | "homogenize" | "normalize" | "merge" | "bins" => Err(Mistake::unsupported(
                format!("`{method}()` of a query's answer"),
                "instead say it in the query, or loop over the rows",
            )
            .into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        writeln!(f, "| {} |", names.join(" | "))?;
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Value::to_string).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

impl Object for Rows {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = key.as_i64()?;
        let at = if at < 0 { at + i64::try_from(self.0.rows.len()).ok()? } else { at };
        self.0.row(usize::try_from(at).ok()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values((0..self.0.rows.len()).filter_map(|at| self.0.row(at)).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.rows.len())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let keys = || (0..self.0.rows.len()).map(Value::from);
        match method {
            "values" => Ok(self.0.all_rows()),
            "keys" => Ok(values::list(keys())),
            "items" => {
                let pair = |key: Value| Some(Value::from(Tuple::from([key.clone(), self.get_value(&key)?])));
                Ok(values::list(keys().filter_map(pair)))
            }
            "get" => {
                let found = args.first().and_then(|key| self.get_value(key));
                Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Value::from(())))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

impl Object for Row {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.values.get(position(&self.columns, key)?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.to_vec())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.values.len())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let names = || self.columns.iter().map(|column| Value::from(column.name.as_str()));
        let pairs = || names().zip(self.values.iter().cloned());
        match method {
            "values" => Ok(tuple(self.values.iter().cloned())),
            "keys" => Ok(tuple(names())),
            "items" => Ok(values::list(pairs().map(|(key, value)| Value::from(Tuple::from([key, value]))))),
            "dict" => Ok(values::dict(pairs())),
            "get" => {
                let found = args.first().and_then(|key| self.get_value(key));
                Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Value::from(())))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

impl Object for ColumnValues {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("name") => Some(self.name.as_str().into()),
            Some("data_type") => Some(self.data_type.as_str().into()),
            Some(_) => None,
            None => {
                let at = key.as_i64()?;
                let at = if at < 0 { at + i64::try_from(self.values.len()).ok()? } else { at };
                self.values.get(usize::try_from(at).ok()?).cloned()
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.values.len())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "values" => Ok(tuple(self.values.iter().cloned())),
            "values_distinct" => {
                let mut seen: Vec<Value> = Vec::new();
                self.values.iter().for_each(|value| {
                    if !seen.contains(value) {
                        seen.push(value.clone());
                    }
                });
                Ok(tuple(seen))
            }
            "values_without_nulls" => Ok(tuple(self.values.iter().filter(|value| !value.is_none()).cloned())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

impl Object for Columns {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.column(position(&self.0.columns, key)?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values((0..self.0.columns.len()).filter_map(|at| self.0.column(at)).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.columns.len())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let table = &self.0;
        let all = || (0..table.columns.len()).filter_map(|at| table.column(at));
        let names = || table.columns.iter().map(|column| Value::from(column.name.as_str()));
        match method {
            "keys" => Ok(values::list(names())),
            "values" => Ok(values::list(all())),
            "items" => Ok(values::list(names().zip(all()).map(|(k, v)| Value::from(Tuple::from([k, v]))))),
            "get" => Ok(args.first().and_then(|key| self.get_value(key)).unwrap_or(Value::from(()))),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
