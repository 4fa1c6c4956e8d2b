//! What do `* RENAME`, `COLUMNS(…)`, `PIVOT` and an alias in its own list mean?
//!
//! What they mean depends on the columns that a table has, which the parser does not know and the engine's
//! planner does not ask. So the first of them that a statement holds becomes a question: which columns has
//! `select * from …`? With the answer it is spelled out, and the next one is looked for.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow::array::StringArray;
use arrow::compute::kernels::regexp::regexp_is_match_scalar;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, ExprWithAlias, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, Ident, NullInclusion, ObjectName, PivotValueSource, Query,
    RenameSelectItem, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    SetQuantifier, Statement, TableFactor, Value, VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};

use super::dialect::{self, empty_query, select_all_from};
use super::{QueryError, SqlMistake};
use crate::base::ReleaseNumber;

/// So many times a statement may ask.
const QUESTIONS: usize = 200;

/// A column as `select *` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    table: Option<String>,
    name: String,
}

impl Column {
    fn expr(&self) -> Expr {
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
    for _ in 0..QUESTIONS {
        let mut walk = Walk::new(settled, None);
        let question = match statement.visit(&mut walk) {
            ControlFlow::Continue(()) => return Ok(()),
            ControlFlow::Break(found) => found.map_err(|mistake| QueryError::Sql(*mistake))?,
        };
        let Found { probe, is_needed } = question;
        let columns = match Box::pin(columns(state, *probe, release)).await {
            Ok(columns) => Answer::Columns(columns),
            Err(_) if !is_needed => Answer::Unknown,
            Err(error) => return Err(error),
        };
        let mut walk = Walk::new(settled, Some(columns));
        if let ControlFlow::Break(Err(mistake)) = statement.visit(&mut walk) {
            return Err(QueryError::Sql(*mistake));
        }
        settled = walk.selects;
    }
    Ok(())
}

async fn columns(
    state: &SessionState,
    probe: Query,
    release: Option<ReleaseNumber>,
) -> Result<Vec<Column>, QueryError> {
    let mut statement = Statement::Query(Box::new(probe));
    dialect::prepare(&mut statement, release)?;
    let plan = Box::pin(state.statement_to_plan(EngineStatement::Statement(Box::new(statement)))).await?;
    let columns = plan.schema().iter().map(|(table, field)| Column {
        table: table.map(|table| table.table().to_owned()),
        name: field.name().clone(),
    });
    Ok(columns.collect())
}

/// What is known of the columns that were asked for.
enum Answer {
    Columns(Vec<Column>),
    /// They cannot be found. The planner will say why.
    Unknown,
}

/// A question, and whether the statement makes no sense without an answer.
struct Found {
    probe: Box<Query>,
    is_needed: bool,
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
}

impl Walk {
    fn new(settled: usize, answer: Option<Answer>) -> Self {
        Self { settled, selects: 0, answer, withs: Vec::new() }
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

    fn post_visit_query(&mut self, _query: &mut Query) -> Flow {
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
        let Some(answer) = self.answer.take() else {
            let probe = self.asked(select_all_from((**table).clone()));
            return ControlFlow::Break(Ok(Found { probe, is_needed: true }));
        };
        let Answer::Columns(columns) = answer else { return ControlFlow::Continue(()) };
        let spelled = match &*factor {
            TableFactor::Pivot { .. } => pivot(factor, &columns),
            _ => unpivot(factor, &columns),
        };
        match spelled {
            Ok(spelled) => *factor = spelled,
            Err(mistake) => return ControlFlow::Break(Err(mistake)),
        }
        let probe = Box::new(empty_query());
        ControlFlow::Break(Ok(Found { probe, is_needed: false }))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> Flow {
        self.selects += 1;
        let is_needed = select.projection.iter().any(needs_columns);
        let wanted = is_needed || refers_to_itself(select);
        if self.selects <= self.settled || !wanted {
            return ControlFlow::Continue(());
        }
        if select.from.is_empty() {
            return match spell_aliases(select, &[]) {
                Ok(()) => ControlFlow::Continue(()),
                Err(mistake) => ControlFlow::Break(Err(mistake)),
            };
        }
        let Some(answer) = self.answer.take() else {
            let mut query = empty_query();
            if let SetExpr::Select(all) = &mut *query.body {
                all.from = select.from.clone();
            }
            return ControlFlow::Break(Ok(Found { probe: self.asked(query), is_needed }));
        };
        let spelled = match answer {
            Answer::Columns(columns) => {
                spell_stars(select, &columns).and_then(|()| spell_aliases(select, &columns))
            }
            Answer::Unknown => Ok(()),
        };
        let probe = Box::new(empty_query());
        ControlFlow::Break(spelled.map(|()| Found { probe, is_needed: false }))
    }
}

/// Whether an item stands for columns that only the table knows.
fn needs_columns(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            options.opt_rename.is_some()
        }
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => pattern(expr).is_some(),
        SelectItem::ExprWithAliases { .. } => false,
    }
}

fn spell_stars(select: &mut Select, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let mut spelled = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) if options.opt_rename.is_some() => {
                spelled.extend(renamed(columns.iter(), &options)?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options)
                if options.opt_rename.is_some() =>
            {
                let table = folded_object(&table);
                let of_table = columns.iter().filter(|column| column.table.as_deref() == Some(&table));
                spelled.extend(renamed(of_table, &options)?);
            }
            SelectItem::UnnamedExpr(expr) if pattern(&expr).is_some() => {
                spelled.extend(for_each_column(&expr, columns)?.into_iter().map(SelectItem::UnnamedExpr));
            }
            SelectItem::ExprWithAlias { expr, alias } if pattern(&expr).is_some() => {
                let mut exprs = for_each_column(&expr, columns)?;
                if exprs.len() != 1 {
                    return wrong(
                        format!("`{expr}` is {} columns, which cannot all be called `{alias}`", exprs.len()),
                        "leave the name out",
                    );
                }
                spelled.push(SelectItem::ExprWithAlias { expr: exprs.remove(0), alias });
            }
            other => spelled.push(other),
        }
    }
    select.projection = spelled;
    Ok(())
}

/// `* RENAME (a AS b)`, together with EXCLUDE and REPLACE.
fn renamed<'a>(
    columns: impl Iterator<Item = &'a Column>,
    options: &WildcardAdditionalOptions,
) -> Result<Vec<SelectItem>, Box<SqlMistake>> {
    let mut excluded: HashSet<String> = HashSet::new();
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => drop(excluded.insert(folded_object(name))),
        Some(ExcludeSelectItem::Multiple(names)) => excluded.extend(names.iter().map(folded_object)),
        None => {}
    }
    if let Some(except) = &options.opt_except {
        excluded.insert(folded(&except.first_element));
        excluded.extend(except.additional_elements.iter().map(folded));
    }
    let renames = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(many)) => many.as_slice(),
        None => &[],
    };
    if options.opt_ilike.is_some() {
        return wrong("ILIKE beside RENAME is not supported", "name the columns");
    }
    let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items);
    let replaced: Vec<_> = replaced.collect();
    let mut unknown: HashSet<String> = renames.iter().map(|rename| folded(&rename.ident)).collect();
    let mut items = Vec::new();
    for column in columns.filter(|column| !excluded.contains(&column.name)) {
        let rename = renames.iter().find(|rename| folded(&rename.ident) == column.name);
        let replace = replaced.iter().find(|replace| folded(&replace.column_name) == column.name);
        unknown.remove(&column.name);
        let expr = replace.map_or_else(|| column.expr(), |replace| replace.expr.clone());
        let alias = match (rename, replace) {
            (Some(rename), _) => Some(rename.alias.clone()),
            (None, Some(_)) => Some(Ident::with_quote('"', &column.name)),
            (None, None) => None,
        };
        items.push(match alias {
            Some(alias) => SelectItem::ExprWithAlias { expr, alias },
            None => SelectItem::UnnamedExpr(expr),
        });
    }
    match unknown.into_iter().next() {
        Some(name) => {
            wrong(format!("there is no column `{name}` to rename"), "`describe t` lists the columns")
        }
        None => Ok(items),
    }
}

/// The pattern of the first `COLUMNS(…)` in an expression; `*` is every column.
fn pattern(expr: &Expr) -> Option<String> {
    struct Find(Option<String>);
    impl sqlparser::ast::Visitor for Find {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Some(pattern) = of_call(expr) {
                self.0 = Some(pattern);
                return ControlFlow::Break(());
            }
            if matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. }) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    let mut find = Find(None);
    let _ = sqlparser::ast::Visit::visit(expr, &mut find);
    find.0
}

/// The pattern, if the expression is the call itself.
fn of_call(expr: &Expr) -> Option<String> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    if !name.to_string().eq_ignore_ascii_case("columns") {
        return None;
    }
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] => Some("*".to_owned()),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
            Value::SingleQuotedString(pattern) => Some(pattern.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The expression once for each column that its `COLUMNS(…)` means.
fn for_each_column(expr: &Expr, columns: &[Column]) -> Result<Vec<Expr>, Box<SqlMistake>> {
    let pattern = pattern(expr).unwrap_or_default();
    let names = StringArray::from_iter_values(columns.iter().map(|column| column.name.as_str()));
    let matches: Vec<bool> = match pattern.as_str() {
        "*" => vec![true; columns.len()],
        regex => match regexp_is_match_scalar(&names, regex, None) {
            Ok(matches) => matches.iter().map(|is_match| is_match == Some(true)).collect(),
            Err(error) => {
                return wrong(
                    format!("`{regex}` is not a regular expression: {error}"),
                    "write `columns('^a')`",
                );
            }
        },
    };
    let meant: Vec<&Column> =
        columns.iter().zip(&matches).filter(|(_, is_match)| **is_match).map(|(column, _)| column).collect();
    if meant.is_empty() {
        return wrong(format!("no column matches `{pattern}`"), "`describe t` lists the columns");
    }
    let with = |column: &&Column| {
        struct Put<'a>(&'a Column);
        impl VisitorMut for Put<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                if of_call(expr).is_some() {
                    *expr = self.0.expr();
                }
                ControlFlow::Continue(())
            }
        }
        let mut expr = expr.clone();
        let _ = expr.visit(&mut Put(column));
        expr
    };
    Ok(meant.iter().map(with).collect())
}

/// Whether an item of the list, or the `where`, uses a name that the list gave before.
fn refers_to_itself(select: &Select) -> bool {
    let mut aliases: Vec<(String, Expr)> = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) if uses(expr, &aliases) => return true,
            SelectItem::ExprWithAlias { expr, alias } => {
                if uses(expr, &aliases) {
                    return true;
                }
                aliases.push((folded(alias), expr.clone()));
            }
            _ => {}
        }
    }
    select.selection.as_ref().is_some_and(|condition| uses(condition, &aliases))
}

fn uses(expr: &Expr, aliases: &[(String, Expr)]) -> bool {
    let mut copy = expr.clone();
    substitute(&mut copy, aliases)
}

/// Puts what an alias stands for in its place, where no column of the tables has its name.
fn spell_aliases(select: &mut Select, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let mut aliases: Vec<(String, Expr)> = Vec::new();
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => drop(substitute(expr, &aliases)),
            SelectItem::ExprWithAlias { expr, alias } => {
                substitute(expr, &aliases);
                let name = folded(alias);
                let is_itself = matches!(&*expr, Expr::Identifier(own) if folded(own) == name);
                if !is_itself && !columns.iter().any(|column| column.name == name) {
                    aliases.push((name, expr.clone()));
                }
            }
            _ => {}
        }
    }
    if let Some(condition) = &mut select.selection {
        substitute(condition, &aliases);
    }
    Ok(())
}

/// Says whether anything was put in. Names inside subqueries are theirs.
fn substitute(expr: &mut Expr, aliases: &[(String, Expr)]) -> bool {
    struct Put<'a> {
        aliases: &'a [(String, Expr)],
        depth: usize,
        done: bool,
    }
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        // After its parts: what is put in is not looked at again.
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let (Expr::Identifier(name), 0) = (&*expr, self.depth)
                && let Some((_, meaning)) =
                    self.aliases.iter().rev().find(|(alias, _)| *alias == folded(name))
            {
                *expr = Expr::Nested(Box::new(meaning.clone()));
                self.done = true;
            }
            ControlFlow::Continue(())
        }
    }
    let mut put = Put { aliases, depth: 0, done: false };
    let _ = expr.visit(&mut put);
    put.done
}

/// `t PIVOT (sum(n) FOR c IN ('a', 'b'))` as one aggregate with a filter for each value.
fn pivot(factor: &TableFactor, columns: &[Column]) -> Result<TableFactor, Box<SqlMistake>> {
    let TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } =
        factor
    else {
        return Ok(factor.clone());
    };
    if default_on_null.is_some() {
        return wrong("DEFAULT ON NULL is not supported", "write `coalesce(a, 0)` around the columns");
    }
    let [by] = value_column.as_slice() else {
        return wrong("PIVOT by several columns is not supported", "join them first: `a || b as ab`");
    };
    let PivotValueSource::List(values) = value_source else {
        return wrong(
            "PIVOT without a list of values is not supported",
            "list the values: `for c in ('a', 'b')`",
        );
    };
    let mut used: HashSet<String> = HashSet::new();
    names_in(by, &mut used);
    aggregate_functions.iter().for_each(|aggregate| names_in(&aggregate.expr, &mut used));
    let kept: Vec<&Column> = columns.iter().filter(|column| !used.contains(&column.name)).collect();
    let mut query = select_all_from((**table).clone());
    let SetExpr::Select(select) = &mut *query.body else { return Ok(factor.clone()) };
    select.projection = kept.iter().map(|column| SelectItem::UnnamedExpr(column.bare())).collect();
    for value in values {
        for aggregate in aggregate_functions {
            let mut expr = aggregate.expr.clone();
            let Expr::Function(call) = &mut expr else {
                return wrong(format!("`{expr}` is not an aggregate"), "write `pivot (sum(n) for c in (…))`");
            };
            let is_value = is_equal(by, &value.expr);
            let filter = match call.filter.take() {
                Some(filter) => {
                    Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(is_value) }
                }
                None => is_value,
            };
            call.filter = Some(Box::new(filter));
            let heading = heading(value, aggregate, aggregate_functions.len());
            select
                .projection
                .push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', heading) });
        }
    }
    select.group_by = GroupByExpr::Expressions(kept.iter().map(|column| column.bare()).collect(), Vec::new());
    let alias = alias.clone();
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None })
}

fn is_equal(column: &Expr, value: &Expr) -> Expr {
    let column = Box::new(column.clone());
    match value {
        Expr::Value(null) if null.value == Value::Null => Expr::IsNull(column),
        value => Expr::BinaryOp { left: column, op: BinaryOperator::Eq, right: Box::new(value.clone()) },
    }
}

fn heading(value: &ExprWithAlias, aggregate: &ExprWithAlias, aggregates: usize) -> String {
    let value = match (&value.alias, &value.expr) {
        (Some(alias), _) => folded(alias),
        (None, Expr::Value(text)) => match &text.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        (None, other) => other.to_string(),
    };
    let aggregate_name =
        aggregate.alias.as_ref().map_or_else(|| aggregate.expr.to_string().to_lowercase(), folded);
    if aggregates == 1 && aggregate.alias.is_none() { value } else { format!("{value}_{aggregate_name}") }
}

/// The names of columns in an expression.
fn names_in(expr: &Expr, names: &mut HashSet<String>) {
    struct Names<'a>(&'a mut HashSet<String>);
    impl sqlparser::ast::Visitor for Names<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => drop(self.0.insert(folded(name))),
                Expr::CompoundIdentifier(path) => self.0.extend(path.last().map(folded)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let _ = sqlparser::ast::Visit::visit(expr, &mut Names(names));
}

/// `t UNPIVOT (v FOR k IN (a, b))` as one select for each column.
fn unpivot(factor: &TableFactor, columns: &[Column]) -> Result<TableFactor, Box<SqlMistake>> {
    let TableFactor::Unpivot { table, value, name, columns: turned, null_inclusion, alias } = factor else {
        return Ok(factor.clone());
    };
    let Expr::Identifier(value) = value else {
        return wrong("UNPIVOT into several columns is not supported", "write `unpivot (v for k in (a, b))`");
    };
    let mut used: HashSet<String> = HashSet::new();
    turned.iter().for_each(|column| names_in(&column.expr, &mut used));
    let mut union: Option<SetExpr> = None;
    for column in turned {
        let mut query = select_all_from((**table).clone());
        let SetExpr::Select(select) = &mut *query.body else { return Ok(factor.clone()) };
        let kept = columns.iter().filter(|column| !used.contains(&column.name));
        select.projection = kept.map(|column| SelectItem::UnnamedExpr(column.bare())).collect();
        let key = match (&column.alias, &column.expr) {
            (Some(alias), _) => folded(alias),
            (None, Expr::Identifier(name)) => folded(name),
            (None, other) => other.to_string(),
        };
        let key = Expr::value(Value::SingleQuotedString(key));
        select.projection.push(SelectItem::ExprWithAlias { expr: key, alias: name.clone() });
        select.projection.push(SelectItem::ExprWithAlias { expr: column.expr.clone(), alias: value.clone() });
        if *null_inclusion != Some(NullInclusion::IncludeNulls) {
            select.selection = Some(Expr::IsNotNull(Box::new(column.expr.clone())));
        }
        let right = query.body;
        union = Some(match union {
            None => *right,
            Some(left) => SetExpr::SetOperation {
                left: Box::new(left),
                op: SetOperator::Union,
                set_quantifier: SetQuantifier::All,
                right,
            },
        });
    }
    let mut query = empty_query();
    if let Some(union) = union {
        *query.body = union;
    }
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: alias.clone(), sample: None })
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn folded_object(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(folded).unwrap_or_default()
}
