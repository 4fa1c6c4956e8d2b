//! What if a column is written in other letters than it has, `id` for `Id`?
//!
//! The engine folds names without quotes to lower case and finds only columns that are so. A name that it does not find
//! and that fits one column in all but the case of its letters means that column, in quotes or not, as in DuckDB and Spark: it
//! is written as it is, in quotes.

use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{Expr, Ident, Statement, VisitMut, VisitorMut};

use super::SqlMistake;
use super::dialect::{fields_of_columns, name_tables};
use super::mend::misreads_a_table;

/// Spells the column that the mistake is about as it is, and says whether there was one to spell.
pub(super) fn corrected(statement: &mut Statement, mistake: &SqlMistake) -> bool {
    let Some(meant) = mistake.meant() else { return false };
    let mut speller = Speller { meant, place: mistake.place(), found: false };
    let _: ControlFlow<()> = statement.visit(&mut speller);
    speller.found
}

/// Plans a statement that is in the engine's words. Where a name with a dot was taken for a member of a column that has none,
/// the table of that name is meant: `w.i` in a subquery whose table has a column `w`. Where there is no such table, the field of a
/// column around the subquery is.
pub(super) async fn planned(
    state: &SessionState,
    statement: Statement,
) -> Result<LogicalPlan, DataFusionError> {
    let mut named = statement.clone();
    let has_names = name_tables(&mut named);
    let plan = |statement| {
        let statement = EngineStatement::Statement(Box::new(statement));
        Box::pin(state.statement_to_plan(statement))
    };
    let mut fields = statement.clone();
    let as_written = match plan(statement).await {
        Ok(planned) => planned,
        // What looks like the column of a table may be the field of a column around the subquery.
        Err(error) if fields_of_columns(&mut fields) => return plan(fields).await.map_err(|_| error),
        Err(error) => return Err(error),
    };
    if has_names && misreads_a_table(&as_written)? {
        return plan(named).await;
    }
    Ok(as_written)
}

struct Speller<'a> {
    meant: &'a str,
    /// Line and column of the name, or of the whole that it is the end of.
    place: Option<(usize, usize)>,
    found: bool,
}

impl Speller<'_> {
    fn spell(&mut self, whole: Option<(u64, u64)>, name: &mut Ident) {
        let at = |(line, column): (u64, u64)| (usize::try_from(line).ok(), usize::try_from(column).ok());
        let is_there = |(line, column): (usize, usize)| {
            let own = (name.span.start.line, name.span.start.column);
            [Some(own), whole].into_iter().flatten().any(|place| at(place) == (Some(line), Some(column)))
        };
        let is_as_it_is = name.quote_style.is_some() && name.value == self.meant;
        let is_it =
            !is_as_it_is && name.value.eq_ignore_ascii_case(self.meant) && self.place.is_none_or(is_there);
        if is_it {
            self.meant.clone_into(&mut name.value);
            name.quote_style = Some('"');
            self.found = true;
        }
    }
}

impl VisitorMut for Speller<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.spell(None, name),
            Expr::CompoundIdentifier(parts) => {
                let whole = parts.first().map(|first| (first.span.start.line, first.span.start.column));
                if let Some(name) = parts.last_mut() {
                    self.spell(whole, name);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
