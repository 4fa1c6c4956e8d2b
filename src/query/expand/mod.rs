//! What do `* RENAME`, `COLUMNS(…)`, `PIVOT`, `ORDER BY ALL`, `USING` and an alias in its own list mean?
//!
//! What they mean depends on the columns that a table has, which the parser does not know and the engine's
//! planner does not ask. So the first of them that a statement holds becomes a question: which columns has
//! `select * from …`? With the answer it is spelled out, and the next one is looked for.

mod aliases;
mod hashes;
mod joins;
mod limits;
mod pivot;
mod stars;
mod structs;

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    CastKind, Expr, Ident, ObjectName, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut, With,
};

use super::dialect::{self, empty_query, select_all_from};
use super::{QueryError, SqlMistake};
use crate::base::{ReleaseNumber, sql_type_name};
use aliases::{refers_to_itself, spell_aliases};
use stars::{choose, chooser, names_columns, needs_columns, spell_stars, unpacks, which};

/// So many times a statement may ask.
const QUESTIONS: usize = 200;

/// A column as `select *` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    table: Option<String>,
    name: String,
    /// What it is, if it is of more than one table.
    means: Option<Expr>,
    /// The names in it, if it is a struct.
    fields: Vec<String>,
    is_map: bool,
}

/// What a name without a table means.
type Meaning = (String, Expr);

impl Column {
    fn expr(&self) -> Expr {
        if let Some(means) = &self.means {
            return means.clone();
        }
        let name = Ident::with_quote('"', &self.name);
        match &self.table {
            Some(table) => Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), name]),
            None => Expr::Identifier(name),
        }
    }

    /// Without the table, as it is called in a subquery over one table.
    fn bare(&self) -> Expr {
        Expr::Identifier(Ident::with_quote('"', &self.name))
    }
}

/// Spells out whatever needs to know which columns there are.
///
/// # Errors
/// What is asked for makes no sense; the columns cannot be found.
pub(super) async fn expand(
    state: &SessionState,
    statement: &mut Statement,
    release: Option<ReleaseNumber>,
) -> Result<(), QueryError> {
    let mut settled = 0;
    let mut next = None;
    for _ in 0..QUESTIONS {
        let question = match next.take() {
            Some(question) => question,
            None => match statement.visit(&mut Walk::new(settled, None)) {
                ControlFlow::Continue(()) => return Ok(()),
                ControlFlow::Break(found) => found.map_err(|mistake| QueryError::Sql(*mistake))?,
            },
        };
        let Found { probe, is_needed, wants_values, is_number } = question;
        let answer = match wants_values {
            true => Box::pin(values(state, *probe, release)).await.map(Answer::Values),
            false => Box::pin(columns(state, *probe, release)).await.map(Answer::Columns),
        };
        let columns = match answer {
            Ok(answer) => answer,
            Err(_) if !is_needed => Answer::Unknown,
            // How many rows there are changes nothing of what a query is.
            Err(error) if is_number && error.is_of_rows_to_come() => Answer::Values(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut walk = Walk::new(settled, Some(columns));
        match statement.visit(&mut walk) {
            ControlFlow::Break(Err(mistake)) => return Err(QueryError::Sql(*mistake)),
            // An answer may be what another question is about.
            ControlFlow::Break(Ok(found)) if found.wants_values => next = Some(found),
            _ => {}
        }
        settled = walk.selects;
    }
    Ok(())
}

async fn planned(
    state: &SessionState,
    probe: Query,
    release: Option<ReleaseNumber>,
) -> Result<LogicalPlan, QueryError> {
    let mut statement = Statement::Query(Box::new(probe));
    dialect::prepare(&mut statement, release)?;
    Ok(Box::pin(state.statement_to_plan(EngineStatement::Statement(Box::new(statement)))).await?)
}

/// The values of a query's only column, each as an expression and as a text.
async fn values(
    state: &SessionState,
    probe: Query,
    release: Option<ReleaseNumber>,
) -> Result<Vec<(Expr, String)>, QueryError> {
    let plan = planned(state, probe, release).await?;
    let plan = Box::pin(state.create_physical_plan(&plan)).await?;
    let batches = Box::pin(collect(plan, state.task_ctx())).await?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if rows > pivot::MOST {
        let what = format!("PIVOT would make {rows} columns, and {} is the most", pivot::MOST);
        let help = "list the values that are wanted: `pivot t on c in ('a', 'b') using …`";
        return Err(SqlMistake::new("elt::sql::pivot", what).help(help).into());
    }
    let mut found = Vec::with_capacity(rows);
    for batch in &batches {
        let column = batch.column(0);
        let options = FormatOptions::default();
        let texts =
            ArrayFormatter::try_new(column, &options).map_err(datafusion::error::DataFusionError::from)?;
        let data_type = sql_type_name(column.data_type());
        for row in 0..batch.num_rows() {
            let text = texts.value(row).to_string();
            let literal = Expr::value(Value::SingleQuotedString(text.clone()));
            let expr = match dialect::data_type(&data_type) {
                Some(data_type) => Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(literal),
                    data_type,
                    array: false,
                    format: None,
                },
                None => literal,
            };
            found.push((expr, text));
        }
    }
    Ok(found)
}

async fn columns(
    state: &SessionState,
    probe: Query,
    release: Option<ReleaseNumber>,
) -> Result<Vec<Column>, QueryError> {
    let plan = planned(state, probe, release).await?;
    let columns = plan.schema().iter().map(|(table, field)| Column {
        table: table.map(|table| table.table().to_owned()),
        name: field.name().clone(),
        means: None,
        fields: match field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
            _ => Vec::new(),
        },
        is_map: matches!(field.data_type(), DataType::Map(..)),
    });
    Ok(columns.collect())
}

/// What is known of the columns that were asked for.
enum Answer {
    Columns(Vec<Column>),
    Values(Vec<(Expr, String)>),
    /// They cannot be found. The planner will say why.
    Unknown,
}

/// A question, and whether the statement makes no sense without an answer.
struct Found {
    probe: Box<Query>,
    is_needed: bool,
    /// Whether the rows of the probe are asked for, and not its columns.
    wants_values: bool,
    /// Whether its only value is a number of rows.
    is_number: bool,
}

impl Found {
    fn columns(probe: Box<Query>, is_needed: bool) -> Self {
        Self { probe, is_needed, wants_values: false, is_number: false }
    }

    fn values(probe: Box<Query>) -> Self {
        Self { probe, is_needed: true, wants_values: true, is_number: false }
    }

    /// Something was spelled out; there may be more.
    fn more() -> Self {
        Self::columns(Box::new(empty_query()), false)
    }
}

type Flow = ControlFlow<Result<Found, Box<SqlMistake>>>;

fn wrong<T>(what: impl Into<String>, help: &str) -> Result<T, Box<SqlMistake>> {
    Err(Box::new(SqlMistake::new("elt::sql::not_supported", what).help(help)))
}

/// Looks for the first question, or gives it its answer.
struct Walk {
    /// Selects that were asked about already, in the order in which they are left.
    settled: usize,
    /// Selects that were left so far.
    selects: usize,
    answer: Option<Answer>,
    /// The CTEs of the queries around, and how many of them come before.
    withs: Vec<(Option<With>, usize)>,
    /// Whether the answer was given; nothing more is asked then.
    answered: bool,
    /// What shared names mean in the query that is left next, if it is so deep.
    shared: Option<(usize, Vec<Meaning>)>,
}

impl Walk {
    fn new(settled: usize, answer: Option<Answer>) -> Self {
        Self { settled, selects: 0, answer, withs: Vec::new(), answered: false, shared: None }
    }

    /// `query`, with the CTEs that are known where it stands.
    fn asked(&self, mut query: Query) -> Box<Query> {
        let mut ctes = Vec::new();
        let mut recursive = false;
        for (with, before) in &self.withs {
            let Some(with) = with else { continue };
            recursive |= with.recursive;
            ctes.extend(with.cte_tables.iter().take(*before).cloned());
        }
        let token = self.withs.iter().find_map(|(with, _)| with.as_ref()).map(|with| with.with_token.clone());
        if let Some(with_token) = token.filter(|_| !ctes.is_empty()) {
            query.with = Some(With { with_token, recursive, cte_tables: ctes });
        }
        Box::new(query)
    }
}

impl VisitorMut for Walk {
    type Break = Result<Found, Box<SqlMistake>>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        self.withs.push((query.with.clone(), 0));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> Flow {
        if let Some((depth, meanings)) = &self.shared
            && *depth == self.withs.len()
        {
            joins::put_in_order(query, meanings);
            self.shared = None;
        }
        if let Some(OrderBy { kind: OrderByKind::All(options), .. }) = &query.order_by
            && !self.answered
        {
            let options = *options;
            if let Some(columns) = plain_columns(query) {
                query.order_by = Some(by_place(columns, options));
                return self.post_visit_query(query);
            }
            let Some(answer) = self.answer.take() else {
                let probe = self.asked(Query { order_by: None, ..query.clone() });
                return ControlFlow::Break(Ok(Found::columns(probe, true)));
            };
            if let Answer::Columns(columns) = answer {
                query.order_by = Some(by_place(columns.len(), options));
                return ControlFlow::Break(Ok(Found::more()));
            }
        }
        if !self.answered
            && let Some(asked) = limits::asked(query)
        {
            return match self.answer.take() {
                Some(Answer::Values(values)) => {
                    limits::put(query, values);
                    ControlFlow::Break(Ok(Found::more()))
                }
                Some(_) => ControlFlow::Continue(()),
                None => {
                    let probe = self.asked(asked);
                    ControlFlow::Break(Ok(Found {
                        probe,
                        is_needed: true,
                        wants_values: true,
                        is_number: true,
                    }))
                }
            };
        }
        self.withs.pop();
        // CTEs are visited before the query that they belong to.
        if let Some((_, before)) = self.withs.last_mut() {
            *before += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        let (TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. }) = &*factor else {
            return ControlFlow::Continue(());
        };
        if self.answered {
            return ControlFlow::Continue(());
        }
        let asked = pivot::values_asked(factor);
        match (self.answer.take(), asked) {
            (None, Some(query)) => {
                let probe = self.asked(query);
                return ControlFlow::Break(Ok(Found::values(probe)));
            }
            (None, None) => {
                let probe = self.asked(select_all_from((**table).clone()));
                return ControlFlow::Break(Ok(Found::columns(probe, true)));
            }
            (Some(Answer::Values(values)), _) => pivot::list_values(factor, values),
            (Some(Answer::Columns(columns)), _) => {
                let spelled = match &*factor {
                    TableFactor::Pivot { .. } => pivot::pivot(factor, &columns),
                    _ => pivot::unpivot(factor, &columns),
                };
                match spelled {
                    Ok(spelled) => *factor = spelled,
                    Err(mistake) => return ControlFlow::Break(Err(mistake)),
                }
            }
            (Some(Answer::Unknown), _) => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(Ok(Found::more()))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> Flow {
        if self.answered {
            return ControlFlow::Continue(());
        }
        self.selects += 1;
        if self.selects > self.settled
            && let Some(probe) = structs::parts_asked(select)
        {
            return match self.answer.take() {
                None => ControlFlow::Break(Ok(Found::columns(self.asked(probe), false))),
                Some(Answer::Columns(columns)) => {
                    structs::take_apart(select, &columns);
                    self.selects -= 1;
                    ControlFlow::Break(Ok(Found::more()))
                }
                Some(_) => {
                    self.answered = true;
                    ControlFlow::Continue(())
                }
            };
        }
        let shares = joins::are_shared(select);
        let of_columns = |expr: &Expr| which(expr).is_some() || unpacks(expr) || chooser(expr).is_some();
        let is_needed = select.projection.iter().any(needs_columns)
            || hashes::are_asked(select)
            || select.selection.as_ref().is_some_and(of_columns);
        let names = select.projection.iter().any(names_columns);
        let rows = structs::are_named(select);
        let wanted = is_needed || names || shares || rows || refers_to_itself(select);
        if self.selects <= self.settled || !wanted {
            return ControlFlow::Continue(());
        }
        if select.from.is_empty() {
            return match spell_aliases(select, &[]) {
                Ok(()) => ControlFlow::Continue(()),
                Err(mistake) => ControlFlow::Break(Err(mistake)),
            };
        }
        if shares {
            joins::name_relations(select);
        }
        let Some(answer) = self.answer.take() else {
            let mut query = empty_query();
            if let SetExpr::Select(all) = &mut *query.body {
                all.from = if shares { joins::side_by_side(&select.from) } else { select.from.clone() };
            }
            return ControlFlow::Break(Ok(Found::columns(self.asked(query), is_needed)));
        };
        if let Answer::Values(names) = answer {
            let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
            if let Some(expr) = choosing(select) {
                choose(expr, &names);
            }
            self.selects -= 1;
            return ControlFlow::Break(Ok(Found::more()));
        }
        let Answer::Columns(columns) = answer else {
            self.answered = true;
            return ControlFlow::Continue(());
        };
        if let Some((name, body)) = choosing(select).and_then(|expr| chooser(expr)) {
            let probe = chosen(&columns, &name, &body)?;
            self.selects -= 1;
            return ControlFlow::Break(Ok(Found::values(probe)));
        }
        self.answered = true;
        match self.spell(select, &columns, shares) {
            Ok(()) => ControlFlow::Continue(()),
            Err(mistake) => ControlFlow::Break(Err(mistake)),
        }
    }
}

impl Walk {
    /// Spells out what a select says of columns, now that they are known.
    fn spell(
        &mut self,
        select: &mut Select,
        columns: &[Column],
        shares: bool,
    ) -> Result<(), Box<SqlMistake>> {
        structs::spell(select, columns)?;
        hashes::spell(select, columns);
        let spelled = if shares { joins::spell(select, columns)? } else { None };
        let Some((shown, meanings)) = spelled else {
            spell_stars(select, columns, columns, false)?;
            return spell_aliases(select, columns);
        };
        self.shared = Some((self.withs.len(), meanings));
        spell_stars(select, &shown, columns, true)?;
        spell_aliases(select, &shown)
    }
}

/// The first expression of a select that chooses columns by their names.
fn choosing(select: &mut Select) -> Option<&mut Expr> {
    let listed = select.projection.iter_mut().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    listed.chain(select.selection.as_mut()).find(|expr| chooser(expr).is_some())
}

/// The query for the names of columns that a condition is true of.
fn chosen(
    columns: &[Column],
    name: &Ident,
    body: &Expr,
) -> ControlFlow<Result<Found, Box<SqlMistake>>, Box<Query>> {
    let names: Vec<String> =
        columns.iter().map(|column| format!("('{}')", column.name.replace('\'', "''"))).collect();
    let sql =
        format!("SELECT {name} FROM (VALUES {}) AS _elt_columns ({name}) WHERE {body}", names.join(", "));
    match dialect::parse_query(&sql) {
        Ok(Statement::Query(query)) => ControlFlow::Continue(query),
        _ => ControlFlow::Break(wrong(
            format!("`{body}` chooses no columns"),
            "write `columns(c -> c like 'a%')`",
        )),
    }
}

/// How many columns a select list gives, if it says so itself.
fn plain_columns(query: &Query) -> Option<usize> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let is_plain =
        |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    select.projection.iter().all(is_plain).then_some(select.projection.len())
}

/// `ORDER BY 1, 2, …`
fn by_place(columns: usize, options: OrderByOptions) -> OrderBy {
    let places = (1..=columns).map(|place| OrderByExpr {
        expr: Expr::value(Value::Number(place.to_string(), false)),
        options,
        with_fill: None,
    });
    OrderBy { kind: OrderByKind::Expressions(places.collect()), interpolate: None }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn folded_object(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(folded).unwrap_or_default()
}
