//! MERGE INTO.
//!
//! The statement becomes one query: the source joined with the table's rows and their places, and for every
//! row the first clause that applies to it. As in the standard, a row of the table that two rows of the
//! source would change is an error.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use sqlparser::ast::{
    AssignmentTarget, CaseWhen, Expr, Ident, Join, JoinConstraint, JoinOperator, Merge, MergeAction,
    MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind, ObjectName, Query, SelectItem,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, helpers::attached_token::AttachedToken,
};

use super::target::{
    Target, alone, cast, first_factor, folded, item, known_as, null, number, select_of, sql_type, template,
};
use super::{QueryError, Session, SqlMistake, Staged, lineage, not_supported, refuse_if};
use crate::base::sql_type_name;
use crate::query::dialect::ALL_COLUMNS;
use crate::table::write::{self, DELETE, INSERT, UPDATE};
use crate::table::{Design, FILE_COLUMN, Operation, grown, storable, takes};

/// What to write where no clause says what is done.
pub(in crate::query) const WITHOUT_WHEN: &str =
    "say what is done: `when matched then update set *`, `when not matched then insert *`";
/// The column that is true where there is a row of the source.
const FROM_SOURCE: &str = "_elt_source";

/// `MERGE [WITH SCHEMA EVOLUTION] INTO t USING s ON … WHEN …`
pub(super) async fn merge(session: &Session, merge: Merge, evolve: bool) -> Result<Staged, QueryError> {
    refuse_if(merge.output.is_some(), "OUTPUT", "select the rows after the merge")?;
    refuse_if(merge.clauses.is_empty(), "MERGE without WHEN", WITHOUT_WHEN)?;
    let target = Target::of(session, &merge.table, "MERGE").await?;
    let source_alias = source_name(&merge.source)?;
    if folded(&source_alias) == folded(&target.alias) {
        let message =
            format!("the table and what is merged into it are both called `{}`", folded(&target.alias));
        let mistake = SqlMistake::new("elt::sql::same_name", message)
            .at(source_alias.span.start.line, source_alias.span.start.column);
        return Err(mistake.help("give one of them another name: `USING … AS s`").into());
    }
    let mut probe = template("select * from t limit 0");
    select_of(&mut probe).from = vec![alone(merge.source.clone())];
    let source_columns = session.columns_of(probe).await?;

    let source = Source { alias: source_alias, columns: source_columns };
    let schema = match evolve && merge.clauses.iter().any(takes_all) {
        true => source.grown(session, &target, &merge).await?,
        false => (Arc::clone(target.base.schema()), target.base.design().clone()),
    };
    let columns: Vec<String> = schema.0.fields().iter().map(|field| field.name().clone()).collect();
    let mut clauses = Vec::new();
    for clause in merge.clauses {
        clauses.push(Clause::of(clause, &target, &source, &columns, evolve)?);
    }
    let from = from(&target, &merge.source, &source, *merge.on, &clauses)?;
    let assigned = assigned(&target, from.clone(), &clauses, &columns);
    let query = edits(&target, &source, from, &clauses, &schema.0);
    let rows = session.rows_of(query).await?.into_stream();
    let mode = target.base.design().write_mode();
    let change =
        write::edit(session.scope().tables(), target.base, schema, rows, Operation::Merge, mode).await?;
    let change = match assigned {
        Some(query) => Box::pin(lineage::told(session, query, None, change)).await,
        None => change,
    };
    Ok(Staged::change("MERGE", change))
}

/// What is merged in.
struct Source {
    alias: Ident,
    columns: Vec<String>,
}

impl Source {
    fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.alias.clone(), Ident::with_quote('"', name)])
    }

    /// The source's column that goes into the table's `column`.
    fn matching(&self, column: &str) -> Option<&str> {
        let same = |own: &&String| own.eq_ignore_ascii_case(column);
        self.columns.iter().find(same).map(String::as_str)
    }

    /// The table with the columns that `SET *` and `INSERT *` give to it.
    async fn grown(
        &self,
        session: &Session,
        target: &Target,
        merge: &Merge,
    ) -> Result<(SchemaRef, Design), QueryError> {
        let mut probe = template("select * from t limit 0");
        select_of(&mut probe).from = vec![alone(merge.source.clone())];
        let given = session.rows_of(probe).await?.schema().clone();
        let given = storable(&target.name, &given)?;
        let (schema, design) = grown(&target.base, &given)?;
        for field in schema.fields().iter().filter(|field| field.data_type().is_nested()) {
            let given = given.fields().iter().find(|given| given.name().eq_ignore_ascii_case(field.name()));
            if let Some(given) = given.filter(|given| !takes(field.data_type(), given.data_type())) {
                let (own, given) = (sql_type_name(field.data_type()), sql_type_name(given.data_type()));
                let message =
                    format!("`{}` of `{}` is {own} and cannot take {given}", field.name(), target.name);
                let help = "cast it in the source, or let types widen: `alter table … set tblproperties \
                            ('delta.enableTypeWidening' = 'true')`";
                return Err(SqlMistake::new("elt::sql::types", message).help(help).into());
            }
        }
        Ok((schema, design))
    }
}

/// Whether a clause says `SET *` or `INSERT *`.
fn takes_all(clause: &MergeClause) -> bool {
    let is_all = |name: &ObjectName| name.to_string() == ALL_COLUMNS;
    match &clause.action {
        MergeAction::Insert(insert) => insert.columns.first().is_some_and(is_all),
        MergeAction::Update(update) => update.assignments.first().is_some_and(
            |assignment| matches!(&assignment.target, AssignmentTarget::ColumnName(name) if is_all(name)),
        ),
        MergeAction::Delete { .. } => false,
    }
}

/// A clause, ready to become part of the query.
struct Clause {
    kind: MergeClauseKind,
    predicate: Option<Expr>,
    action: i64,
    /// The value of every column of the table.
    values: Vec<Expr>,
}

impl Clause {
    fn of(
        clause: MergeClause,
        target: &Target,
        source: &Source,
        columns: &[String],
        evolve: bool,
    ) -> Result<Self, QueryError> {
        let all = takes_all(&clause);
        let kind = clause.clause_kind;
        let inserts = matches!(kind, MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget);
        // Where only one side has a row, an unqualified name means a column of that side.
        let mut seen = |expr: &mut Expr| match kind {
            MergeClauseKind::Matched => {}
            MergeClauseKind::NotMatchedBySource => {
                let names = target.base.schema().fields().iter().map(|field| field.name().clone());
                qualify(expr, &target.alias, &names.collect());
            }
            _ => qualify(expr, &source.alias, &source.columns.iter().cloned().collect()),
        };
        let mut predicate = clause.predicate;
        predicate.iter_mut().for_each(&mut seen);
        let stays = |name: &String| match target.base.schema().column_with_name(name) {
            Some(_) => target.kept(name),
            None => null(),
        };
        let (action, values) = match clause.action {
            MergeAction::Delete { .. } if inserts => {
                return Err(not_supported(
                    "DELETE when not matched",
                    "there is no row to delete: write WHEN NOT MATCHED BY SOURCE THEN DELETE",
                ));
            }
            MergeAction::Delete { .. } => (DELETE, columns.iter().map(stays).collect()),
            MergeAction::Update(_) if inserts => {
                return Err(not_supported(
                    "UPDATE when not matched",
                    "there is no row to update: write INSERT",
                ));
            }
            MergeAction::Insert(_) if !inserts => {
                return Err(not_supported(
                    "INSERT when matched",
                    "the row is there: write UPDATE SET, or WHEN NOT MATCHED",
                ));
            }
            MergeAction::Update(_) if all && kind == MergeClauseKind::NotMatchedBySource => {
                return Err(not_supported(
                    "UPDATE SET * when not matched by source",
                    "there is no row to take values from: name columns and values",
                ));
            }
            MergeAction::Update(update) => {
                refuse_if(
                    update.update_predicate.is_some() || update.delete_predicate.is_some(),
                    "WHERE after UPDATE SET",
                    "put the condition before THEN: `WHEN MATCHED AND … THEN UPDATE SET …`",
                )?;
                let mut assigned: Vec<(String, Expr)> = Vec::new();
                for assignment in update.assignments.into_iter().filter(|_| !all) {
                    let AssignmentTarget::ColumnName(name) = &assignment.target else {
                        return Err(not_supported("SET (a, b) = …", "assign each column by itself"));
                    };
                    let mut value = assignment.value;
                    seen(&mut value);
                    let column = target.known_column(name)?;
                    if assigned.iter().any(|(known, _)| *known == column) {
                        return Err(super::edits::assigned_twice(&column));
                    }
                    assigned.push((column, value));
                }
                let value = |name: &String| match assigned.iter().find(|(column, _)| column == name) {
                    Some((_, value)) => value.clone(),
                    None => stays(name),
                };
                match all {
                    true => (UPDATE, all_values(target, source, columns, evolve, &stays)?),
                    false => (UPDATE, columns.iter().map(value).collect()),
                }
            }
            MergeAction::Insert(_) if all => {
                (INSERT, all_values(target, source, columns, evolve, &|_: &String| null())?)
            }
            MergeAction::Insert(insert) => (INSERT, inserted(insert, target, source, columns, &mut seen)?),
        };
        Ok(Self { kind, predicate, action, values })
    }

    /// When the clause applies, earlier clauses not counted.
    fn applies(&self, target: &Target, source: &Source) -> Expr {
        let in_table = Expr::IsNotNull(Box::new(target.column(FILE_COLUMN)));
        let not_in_table = Expr::IsNull(Box::new(target.column(FILE_COLUMN)));
        let not_in_source = Expr::IsNull(Box::new(source.column(FROM_SOURCE)));
        let in_source = Expr::IsNotNull(Box::new(source.column(FROM_SOURCE)));
        let kind = match self.kind {
            MergeClauseKind::Matched => and(in_table, in_source),
            MergeClauseKind::NotMatchedBySource => and(in_table, not_in_source),
            _ => not_in_table,
        };
        match &self.predicate {
            Some(predicate) => and(kind, Expr::Nested(Box::new(predicate.clone()))),
            None => kind,
        }
    }
}

/// The values of `SET *` and `INSERT *`.
fn all_values(
    target: &Target,
    source: &Source,
    columns: &[String],
    evolve: bool,
    otherwise: &dyn Fn(&String) -> Expr,
) -> Result<Vec<Expr>, QueryError> {
    let value = |name: &String| match source.matching(name) {
        Some(own) => Ok(source.column(own)),
        None if evolve => Ok(otherwise(name)),
        None => {
            let message = format!("the source has no column `{name}` for `*`, and `{}` has one", target.name);
            let help = "name the columns that it gives, or write MERGE WITH SCHEMA EVOLUTION to leave the others as they are";
            Err(SqlMistake::new("elt::sql::no_such_column", message).help(help).into())
        }
    };
    columns.iter().map(value).collect()
}

/// The values of `INSERT (columns) VALUES (…)`.
fn inserted(
    insert: MergeInsertExpr,
    target: &Target,
    source: &Source,
    columns: &[String],
    seen: &mut dyn FnMut(&mut Expr),
) -> Result<Vec<Expr>, QueryError> {
    refuse_if(insert.insert_predicate.is_some(), "WHERE after INSERT", "put the condition before THEN")?;
    let MergeInsertKind::Values(values) = insert.kind else {
        return all_values(target, source, columns, false, &|_: &String| null());
    };
    let mut rows = values.rows;
    let [row] = &mut rows[..] else {
        return Err(not_supported("INSERT of several rows in a MERGE", "give one row of values"));
    };
    let named: Result<Vec<String>, QueryError> =
        insert.columns.iter().map(|column| target.known_column(column)).collect();
    let mut named = named?;
    if let Some(twice) = (1..named.len()).find(|at| named[..*at].contains(&named[*at])) {
        return Err(super::edits::assigned_twice(&named[twice]));
    }
    if named.is_empty() {
        named = target.base.schema().fields().iter().map(|field| field.name().clone()).collect();
    }
    let row: &mut Vec<Expr> = &mut row.content;
    if row.len() != named.len() {
        let message = format!("{} values for {} columns in the INSERT of the MERGE", row.len(), named.len());
        return Err(SqlMistake::new("elt::sql::values_and_columns", message)
            .help("give each column one value")
            .into());
    }
    row.iter_mut().for_each(seen);
    let value = |name: &String| match named.iter().position(|column| column == name) {
        Some(at) => row[at].clone(),
        None => null(),
    };
    Ok(columns.iter().map(value).collect())
}

/// What the statement calls the source.
fn source_name(factor: &TableFactor) -> Result<Ident, QueryError> {
    let alias = match factor {
        TableFactor::Table { name, alias, .. } => {
            alias.as_ref().map(|alias| alias.name.clone()).or_else(|| {
                let last = name.0.last()?.as_ident()?;
                Some(Ident::with_quote('"', folded(last)))
            })
        }
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    };
    alias.ok_or_else(|| not_supported("a source without a name", "give it one: `USING (select …) AS s`"))
}

/// The source joined with the table, with the rows that the clauses need.
fn from(
    target: &Target,
    factor: &TableFactor,
    source: &Source,
    on: Expr,
    clauses: &[Clause],
) -> Result<TableWithJoins, QueryError> {
    let has = |kinds: &[MergeClauseKind]| clauses.iter().any(|clause| kinds.contains(&clause.kind));
    let inserts = has(&[MergeClauseKind::NotMatched, MergeClauseKind::NotMatchedByTarget]);
    let by_source = has(&[MergeClauseKind::NotMatchedBySource]);
    let on = JoinConstraint::On(on);
    let join_operator = match (inserts, by_source) {
        (false, false) => JoinOperator::Inner(on),
        (true, false) => JoinOperator::LeftOuter(on),
        (false, true) => JoinOperator::RightOuter(on),
        (true, true) => JoinOperator::FullOuter(on),
    };
    let mut relation = first_factor(&format!("select 1 from (select *, true as {FROM_SOURCE} from t) as s"));
    if let TableFactor::Derived { subquery, alias, .. } = &mut relation {
        select_of(subquery).from = vec![alone(factor.clone())];
        *alias = Some(known_as(source.alias.clone()));
    }
    let join = Join { relation: target.factor(), global: false, join_operator };
    Ok(TableWithJoins { relation, joins: vec![join] })
}

/// The query that gives the edits: for every row the first clause that applies.
fn edits(
    target: &Target,
    source: &Source,
    from: TableWithJoins,
    clauses: &[Clause],
    schema: &Schema,
) -> Query {
    let mut query = template("select 1 from t");
    let select = select_of(&mut query);
    let first = |result: &dyn Fn(&Clause) -> Expr| Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: clauses
            .iter()
            .map(|clause| CaseWhen { condition: clause.applies(target, source), result: result(clause) })
            .collect(),
        else_result: None,
    };
    select.projection = target.places(first(&|clause| number(clause.action)));
    let value = |(at, field): (usize, &FieldRef)| -> SelectItem {
        let before = target.base.schema().field_with_name(field.name());
        let grew = before.is_ok_and(|before| before.data_type() != field.data_type());
        let cast_to = sql_type(field.data_type()).filter(|_| grew && field.data_type().is_nested());
        let value = first(&|clause| match &cast_to {
            Some(data_type) => cast(clause.values[at].clone(), data_type.clone()),
            // Each as it is written: a text among them may be a moment.
            None if !grew => target.assigned(field.name(), clause.values[at].clone()),
            None => clause.values[at].clone(),
        });
        item(value, field.name())
    };
    select.projection.extend(schema.fields().iter().enumerate().map(value));
    select.from = vec![from];
    query
}

/// The query that gives what any clause puts into each column, so that it can be told where that comes from; nothing if none
/// puts anything anywhere.
fn assigned(target: &Target, from: TableWithJoins, clauses: &[Clause], columns: &[String]) -> Option<Query> {
    let giving: Vec<&Clause> = clauses.iter().filter(|clause| clause.action != DELETE).collect();
    let given = columns.iter().enumerate().filter_map(|(at, name)| {
        let mut values: Vec<&Expr> = Vec::new();
        for value in giving.iter().map(|clause| &clause.values[at]) {
            if *value != null() && *value != target.column(name) && !values.contains(&value) {
                values.push(value);
            }
        }
        let (last, others) = values.split_last()?;
        let conditions = others.iter().map(|value| CaseWhen {
            condition: Expr::Value(Value::Boolean(true).with_empty_span()),
            result: (*value).clone(),
        });
        let value = match others.is_empty() {
            true => (*last).clone(),
            false => Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: None,
                conditions: conditions.collect(),
                else_result: Some(Box::new((*last).clone())),
            },
        };
        Some(item(value, name))
    });
    let mut query = template("select 1 from t");
    let select = select_of(&mut query);
    select.projection = given.collect();
    select.from = vec![from];
    (!select.projection.is_empty()).then_some(query)
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: sqlparser::ast::BinaryOperator::And, right: Box::new(right) }
}

/// Puts `alias` before every bare name of a column in `columns`.
fn qualify(expr: &mut Expr, alias: &Ident, columns: &BTreeSet<String>) {
    struct Qualifier<'a>(&'a Ident, &'a BTreeSet<String>, usize);
    impl VisitorMut for Qualifier<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.2 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.2 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            // A subquery has names of its own.
            if let (0, Expr::Identifier(name)) = (self.2, &*expr)
                && self.1.iter().any(|column| column.eq_ignore_ascii_case(&name.value))
            {
                *expr = Expr::CompoundIdentifier(vec![self.0.clone(), name.clone()]);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = expr.visit(&mut Qualifier(alias, columns, 0));
}
