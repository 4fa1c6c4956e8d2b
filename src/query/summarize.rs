//! What is in a table, at a glance?
//!
//! `SUMMARIZE` asks one query over all columns and turns its only row on its side: a line for each column, with its
//! least and greatest value, how many different ones there are, about, and how many are missing.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef};

use super::{Outcome, QueryError, Session};
use crate::base::sql_type_name;

/// What is asked of each column, as SQL, and of which.
const MEASURES: [(&str, &str, Of); 9] = [
    ("min", "min({c})", Of::Ordered),
    ("max", "max({c})", Of::Ordered),
    ("approx_unique", "approx_distinct({c}::varchar)", Of::Ordered),
    ("avg", "avg({c})", Of::Numbers),
    ("std", "stddev({c}::double)", Of::Numbers),
    ("q25", "approx_percentile_cont({c}::double, 0.25)", Of::Numbers),
    ("q50", "approx_percentile_cont({c}::double, 0.5)", Of::Numbers),
    ("q75", "approx_percentile_cont({c}::double, 0.75)", Of::Numbers),
    ("known", "count({c})", Of::All),
];

/// The columns of a summary, and those of them that are whole numbers.
const COLUMNS: [&str; 12] = [
    "column_name",
    "column_type",
    "min",
    "max",
    "approx_unique",
    "avg",
    "std",
    "q25",
    "q50",
    "q75",
    "count",
    "null_percentage",
];
const NUMBERS: &[&str] = &["approx_unique", "count"];

/// The columns that a measure makes sense for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    Ordered,
    Numbers,
}

impl Of {
    fn has(self, data_type: &DataType) -> bool {
        match self {
            Self::All => true,
            Self::Ordered => !data_type.is_nested() && *data_type != DataType::Null,
            Self::Numbers => data_type.is_numeric(),
        }
    }
}

/// Summarizes the rows of `sql`, a query.
pub(super) async fn summary(session: &Session, sql: &str) -> Result<Outcome, QueryError> {
    let schema = session.check(sql).await?;
    let mut asked = vec!["count(*)::varchar as \"rows\"".to_owned()];
    for (at, field) in schema.fields().iter().enumerate() {
        let column = format!("\"{}\"", field.name().replace('"', "\"\""));
        for (name, measure, of) in MEASURES {
            let value = match of.has(field.data_type()) {
                true => format!("({})::varchar", measure.replace("{c}", &column)),
                false => "null::varchar".to_owned(),
            };
            asked.push(format!("{value} as \"{name} {at}\""));
        }
    }
    let batches =
        session.query(&format!("select {} from ({sql})", asked.join(", "))).await?.collect().await?;
    let answer = |column: usize| {
        let values = batches.iter().find(|batch| batch.num_rows() > 0)?.column(column).clone();
        let values = arrow::compute::cast(&values, &DataType::Utf8).ok()?;
        let texts = values.as_string::<i32>();
        texts.is_valid(0).then(|| texts.value(0).to_owned())
    };
    let rows: u64 = answer(0).and_then(|rows| rows.parse().ok()).unwrap_or_default();
    let lines = schema.fields().iter().enumerate().map(|(at, field)| {
        let [min, max, unique, avg, std, q25, q50, q75, known] =
            std::array::from_fn(|measure| answer(1 + at * MEASURES.len() + measure));
        let known: u64 = known.and_then(|known| known.parse().ok()).unwrap_or_default();
        let missing = match rows {
            0 => None,
            rows => Some(percent(rows - known.min(rows), rows)),
        };
        let (name, data_type) = (Some(field.name().clone()), Some(sql_type_name(field.data_type())));
        [name, data_type, min, max, unique, avg, std, q25, q50, q75, Some(rows.to_string()), missing]
    });
    Ok(Outcome::table(COLUMNS, NUMBERS, lines.collect()))
}

/// The columns of every summary.
pub(super) fn columns() -> SchemaRef {
    Arc::clone(Outcome::table(COLUMNS, NUMBERS, Vec::new()).schema())
}

/// `12.5 %` of the whole, with one digit after the point, rounded.
fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{}%", tenths / 10, tenths % 10)
}
