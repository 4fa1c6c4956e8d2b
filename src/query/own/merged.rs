//! How is something merged into a temporary table?
//!
//! The table is made anew: its rows as the clauses change them, and below them the rows of the source that have no row of the
//! table. For each row the first clause that applies is done, as in a lasting table.

use arrow::datatypes::SchemaRef;
use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertKind,
    ObjectName, TableFactor,
};

use super::rewrite::Change;
use super::temporary::named_column;
use crate::base::sql_type_name;
use crate::query::dialect::ALL_COLUMNS;
use crate::query::{SqlMistake, staging};

/// The column that tells the rows of the table apart.
const ROW: &str = "\"_elt_row_number\"";
/// The column that is true where there is a row of the source.
const FOUND: &str = "\"_elt_found\"";

/// The rows of a table after a merge, how many it was about, and how many of the table's have more than one of the source that
/// would change them.
pub(super) struct Merged {
    pub(super) change: Change,
    pub(super) ambiguous: String,
}

/// One `WHEN … THEN …`, as texts.
struct Clause {
    /// When it applies, earlier ones not counted.
    condition: String,
    is_of_source: bool,
    needs_match: bool,
    /// The value of each column; nothing if the row goes.
    values: Option<Vec<String>>,
}

/// What a merge into a table with these columns comes to.
///
/// # Errors
/// A clause that is not supported, or a column that is not there.
pub(super) fn merged(merge: Merge, schema: &SchemaRef) -> Result<Merged, SqlMistake> {
    if merge.output.is_some() {
        return Err(refused("OUTPUT in a MERGE", "select the rows after the merge"));
    }
    if merge.clauses.is_empty() {
        return Err(refused("MERGE without WHEN", staging::WITHOUT_WHEN));
    }
    let (table, target) = (bare(&merge.table)?, called(&merge.table)?);
    let source = called(&merge.source)?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let clauses = merge.clauses.into_iter().map(|clause| read(clause, &names, schema, &target, &source));
    let clauses: Vec<Clause> = clauses.collect::<Result<_, _>>()?;
    let (new, old): (Vec<&Clause>, Vec<&Clause>) = clauses.iter().partition(|clause| clause.is_of_source);
    let on = &merge.on;
    let rows = format!("(SELECT *, row_number() OVER () AS {ROW} FROM {table}) AS {target}");
    let all = format!("(SELECT *, true AS {FOUND} FROM {}) AS {source}", merge.source);
    let joined = match old.is_empty() {
        true => rows.clone(),
        false => format!("{rows} LEFT JOIN {all} ON {on}"),
    };
    let cases = |clauses: &[&Clause], value: &dyn Fn(&Clause) -> String, otherwise: &str| match clauses {
        [] => otherwise.to_owned(),
        clauses => {
            let when = |clause: &&Clause| format!("WHEN {} THEN {}", clause.condition, value(clause));
            let when: Vec<String> = clauses.iter().map(when).collect();
            format!("CASE {} ELSE {otherwise} END", when.join(" "))
        }
    };
    let columns = |clauses: &[&Clause], otherwise: &dyn Fn(&str) -> String| -> String {
        let column = |(at, name): (usize, &&str)| {
            let value = |clause: &Clause| {
                clause.values.as_ref().map_or_else(|| "NULL".to_owned(), |values| values[at].clone())
            };
            format!("{} AS {}", cases(clauses, &value, &otherwise(name)), quoted(name))
        };
        names.iter().enumerate().map(column).collect::<Vec<_>>().join(", ")
    };
    let stays = |name: &str| format!("{target}.{}", quoted(name));
    let is_kept = cases(&old, &|clause: &Clause| clause.values.is_some().to_string(), "true");
    let mut whole = format!("SELECT {} FROM {joined} WHERE {is_kept}", columns(&old, &stays));
    let is_changed = cases(&old, &|_: &Clause| "true".to_owned(), "false");
    let mut counted = format!("SELECT count(*) AS n FROM {joined} WHERE {is_changed}");
    if !new.is_empty() {
        let is_new = cases(&new, &|_: &Clause| "true".to_owned(), "false");
        let from = format!(
            "{} WHERE NOT EXISTS (SELECT 1 FROM {} WHERE {on}) AND {is_new}",
            merge.source, merge.table
        );
        whole += &format!(" UNION ALL SELECT {} FROM {from}", columns(&new, &|_: &str| "NULL".to_owned()));
        counted = format!(
            "SELECT sum(n)::bigint FROM ({counted} UNION ALL SELECT count(*) FROM {from}) AS _elt_counts"
        );
    }
    let matched: Vec<&Clause> = old.iter().filter(|clause| clause.needs_match).copied().collect();
    let is_matched = cases(&matched, &|_: &Clause| "true".to_owned(), "false");
    let ambiguous = format!(
        "SELECT count(*) FROM (SELECT {target}.{ROW} FROM {joined} WHERE {is_matched} GROUP BY {target}.{ROW} HAVING count(*) > 1) AS _elt_twice"
    );
    Ok(Merged { change: Change { statement: "MERGE", rows: whole, counted }, ambiguous })
}

fn read(
    clause: MergeClause,
    names: &[&str],
    schema: &SchemaRef,
    target: &str,
    source: &str,
) -> Result<Clause, SqlMistake> {
    let found = format!("{source}.{FOUND}");
    let (side, is_of_source, needs_match) = match clause.clause_kind {
        MergeClauseKind::Matched => (format!("{found} IS NOT NULL"), false, true),
        MergeClauseKind::NotMatchedBySource => (format!("{found} IS NULL"), false, false),
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => ("true".to_owned(), true, false),
    };
    let condition = match &clause.predicate {
        Some(predicate) => format!("{side} AND ({predicate})"),
        None => side,
    };
    let place = |name: &ObjectName| named_column(name, schema);
    let once = |places: &[usize], at: usize| match places.contains(&at) {
        true => {
            let what = format!("`{}` is set twice", names[at]);
            Err(SqlMistake::new("elt::sql::assigned_twice", what).help("leave one of them out"))
        }
        false => Ok(()),
    };
    let cast = |at: usize, value: &Expr| {
        let data_type = schema.field(at).data_type();
        match data_type.is_nested() {
            true => value.to_string(),
            false => format!("CAST({value} AS {})", sql_type_name(data_type)),
        }
    };
    let all_of_source = || names.iter().map(|name| format!("{source}.{}", quoted(name))).collect::<Vec<_>>();
    let is_all = |name: &ObjectName| name.to_string() == ALL_COLUMNS;
    let values = match clause.action {
        MergeAction::Delete { .. } if is_of_source => {
            return Err(refused("DELETE when not matched", "write WHEN NOT MATCHED BY SOURCE THEN DELETE"));
        }
        MergeAction::Delete { .. } => None,
        MergeAction::Update(_) if is_of_source => {
            return Err(refused("UPDATE when not matched", "there is no row to update: write INSERT"));
        }
        MergeAction::Insert(_) if !is_of_source => {
            return Err(refused("INSERT when matched", "the row is there: write UPDATE SET"));
        }
        MergeAction::Update(update) => {
            if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                return Err(refused("WHERE after UPDATE SET", "put the condition before THEN"));
            }
            match &update.assignments[..] {
                [Assignment { target: AssignmentTarget::ColumnName(name), .. }] if is_all(name) => {
                    Some(all_of_source())
                }
                assignments => {
                    let kept = names.iter().map(|name| format!("{target}.{}", quoted(name)));
                    let mut values: Vec<String> = kept.collect();
                    let mut set = Vec::new();
                    for assignment in assignments {
                        let AssignmentTarget::ColumnName(name) = &assignment.target else {
                            return Err(refused("SET (a, b) = …", "assign each column by itself"));
                        };
                        let at = place(name)?;
                        once(&set, at)?;
                        set.push(at);
                        values[at] = cast(at, &assignment.value);
                    }
                    Some(values)
                }
            }
        }
        MergeAction::Insert(insert) if insert.columns.first().is_some_and(is_all) => Some(all_of_source()),
        MergeAction::Insert(insert) => {
            let row = match &insert.kind {
                MergeInsertKind::Values(values)
                    if values.rows.len() == 1 && insert.insert_predicate.is_none() =>
                {
                    &values.rows[0].content
                }
                _ => return Err(refused("this form of INSERT", "write `insert (a, b) values (s.a, s.b)`")),
            };
            let given: Vec<usize> = match insert.columns.is_empty() {
                true => (0..names.len()).collect(),
                false => insert.columns.iter().map(place).collect::<Result<_, _>>()?,
            };
            for (nth, at) in given.iter().enumerate() {
                once(&given[..nth], *at)?;
            }
            if given.len() != row.len() {
                let what =
                    format!("{} values for {} columns in the INSERT of the MERGE", row.len(), given.len());
                return Err(
                    SqlMistake::new("elt::sql::values_and_columns", what).help("give each column one value")
                );
            }
            let mut values = vec!["NULL".to_owned(); names.len()];
            for (at, value) in given.into_iter().zip(row) {
                values[at] = cast(at, value);
            }
            Some(values)
        }
    };
    Ok(Clause { condition, is_of_source, needs_match, values })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table without its alias.
fn bare(factor: &TableFactor) -> Result<String, SqlMistake> {
    match factor {
        TableFactor::Table { name, .. } => Ok(name.to_string()),
        other => Err(refused(&format!("MERGE into `{other}`"), "name the table")),
    }
}

/// What the statement calls a table or a subquery.
fn called(factor: &TableFactor) -> Result<String, SqlMistake> {
    let name = match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.to_string())
        }
        TableFactor::Table { name, .. } => name.0.last().map(ToString::to_string),
        _ => None,
    };
    name.ok_or_else(|| refused("a source without a name", "give it one: `USING (select …) AS s`"))
}

fn refused(what: &str, help: &str) -> SqlMistake {
    SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported")).help(help)
}
