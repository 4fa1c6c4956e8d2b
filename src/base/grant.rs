//! What may a role do, and with which tables?

use std::fmt;

use super::TableName;

/// Something that a role may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privilege {
    /// Read rows.
    Select,
    /// Make, change and drop tables.
    Modify,
}

/// Which tables are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Securable {
    /// All of the lake.
    Catalog,
    /// Those of a schema, also those that are made later. In lower case.
    Schema(String),
    /// One, also one that is not there yet.
    Table(TableName),
}

/// A right of a role: `select on schema main`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// What may be done.
    pub privilege: Privilege,
    /// With what.
    pub on: Securable,
}

/// How a grant is written.
pub const GRANT_HELP: &str =
    "write `select on schema main`, `modify on main.orders` or `all privileges on catalog elt`";

impl Securable {
    /// Whether a table is meant.
    pub fn covers(&self, name: &TableName) -> bool {
        match self {
            Self::Catalog => true,
            Self::Schema(schema) => name.schema() == schema,
            Self::Table(table) => name == table,
        }
    }

    /// Reads `catalog elt`, `schema main`, `table main.orders` or `main.orders`; a table without a schema is in
    /// `default_schema`, if that is known.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, default_schema: Option<&str>) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (kind, name) = match words[..] {
            [name] => ("table".to_owned(), name),
            [kind, name] => (kind.to_lowercase(), name),
            _ => return Err(format!("`{text}` names no table, no schema and no catalog")),
        };
        let table = |name: &str| {
            let name = name.strip_prefix("elt.").filter(|rest| rest.contains('.')).unwrap_or(name);
            let named = match default_schema {
                Some(schema) => TableName::parse(name, schema),
                None => name.replace('"', "").parse(),
            };
            named.map(Self::Table).map_err(|error| error.to_string())
        };
        match kind.as_str() {
            "table" | "view" => table(name),
            "schema" | "database" => {
                let name = name.strip_prefix("elt.").unwrap_or(name).trim_matches('"');
                let known = TableName::new(name, "t").map_err(|error| error.to_string())?;
                Ok(Self::Schema(known.schema().to_owned()))
            }
            "catalog" if name.trim_matches('"').eq_ignore_ascii_case("elt") => Ok(Self::Catalog),
            "catalog" => Err(format!("there is no catalog `{name}`: every table is in the catalog `elt`")),
            other => Err(format!("nothing can be granted on a {other}")),
        }
    }
}

impl Grant {
    /// Reads `select, modify on schema main`: a grant for each privilege.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, default_schema: Option<&str>) -> Result<Vec<Self>, String> {
        let lower = text.to_lowercase();
        let at = lower.find(" on ").ok_or_else(|| format!("`{text}` is not a grant"))?;
        let on = Securable::parse(text[at + 4..].trim(), default_schema)?;
        let mut grants = Vec::new();
        for word in lower[..at].split(',') {
            let words: Vec<&str> = word.split_whitespace().collect();
            let privileges = match words[..] {
                ["select"] => vec![Privilege::Select],
                ["modify"] => vec![Privilege::Modify],
                ["all"] | ["all", "privileges"] => vec![Privilege::Select, Privilege::Modify],
                ["insert" | "update" | "delete" | "create" | "drop" | "truncate" | "merge"] => {
                    return Err(format!(
                        "`{}` is not granted alone: `modify` is the right to all of it",
                        words[0]
                    ));
                }
                _ => return Err(format!("`{}` is not a privilege", word.trim())),
            };
            grants.extend(privileges.into_iter().map(|privilege| Self { privilege, on: on.clone() }));
        }
        grants.sort();
        grants.dedup();
        Ok(grants)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Select => "select",
            Self::Modify => "modify",
        })
    }
}

impl fmt::Display for Securable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog => f.write_str("catalog elt"),
            Self::Schema(schema) => write!(f, "schema {schema}"),
            Self::Table(table) => write!(f, "table {table}"),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.privilege, self.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Grant::parse(text, None) {
            Ok(grants) => grants.iter().map(Grant::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => error,
        }
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for (text, told) in [
            ("select on schema Main", "select on schema main"),
            (
                "SELECT, MODIFY ON TABLE main.Orders",
                "select on table main.orders; modify on table main.orders",
            ),
            ("all privileges on catalog elt", "select on catalog elt; modify on catalog elt"),
            ("select on elt.main.orders", "select on table main.orders"),
            ("select on elt.tables", "select on table elt.tables"),
        ] {
            assert_eq!(read(text), told, "{text}");
        }
        for (text, wrong) in [
            ("select main", "is not a grant"),
            ("insert on main.t", "`modify` is the right"),
            ("read on main.t", "is not a privilege"),
            ("select on orders", "has no schema"),
            ("select on function f", "nothing can be granted"),
            ("select on catalog x", "no catalog `x`"),
        ] {
            assert!(read(text).contains(wrong), "{text}: {}", read(text));
        }
    }
}
