//! Does a model make of made-up rows what it should?
//!
//! Each input of the model is put in its place as a view of the given rows, typed as the input is; then the
//! model's own SQL is asked, and what comes is compared with what was expected, rows counted and order not.
//!
//! Nothing has to be built for it. An input that is not there yet has the types that its query is going to give, a seed
//! those of its file, and a source those that its properties say; what they do not say is told from the given rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::check::{self, Ground};
use super::data_test::first_rows;
use super::executed::Executed;
use super::report::{Sample, Verdict};
use super::seed::infer;
use super::sql_text::{cast, literal, quoted, table, value};
use crate::base::{TableName, parse_data_type};
use crate::compile::{Manifest, Node, NodeKind, UnitRows, UnitTestNode};
use crate::query::{Limits, QueryError, Scope, Session};
use crate::release::View;

/// Why a unit test could not be asked.
pub(super) enum Trouble {
    /// The engine says so.
    Query(QueryError),
    /// The test itself is wrong.
    Wrong(String),
}

impl From<QueryError> for Trouble {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// What a unit test is run in.
pub(super) struct Setting<'a> {
    /// The lake, with what was built before.
    pub(super) session: &'a Session,
    /// The schema of names without one.
    pub(super) schema: &'a str,
    /// The project.
    pub(super) manifest: &'a Manifest,
    /// When the run began.
    pub(super) now: DateTime<Utc>,
}

impl Setting<'_> {
    /// A session in which the inputs of a test are there, made or not.
    async fn assumed(&self, node: &Node, test: &UnitTestNode) -> Session {
        let scope = self.session.scope().clone();
        let mut sources = BTreeMap::new();
        for input in &test.inputs {
            let is_meant = |node: &&Node| {
                node.relation.as_ref() == Some(&input.relation) && matches!(node.kind, NodeKind::Source(_))
            };
            if let Some(source) = self.manifest.nodes.values().find(is_meant)
                && !scope.has(&input.relation)
                && let Some(columns) = self.columns_of_source(source, &input.rows).await
            {
                sources.insert(input.relation.clone(), columns);
            }
        }
        let ground =
            Ground { manifest: self.manifest, scope, sources, default_schema: self.schema, now: self.now };
        Session::new(check::assumed(ground, &node.id).await, self.schema, Limits::default())
    }

    /// The columns that a source's properties and the rows given for it name: typed as the properties say, else as the
    /// rows are.
    async fn columns_of_source(&self, source: &Node, rows: &UnitRows) -> Option<SchemaRef> {
        let given = match rows {
            UnitRows::Sql(sql) => self.session.check(sql).await.ok()?,
            UnitRows::Given(rows) => inferred(rows),
        };
        let told = |name: &str| given.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let mut fields = Vec::new();
        for column in source.columns.iter() {
            let declared = column.data_type.as_deref().and_then(parse_data_type);
            let told = || told(&column.name).map(|field| field.data_type().clone());
            let data_type = declared.or_else(told).unwrap_or(DataType::Utf8);
            fields.push(Arc::new(Field::new(column.name.to_lowercase(), data_type, true)));
        }
        let is_new = |field: &&FieldRef| {
            !source.columns.iter().any(|column| column.name.eq_ignore_ascii_case(field.name()))
        };
        fields.extend(given.fields().iter().filter(is_new).cloned());
        Some(Arc::new(Schema::new(fields)))
    }
}

/// The columns of given rows, in the order of their names, typed as a seed of these values would be.
fn inferred(rows: &[Map<String, Value>]) -> SchemaRef {
    let names: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let field = |name: &String| {
        let cell = |row: &Map<String, Value>| match row.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(cell) => Some(cell.to_string()),
        };
        Field::new(name.to_lowercase(), infer(&rows.iter().map(cell).collect::<Vec<_>>()), true)
    };
    Arc::new(Schema::new(names.into_iter().map(field).collect::<Vec<_>>()))
}

/// Runs a unit test.
pub(super) async fn ask(
    setting: &Setting<'_>,
    node: &Node,
    test: &UnitTestNode,
    executed: &Executed,
) -> Result<Verdict, Trouble> {
    let Setting { session, schema, .. } = *setting;
    let mut scope: Scope = session.scope().clone();
    let mut assumed = None;
    for input in &test.inputs {
        let like = match &input.columns_of {
            Some(sql) => sql.clone(),
            None => format!("select * from {}", table(&input.relation)),
        };
        let columns = match session.check(&like).await {
            Ok(columns) => columns,
            Err(_) => {
                if assumed.is_none() {
                    assumed = Some(setting.assumed(node, test).await);
                }
                let session = assumed.as_ref().unwrap_or(session);
                session.check(&like).await.map_err(|_| {
                    Trouble::Wrong(format!(
                        "`{}` is not built yet, and the types of its columns cannot be told from its query; build it first",
                        input.relation
                    ))
                })?
            }
        };
        let sql = match &input.rows {
            UnitRows::Given(rows) => {
                given(rows, &columns, &input.relation.to_string()).map_err(Trouble::Wrong)?
            }
            UnitRows::Sql(sql) => {
                let own = session.check(sql).await?;
                filled(sql, &own, &columns)
            }
        };
        executed.created("view", &input.relation, &sql);
        let view = View::new(sql, "").meant_by(scope.unsaid());
        scope = scope.with_view(&input.relation, view);
    }
    let session = Session::new(scope, schema, Limits::default());
    let made = session.check(&node.sql).await?;
    let (names, expected) = match &test.expected {
        UnitRows::Given(rows) => {
            let named: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
            for name in &named {
                if !made.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
                    return Err(Trouble::Wrong(format!(
                        "the model has no column `{name}`, which is expected"
                    )));
                }
            }
            let wanted = |name: &str| named.is_empty() || named.iter().any(|n| n.eq_ignore_ascii_case(name));
            let fields: Vec<_> = made.fields().iter().filter(|field| wanted(field.name())).cloned().collect();
            let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
            let expected = given(rows, &Schema::new(fields), "expect").map_err(Trouble::Wrong)?;
            (names, expected)
        }
        UnitRows::Sql(sql) => {
            let own = session.check(sql).await?;
            let of_made = |name: &str| made.fields().iter().find(|f| f.name().eq_ignore_ascii_case(name));
            if let Some(field) = own.fields().iter().find(|field| of_made(field.name()).is_none()) {
                return Err(Trouble::Wrong(format!(
                    "the model has no column `{}`, which is expected",
                    field.name()
                )));
            }
            let fields: Vec<_> = own.fields().iter().filter_map(|f| of_made(f.name())).cloned().collect();
            let names = fields.iter().map(|field| field.name().clone()).collect();
            (names, filled(sql, &own, &Schema::new(fields)))
        }
    };
    let names = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let unsaid = session.scope().unsaid();
    let actual = View::new(node.sql.as_str(), "").meant_by(unsaid);
    let actual_name = TableName::new("dbt_unit_test", "actual").expect("a plain name");
    let expected_name = TableName::new("dbt_unit_test", "expected").expect("a plain name");
    executed.created("view", &actual_name, &node.sql);
    executed.created("view", &expected_name, &expected);
    let scope = session.scope().clone().with_view(&actual_name, actual);
    let scope = scope.with_view(&expected_name, View::new(expected, "").meant_by(unsaid));
    let session = Session::new(scope, schema, Limits::default());
    let (actual, expected) = (table(&actual_name), table(&expected_name));
    let difference = format!(
        "select 'missing' as difference, * from (select {names} from {expected} except all select {names} from {actual}) \
         union all select 'unexpected' as difference, * from (select {names} from {actual} except all select {names} from {expected})"
    );
    executed.note(difference.as_str());
    let rows = session.query(&difference).await?.collect().await?;
    let count: usize = rows.iter().map(arrow::array::RecordBatch::num_rows).sum();
    if count == 0 {
        return Ok(Verdict::Passed);
    }
    let rows = first_rows(&rows)?;
    Ok(Verdict::Failed(Sample { failures: count as f64, rows, origins: Vec::new() }))
}

/// The query for given rows, typed as `columns`; what a row does not name is null.
fn given(rows: &[Map<String, Value>], columns: &Schema, whose: &str) -> Result<String, String> {
    for name in rows.iter().flat_map(Map::keys) {
        if !columns.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
            return Err(format!("`{whose}` has no column `{name}`"));
        }
    }
    let line = |row: Option<&Map<String, Value>>| {
        let cells = columns.fields().iter().map(|field| {
            let named =
                row.and_then(|row| row.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name())));
            let written = named.map_or("null".to_owned(), |(_, cell)| literal_of(cell, field.data_type()));
            format!("{} as {}", cast(&written, field.data_type()), quoted(field.name()))
        });
        format!("select {}", cells.collect::<Vec<_>>().join(", "))
    };
    if rows.is_empty() {
        return Ok(format!("{} where false", line(None)));
    }
    Ok(rows.iter().map(|row| line(Some(row))).collect::<Vec<_>>().join(" union all "))
}

/// Numbers and truths of text columns are texts.
fn literal_of(cell: &Value, data_type: &DataType) -> String {
    match (cell, data_type) {
        (Value::Number(_) | Value::Bool(_), DataType::Utf8) => literal(&cell.to_string()),
        _ => value(cell),
    }
}

/// A query of rows, brought to `columns`.
fn filled(sql: &str, own: &Schema, columns: &Schema) -> String {
    let cells = columns.fields().iter().map(|field| {
        let there = own.fields().iter().find(|own| own.name().eq_ignore_ascii_case(field.name()));
        let from = there.map_or("null".to_owned(), |own| quoted(own.name()));
        format!("{} as {}", cast(&from, field.data_type()), quoted(field.name()))
    });
    format!("select {} from (\n{sql}\n) as given", cells.collect::<Vec<_>>().join(", "))
}
