//! Under which names are a table's columns in its files?
//!
//! Mostly under their own. A table with *column mapping* gives each column, nested ones too, a name that stays when
//! the column is renamed, and a number; files, statistics and partition values go by those. [`Names`] translates, and
//! as the engine's adapter it does so for each file while it is read.
//!
//! Format: the Delta transaction protocol, section *Column Mapping*.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::Value;

/// The property that says whether names are mapped, and whether files go by name or by number.
pub(super) const MODE: &str = "delta.columnMapping.mode";
/// The property that remembers the greatest number ever given.
pub(super) const MAX_ID: &str = "delta.columnMapping.maxColumnId";
/// Where a column's name in files is kept.
pub(super) const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
/// Where its number is kept.
pub(super) const ID: &str = "delta.columnMapping.id";

/// The names of a table's columns in its files. Empty if they are the columns' own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    columns: Arc<Vec<Named>>,
    by_id: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    in_files: String,
    id: Option<i64>,
    inside: Inside,
}

/// The named parts of a column.
#[derive(Clone, Debug, PartialEq)]
enum Inside {
    Nothing,
    Struct(Vec<Named>),
    List(Box<Inside>),
    Map(Box<Inside>, Box<Inside>),
}

/// What a scan must know of a table besides its columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// The columns whose values are in the log.
    pub(super) partition_columns: Vec<String>,
    pub(super) names: Names,
}

impl Names {
    /// The names that Delta's schema JSON gives, if the mode says that it gives any.
    pub(super) fn of(schema: &Value, mode: Option<&str>) -> Self {
        match mode {
            Some("name" | "id") => Self { columns: Arc::new(fields_of(schema)), by_id: mode == Some("id") },
            _ => Self::default(),
        }
    }

    /// Whether every column has its own name in the files.
    pub(super) fn are_plain(&self) -> bool {
        self.columns.is_empty()
    }

    /// Whether there are columns with named parts. A condition on such a part is not asked while a file is decoded.
    pub(super) fn reach_inside(&self) -> bool {
        self.columns.iter().any(|column| column.inside != Inside::Nothing)
    }

    /// The name of a column in files, statistics and partition values.
    pub(super) fn in_files<'a>(&'a self, column: &'a str) -> &'a str {
        self.columns.iter().find(|own| own.name == column).map_or(column, |own| &own.in_files)
    }

    /// The columns as files are to have them: renamed, and numbered.
    pub(super) fn stored(&self, columns: &SchemaRef) -> SchemaRef {
        if self.are_plain() {
            return Arc::clone(columns);
        }
        Arc::new(Schema::new(stored_fields(columns.fields(), &self.columns)))
    }

    /// A batch under the names of `stored`, which is what [`Self::stored`] gave for its schema.
    pub(super) fn store(&self, batch: &RecordBatch, stored: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        if self.are_plain() {
            return Ok(batch.clone());
        }
        let columns = batch.columns().iter().zip(stored.fields());
        let columns = columns.map(|(column, field)| relabelled(column, field.data_type()));
        RecordBatch::try_new(Arc::clone(stored), columns.collect::<Result<Vec<_>, _>>()?)
    }

    /// The columns of a file under the table's names. What the table does not know cannot be taken for one of its own.
    fn told(&self, file: &Fields) -> Fields {
        told_fields(file, &self.columns, self.by_id)
    }
}

fn fields_of(schema: &Value) -> Vec<Named> {
    let named = |field: &Value| {
        let name = field["name"].as_str().unwrap_or_default().to_owned();
        let metadata = &field["metadata"];
        Named {
            in_files: metadata[PHYSICAL_NAME].as_str().map_or_else(|| name.clone(), str::to_owned),
            id: metadata[ID].as_i64(),
            inside: inside(&field["type"]),
            name,
        }
    };
    schema["fields"].as_array().into_iter().flatten().map(named).collect()
}

fn inside(data_type: &Value) -> Inside {
    match data_type["type"].as_str() {
        Some("struct") => Inside::Struct(fields_of(data_type)),
        Some("array") => match inside(&data_type["elementType"]) {
            Inside::Nothing => Inside::Nothing,
            element => Inside::List(Box::new(element)),
        },
        Some("map") => match (inside(&data_type["keyType"]), inside(&data_type["valueType"])) {
            (Inside::Nothing, Inside::Nothing) => Inside::Nothing,
            (key, value) => Inside::Map(Box::new(key), Box::new(value)),
        },
        _ => Inside::Nothing,
    }
}

fn stored_fields(fields: &Fields, names: &[Named]) -> Fields {
    let stored = |field: &FieldRef| match names.iter().find(|own| own.name == *field.name()) {
        None => Arc::clone(field),
        Some(own) => {
            let data_type = mapped(field.data_type(), &own.inside, &stored_fields);
            let id = own.id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
            let field = Field::new(&own.in_files, data_type, field.is_nullable());
            Arc::new(field.with_metadata(id.into_iter().collect()))
        }
    };
    fields.iter().map(stored).collect()
}

fn told_fields(fields: &Fields, names: &[Named], by_id: bool) -> Fields {
    let told = |field: &FieldRef| {
        let id = || field.metadata().get(PARQUET_FIELD_ID_META_KEY).and_then(|id| id.parse().ok());
        let is_it = |own: &&Named| match by_id {
            true => own.id.is_some() && own.id == id(),
            false => own.in_files == *field.name(),
        };
        match names.iter().find(is_it) {
            Some(own) => {
                let nested = |fields: &Fields, names: &[Named]| told_fields(fields, names, by_id);
                let data_type = mapped(field.data_type(), &own.inside, &nested);
                Arc::new(Field::new(&own.name, data_type, field.is_nullable()))
            }
            None if names.iter().any(|own| own.name == *field.name()) => {
                Arc::new(field.as_ref().clone().with_name(format!("{} of another column", field.name())))
            }
            None => Arc::clone(field),
        }
    };
    fields.iter().map(told).collect()
}

/// A type with the fields of its structs as `change` gives them.
fn mapped(data_type: &DataType, inside: &Inside, change: &dyn Fn(&Fields, &[Named]) -> Fields) -> DataType {
    let part = |field: &FieldRef, inside: &Inside| {
        let data_type = mapped(field.data_type(), inside, change);
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match (data_type, inside) {
        (DataType::Struct(fields), Inside::Struct(names)) => DataType::Struct(change(fields, names)),
        (DataType::List(item), Inside::List(inside)) => DataType::List(part(item, inside)),
        (DataType::Map(entries, sorted), Inside::Map(key, value)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let fields = Fields::from(vec![part(&fields[0], key), part(&fields[1], value)]);
                let entries = entries.as_ref().clone().with_data_type(DataType::Struct(fields));
                DataType::Map(Arc::new(entries), *sorted)
            }
            other => other.clone(),
        },
        (other, _) => other.clone(),
    }
}

/// The same values under other names: `data_type` differs from the array's own in those alone.
fn relabelled(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    Ok(match data_type {
        DataType::Struct(fields) => {
            let own = array.as_struct();
            let columns = own.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| relabelled(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                own.nulls().cloned(),
                own.len(),
            )?)
        }
        DataType::List(item) => {
            let own = array.as_list::<i32>();
            let values = relabelled(own.values(), item.data_type())?;
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                own.offsets().clone(),
                values,
                own.nulls().cloned(),
            )?)
        }
        DataType::Map(entries, sorted) => {
            let own = array.as_map();
            let all: ArrayRef = Arc::new(own.entries().clone());
            let all = relabelled(&all, entries.data_type())?.as_struct().clone();
            let (offsets, nulls) = (own.offsets().clone(), own.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, all, nulls, *sorted)?)
        }
        other => arrow::compute::cast(array, other)?,
    })
}

impl PhysicalExprAdapterFactory for Names {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let told = Arc::new(Schema::new(self.told(file.fields())));
        let by_name = DefaultPhysicalExprAdapterFactory.create(table, Arc::clone(&told))?;
        Ok(Arc::new(Adapter { by_name, told, file }))
    }
}

/// Brings an expression on a table's columns to those of one file.
#[derive(Debug)]
struct Adapter {
    by_name: Arc<dyn PhysicalExprAdapter>,
    told: SchemaRef,
    file: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let in_file = |expr: Arc<dyn PhysicalExpr>| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let at = column.index();
            let (told, field) = (self.told.field(at), self.file.field(at));
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
            Ok(Transformed::yes(match told.data_type() == field.data_type() {
                true => column,
                false => Arc::new(Relabelled { column, data_type: told.data_type().clone() }),
            }))
        };
        self.by_name.rewrite(expr)?.transform_up(in_file).data()
    }
}

/// A nested column of a file under the table's names.
#[derive(Debug, Eq)]
struct Relabelled {
    column: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

impl PartialEq for Relabelled {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.data_type == other.data_type
    }
}

impl Hash for Relabelled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.data_type.hash(state);
    }
}

impl fmt::Display for Relabelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column)
    }
}

impl PhysicalExpr for Relabelled {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.column.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(relabelled(&array, &self.data_type)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let column = children.pop().unwrap_or_else(|| Arc::clone(&self.column));
        Ok(Arc::new(Self { column, data_type: self.data_type.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
