//! What is a table called?

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A table's name inside the lake: `schema.table`, lower case, no quotes.
///
/// Both parts hold letters, digits, `_`, `$` and `-`, start with no digit or `-`, and are at most
/// 128 characters, so a name is also a safe path segment on every object store. A clone shares both parts: there are
/// releases with thousands of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    schema: Arc<str>,
    table: Arc<str>,
}

/// Why a text is not a [`TableName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not one or two parts.
    #[error("`{0}` is not a table name: write `table` or `schema.table`")]
    Parts(String),
    /// A table without its schema, where both are needed.
    #[error("`{0}` has no schema: write `schema.table`")]
    NoSchema(String),
    /// A part breaks the rule for names.
    #[error(
        "`{0}` cannot name a schema or table: use letters, digits, `_`, `$` and `-`, not starting with a digit or `-`, at most 128 characters"
    )]
    Part(String),
}

impl TableName {
    /// Returns the name of `table` in `schema`, both folded to lower case.
    pub fn new(schema: &str, table: &str) -> Result<Self, NameError> {
        Ok(Self { schema: part(schema)?, table: part(table)? })
    }

    /// Reads `table` or `schema.table`; a missing schema is `default_schema`.
    pub fn parse(text: &str, default_schema: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('.').map(|part| part.trim().trim_matches('"')).collect();
        match parts[..] {
            [table] => Self::new(default_schema, table),
            [schema, table] => Self::new(schema, table),
            _ => Err(NameError::Parts(text.to_owned())),
        }
    }

    /// What a table outside the lake is called: by its folder or URL. It has no schema.
    pub fn outside(place: &str) -> Self {
        Self { schema: "".into(), table: place.into() }
    }

    /// Whether it is one outside the lake.
    pub fn is_outside(&self) -> bool {
        self.schema.is_empty()
    }

    /// What comes after every name of a schema, in the order of names. It is no name itself.
    pub fn after_schema(schema: &str) -> Self {
        Self { schema: schema.into(), table: "\u{10ffff}".into() }
    }

    /// The schema part.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table part, without the schema.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The name of a table that accompanies this one, in the same schema: `orders__rejected`.
    pub fn companion(&self, suffix: &str) -> Result<Self, NameError> {
        Self::new(&self.schema, &format!("{}__{suffix}", self.table))
    }
}

fn part(text: &str) -> Result<Arc<str>, NameError> {
    let lower = text.to_lowercase();
    let starts_well = lower.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    let all_well = lower.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'));
    if starts_well && all_well && lower.chars().count() <= 128 {
        Ok(lower.into())
    } else {
        Err(NameError::Part(text.to_owned()))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_outside() {
            true => f.write_str(&self.table),
            false => write!(f, "{}.{}", self.schema, self.table),
        }
    }
}

impl FromStr for TableName {
    type Err = NameError;

    /// Reads `schema.table`; both parts are needed.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((schema, table)) => Self::new(schema, table),
            None => Err(NameError::NoSchema(text.to_owned())),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        let name = |text| TableName::parse(text, "main").map(|name| name.to_string());
        assert_eq!(name("Orders").unwrap(), "main.orders");
        assert_eq!(name("Crm.\"People\"").unwrap(), "crm.people");
        for bad in ["", "a.b.c", "../etc", "a/b", "1st", "a b", "-x"] {
            assert!(name(bad).is_err(), "{bad:?} was taken for a name");
        }
    }
}
