//! How does a column get another name, or go, when files are never changed?
//!
//! By column mapping: files know the column under a name of its own. Here a [`Design`] gives those names and numbers
//! to its columns, and takes a column's place in the table away. What they mean to a reader is in `names`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Design;
use super::names::{ID, Layout, MAX_ID, MODE, Names, PHYSICAL_NAME};

impl Design {
    /// What a scan must know besides the columns.
    pub(super) fn layout(&self) -> Layout {
        let mode = self.properties.get(MODE).map(String::as_str);
        Layout { partition_columns: self.partition_columns.clone(), names: Names::of(&self.schema, mode) }
    }

    /// Whether columns can be renamed and dropped.
    pub fn maps_columns(&self) -> bool {
        !self.layout().names.are_plain()
    }

    /// The same table with another name for a column.
    #[must_use]
    pub fn with_renamed(mut self, column: &str, name: &str) -> Self {
        if let Some(field) = self.field_mut(column) {
            field["name"] = name.into();
        }
        for own in &mut self.partition_columns {
            if own == column {
                name.clone_into(own);
            }
        }
        self
    }

    /// The same table without a column. Its values stay in the files, where nobody looks for them.
    #[must_use]
    pub fn without_column(mut self, column: &str) -> Self {
        if let Some(fields) = self.schema["fields"].as_array_mut() {
            fields.retain(|field| field["name"] != column);
        }
        self
    }

    /// Gives a number and a name in files to each column that has none, if columns are mapped.
    ///
    /// Columns that were there before keep their names in files; one that comes later gets a name that no column ever
    /// had, or it would show the values of a dropped one.
    pub(super) fn with_column_numbers(mut self) -> Self {
        if !self.maps_columns() {
            return self;
        }
        let known = self.properties.get(MAX_ID).and_then(|most| most.parse::<i64>().ok());
        let mut given = Given { most: known.unwrap_or(0), anew: known.is_some(), names: BTreeSet::new() };
        given.look_at(&self.schema);
        given.number(&mut self.schema);
        self.properties.insert(MAX_ID.to_owned(), given.most.to_string());
        self
    }
}

/// The types that lists and maps are made of.
const PARTS: [&str; 3] = ["elementType", "keyType", "valueType"];

/// The numbers and names that columns have.
struct Given {
    most: i64,
    /// Whether a column without a name is new, and not one that was there before names were given.
    anew: bool,
    names: BTreeSet<String>,
}

impl Given {
    fn look_at(&mut self, data_type: &Value) {
        for field in data_type["fields"].as_array().into_iter().flatten() {
            self.most = self.most.max(field["metadata"][ID].as_i64().unwrap_or(0));
            self.names.extend(field["metadata"][PHYSICAL_NAME].as_str().map(str::to_owned));
            self.look_at(&field["type"]);
        }
        for part in PARTS.iter().filter_map(|part| data_type.get(part)) {
            self.look_at(part);
        }
    }

    fn number(&mut self, data_type: &mut Value) {
        for field in data_type.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(inner) = field.get_mut("type") {
                self.number(inner);
            }
            let name = field["name"].clone();
            if !field["metadata"].is_object() {
                field["metadata"] = Value::Object(Map::new());
            }
            let metadata = &mut field["metadata"];
            if metadata[ID].is_null() {
                self.most += 1;
                metadata[ID] = json!(self.most);
            }
            if metadata[PHYSICAL_NAME].is_null() {
                let own = format!("col-{}", self.most);
                let is_new = self.anew && self.names.insert(own.clone());
                metadata[PHYSICAL_NAME] = if is_new { own.into() } else { name };
            }
        }
        for part in PARTS {
            if let Some(part) = data_type.get_mut(part) {
                self.number(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::base::TableName;

    #[test]
    fn a_column_that_comes_later_never_gets_the_name_of_one_that_went() {
        let name = TableName::new("main", "t").unwrap();
        let column = |name: &str| Field::new(name, DataType::Int64, true);
        let plain = Design::new(&name, &Schema::new(vec![column("a"), column("b")])).unwrap();
        assert!(!plain.maps_columns());

        let mapped = plain.with_properties([(MODE.to_owned(), "name".to_owned())]);
        let names = |design: &Design| {
            let names = design.layout().names;
            ["a", "b", "c"].map(|column| names.in_files(column).to_owned())
        };
        assert_eq!(names(&mapped), ["a", "b", "c"]);
        assert_eq!(mapped.properties()[MAX_ID], "2");
        assert_eq!(mapped.protocol_json()["readerFeatures"], json!(["columnMapping"]));

        let renamed = mapped.with_renamed("a", "c");
        assert_eq!(names(&renamed), ["a", "b", "a"]);
        let back = renamed.without_column("b").with_columns(&name, &Schema::new(vec![column("b")])).unwrap();
        assert_eq!(names(&back), ["a", "col-3", "a"]);
        assert_eq!(back.properties()[MAX_ID], "3");
    }
}
