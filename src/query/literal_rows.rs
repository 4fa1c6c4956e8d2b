//! Which rows are written out in full?
//!
//! A script of another program may hold `VALUES` of a hundred thousand rows. Each value would be an expression that every rule of the
//! engine looks at. Where all of them are literals, they are rows in memory before anything is planned.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use sqlparser::ast::{
    self, CastKind, Expr, Query, SetExpr, Statement, UnaryOperator, Value, Values, VisitMut, VisitorMut,
};

use super::dialect::parse_query;

/// Fewer rows are planned as they are written.
const MANY: usize = 2_000;

/// Takes such rows out of a statement, which reads them by a name then.
pub(super) fn take_out(statement: &mut Statement) -> Vec<(String, Arc<dyn TableProvider>)> {
    let mut taken = Taken(Vec::new());
    let _: ControlFlow<()> = statement.visit(&mut taken);
    taken.0
}

struct Taken(Vec<(String, Arc<dyn TableProvider>)>);

impl VisitorMut for Taken {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = &*query.body
            && values.rows.len() >= MANY
            && let Some((rows, casts)) = rows(values)
        {
            let name = format!("_elt_written_{}", self.0.len());
            let column = |(at, cast): (usize, &Option<ast::DataType>)| match cast {
                Some(data_type) => format!("cast(column{0} as {data_type}) as column{0}", at + 1),
                None => format!("column{}", at + 1),
            };
            let columns: Vec<String> = casts.iter().enumerate().map(column).collect();
            let sql = format!("select {} from \"{name}\"", columns.join(", "));
            if let Ok(Statement::Query(read)) = parse_query(&sql) {
                query.body = read.body;
                self.0.push((name, rows));
            }
        }
        ControlFlow::Continue(())
    }
}

/// A value as it is written.
enum Literal<'a> {
    Whole(i64),
    Fraction(f64),
    Text(&'a str),
    Truth(bool),
}

/// What the values of a column have been so far.
#[derive(Default)]
struct Column<'a> {
    values: Vec<Option<Literal<'a>>>,
    cast: Option<&'a ast::DataType>,
    has_values: bool,
    has_numbers: bool,
    has_fractions: bool,
    has_texts: bool,
    has_truths: bool,
}

/// What each column is cast to, if it is.
type Casts = Vec<Option<ast::DataType>>;

/// The rows, and what each column is cast to; nothing if one of them is no literal, or a column would be of no type that is plain.
fn rows(values: &Values) -> Option<(Arc<dyn TableProvider>, Casts)> {
    let width = values.rows.first()?.len();
    let mut columns: Vec<Column<'_>> = Vec::new();
    columns.resize_with(width, Column::default);
    for row in &values.rows {
        if row.len() != width {
            return None;
        }
        for (column, value) in columns.iter_mut().zip(row.iter()) {
            column.take(value)?;
        }
    }
    let casts = columns.iter().map(|column| column.cast.cloned()).collect();
    let arrays = columns.into_iter().map(Column::array).collect::<Option<Vec<ArrayRef>>>()?;
    let field = |(at, array): (usize, &ArrayRef)| {
        Field::new(format!("column{}", at + 1), array.data_type().clone(), true)
    };
    let schema = Arc::new(Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).ok()?;
    let step = 8192;
    let batches =
        (0..batch.num_rows()).step_by(step).map(|at| batch.slice(at, step.min(batch.num_rows() - at)));
    let rows = MemTable::try_new(schema, vec![batches.collect()]).ok()?;
    Some((Arc::new(rows), casts))
}

impl<'a> Column<'a> {
    fn take(&mut self, value: &'a Expr) -> Option<()> {
        let (value, cast) = match bare(value) {
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                array: false,
            } => (literal(expr)?, Some(data_type)),
            other => (literal(other)?, None),
        };
        let Some(value) = value else {
            self.values.push(None);
            return Some(());
        };
        match self.has_values {
            true if self.cast != cast => return None,
            _ => self.cast = cast,
        }
        self.has_values = true;
        match &value {
            Literal::Whole(_) => self.has_numbers = true,
            Literal::Fraction(_) => (self.has_numbers, self.has_fractions) = (true, true),
            Literal::Text(_) => self.has_texts = true,
            Literal::Truth(_) => self.has_truths = true,
        }
        self.values.push(Some(value));
        Some(())
    }

    fn array(self) -> Option<ArrayRef> {
        let is_double = matches!(
            self.cast,
            Some(
                ast::DataType::Double(_)
                    | ast::DataType::DoublePrecision
                    | ast::DataType::Float(_)
                    | ast::DataType::Real
            )
        );
        let is_decimal = matches!(
            self.cast,
            Some(ast::DataType::Decimal(_) | ast::DataType::Numeric(_) | ast::DataType::Dec(_))
        );
        let values = self.values.into_iter();
        Some(match (self.has_numbers, self.has_texts, self.has_truths) {
            (true, false, false) if self.has_fractions && (self.cast.is_none() || is_double) => {
                let numbers = values.map(|value| match value {
                    Some(Literal::Whole(whole)) => Some(whole as f64),
                    Some(Literal::Fraction(fraction)) => Some(fraction),
                    _ => None,
                });
                Arc::new(numbers.collect::<Float64Array>())
            }
            (true, false, false) if !self.has_fractions => {
                let whole = |value| if let Some(Literal::Whole(whole)) = value { Some(whole) } else { None };
                Arc::new(values.map(whole).collect::<Int64Array>())
            }
            // Decimals are texts where they have a point, and may be whole numbers beside that.
            (true, true, false) if is_decimal && !self.has_fractions => {
                let texts = values.map(|value| match value {
                    Some(Literal::Whole(whole)) => Some(whole.to_string()),
                    Some(Literal::Text(text)) => Some(text.to_owned()),
                    _ => None,
                });
                Arc::new(texts.collect::<StringArray>())
            }
            (false, true, false) => {
                let text = |value| if let Some(Literal::Text(text)) = value { Some(text) } else { None };
                Arc::new(values.map(text).collect::<StringArray>())
            }
            (false, false, true) => {
                let truth = |value| if let Some(Literal::Truth(truth)) = value { Some(truth) } else { None };
                Arc::new(values.map(truth).collect::<BooleanArray>())
            }
            _ => return None,
        })
    }
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// A literal, which may be null; nothing if it is none, or a number that the engine would not read so.
fn literal(expr: &Expr) -> Option<Option<Literal<'_>>> {
    let number = |text: &str, sign: i8| -> Option<Literal<'_>> {
        if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || text.len() > 16 {
            return None;
        }
        Some(match text.contains('.') {
            true => Literal::Fraction(f64::from(sign) * text.parse::<f64>().ok()?),
            false => Literal::Whole(i64::from(sign) * text.parse::<i64>().ok()?),
        })
    };
    match bare(expr) {
        Expr::Value(value) => match &value.value {
            Value::Null => Some(None),
            Value::Number(text, _) => number(text, 1).map(Some),
            Value::SingleQuotedString(text) => Some(Some(Literal::Text(text))),
            Value::Boolean(truth) => Some(Some(Literal::Truth(*truth))),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match bare(expr) {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => number(text, -1).map(Some),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn taken(row: &str, other: &str) -> Option<(Vec<DataType>, String)> {
        let rows: Vec<&str> = (0..MANY).map(|at| if at == 7 { other } else { row }).collect();
        let mut statement =
            parse_query(&format!("select * from (values {}) t(a, b)", rows.join(", "))).unwrap();
        let (_, rows) = take_out(&mut statement).pop()?;
        let types = rows.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        Some((types, statement.to_string()))
    }

    #[test]
    fn rows_of_literals_are_taken_out_and_others_stay() {
        let read = "SELECT * FROM (SELECT column1, column2 FROM \"_elt_written_0\") t (a, b)";
        for (row, other, types) in [
            ("(1, 'x')", "(-2, null)", [DataType::Int64, DataType::Utf8]),
            ("(1, true)", "(2.5, false)", [DataType::Float64, DataType::Boolean]),
        ] {
            assert_eq!(taken(row, other), Some((types.to_vec(), read.to_owned())), "{row}");
        }
        let cast = taken("(1, cast('1.50' as decimal(10, 2)))", "(2, cast(7 as decimal(10, 2)))");
        assert!(cast.is_some_and(
            |(types, sql)| types[1] == DataType::Utf8 && sql.contains("CAST(column2 AS DECIMAL(10,2))")
        ));
        for other in
            ["(1 + 1, 'x')", "('y', 'x')", "(12345678901234567, 'x')", "(1, cast('x' as date))", "(null, 1)"]
        {
            assert_eq!(taken("(1, 'x')", other), None, "{other}");
        }
        assert_eq!(taken("(null, 'x')", "(null, 'x')"), None);
    }
}
