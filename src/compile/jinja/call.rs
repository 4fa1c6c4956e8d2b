//! What was a function called with?

use std::collections::BTreeMap;

use minijinja::value::{Kwargs, ValueOrKwargs};
use minijinja::{Error, ErrorKind, Value};

/// The arguments of a call, by position and by name.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) positional: Vec<Value>,
    pub(super) named: BTreeMap<String, Value>,
    /// The names in the order they were written.
    pub(super) order: Vec<String>,
}

impl Call {
    /// The arguments of a function that takes whatever it is given, by position and by name.
    pub(super) fn of(args: &[ValueOrKwargs]) -> Self {
        Self::read(&args.iter().map(|arg| Value::clone(arg)).collect::<Vec<_>>())
    }

    /// Takes the library's arguments apart.
    pub(super) fn read(args: &[Value]) -> Self {
        let Some((last, rest)) = args.split_last().filter(|(last, _)| last.is_kwargs()) else {
            return Self { positional: args.to_vec(), ..Self::default() };
        };
        let mut call = Self { positional: rest.to_vec(), ..Self::default() };
        if let Ok(kwargs) = Kwargs::try_from(last.clone()) {
            for name in kwargs.args() {
                if let Ok(value) = kwargs.get::<Value>(name) {
                    call.order.push(name.to_owned());
                    call.named.insert(name.to_owned(), value);
                }
            }
        }
        call
    }

    /// The argument at position `at`, or called `name`.
    pub(super) fn get(&self, at: usize, name: &str) -> Option<&Value> {
        self.positional.get(at).or_else(|| self.named.get(name))
    }

    /// The same as text.
    ///
    /// # Errors
    /// If it is missing.
    pub(super) fn text(&self, at: usize, name: &str) -> Result<String, Error> {
        match self.get(at, name) {
            Some(value) if !value.is_undefined() && !value.is_none() => Ok(value.to_string()),
            _ => Err(Error::new(ErrorKind::MissingArgument, format!("the argument `{name}` is missing"))),
        }
    }
}
