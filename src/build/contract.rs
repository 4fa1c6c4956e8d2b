//! What does a contract make of the rows of a query?
//!
//! With `contract: {enforced: true}` a model has the columns that its properties say, in their order and of their types. A query
//! that gives others is refused, as in dbt. One kind of whole number may stand for another, since what a literal or a count
//! is differs from engine to engine: its values are checked when they are written.

use std::sync::Arc;

use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::sql_text::{cast, quoted};
use crate::base::{parse_data_type, sql_type_name};
use crate::compile::Node;

/// The columns that a query keeps its contract with.
#[derive(Debug)]
pub(super) struct Contract {
    /// For each column its place in the query.
    from: Vec<usize>,
    /// The columns.
    schema: SchemaRef,
    /// Whether the query gives them just so.
    is_plain: bool,
}

impl Contract {
    /// Compares what a node's contract promises with what its query gives; nothing if the node has none.
    ///
    /// # Errors
    /// A table of the columns that differ: dbt's, with both types.
    pub(super) fn of(node: &Node, given: &Schema) -> Result<Option<Self>, String> {
        if !super::has_contract(node) {
            return Ok(None);
        }
        let promised = node.columns.iter().map(|column| (column.name.as_str(), column.data_type.as_deref()));
        Self::read(promised, given).map(Some)
    }

    fn read<'a>(
        promised: impl Iterator<Item = (&'a str, Option<&'a str>)>,
        given: &Schema,
    ) -> Result<Self, String> {
        let mut wrong: Vec<[String; 4]> = Vec::new();
        let (mut from, mut fields) = (Vec::new(), Vec::new());
        for (name, contract) in promised {
            let contract = contract.unwrap_or_default();
            let place = given.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
            let Some(at) = place else {
                wrong.push([name.into(), String::new(), contract.into(), "missing in definition".into()]);
                continue;
            };
            let field = given.field(at);
            let (is, should) = (field.data_type(), parse_data_type(contract));
            let is_whole = is.is_integer()
                && should.as_ref().is_some_and(DataType::is_integer)
                && should.as_ref() != Some(is);
            if !is_whole && sql_type_name(is) != should.as_ref().map(sql_type_name).unwrap_or_default() {
                let is = sql_type_name(is);
                wrong.push([name.into(), is, contract.into(), "data type mismatch".into()]);
            }
            from.push(at);
            fields.push(match should.filter(|_| is_whole) {
                Some(should) => Field::new(field.name(), should, field.is_nullable()),
                None => field.clone(),
            });
        }
        for (at, field) in given.fields().iter().enumerate() {
            if !from.contains(&at) {
                let is = sql_type_name(field.data_type());
                wrong.push([field.name().clone(), is, String::new(), "missing in contract".into()]);
            }
        }
        if wrong.is_empty() {
            let is_plain = from.is_sorted() && fields.iter().eq(given.fields().iter().map(Arc::as_ref));
            return Ok(Self { from, schema: Arc::new(Schema::new(fields)), is_plain });
        }
        let mut text = "This model has an enforced contract that failed.\n\n| column_name | definition_type | contract_type | mismatch_reason |".to_owned();
        for row in wrong {
            text.push_str(&format!("\n| {} |", row.join(" | ")));
        }
        Err(text)
    }

    /// The columns of what is made.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of the query as the contract has them. A value that does not fit its column is an error of the stream.
    pub(super) fn rows(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        if self.is_plain {
            return rows;
        }
        let (from, schema) = (self.from.clone(), Arc::clone(&self.schema));
        let rows = rows.map(move |batch| {
            let batch = batch?;
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let columns = from
                .iter()
                .zip(schema.fields())
                .map(|(at, field)| cast_with_options(batch.column(*at), field.data_type(), &strict));
            let columns = columns.collect::<Result<_, _>>()?;
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }

    /// The query of a view that keeps the contract: the node's own, or one around it.
    pub(super) fn query(&self, sql: &str) -> String {
        if self.is_plain {
            return sql.to_owned();
        }
        let columns = self.schema.fields().iter().map(|field| {
            let name = quoted(field.name());
            format!("{} as {name}", cast(&name, field.data_type()))
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        format!("select {columns} from (\n{}\n) as kept", sql.trim().trim_end_matches(';'))
    }
}
