//! Which statement makes this table again, without its rows?

use std::fmt::Write as _;

use arrow::datatypes::{DataType, FieldRef};
use sqlparser::keywords::{RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS};
use sqlparser::tokenizer::Token;

use super::describe::resolve;
use super::{Outcome, QueryError, Session, SqlMistake};
use crate::base::{TableName, sql_type_name};
use crate::table::{CLUSTER_BY, Snapshot};

/// `SHOW CREATE TABLE t`, and `SHOW CREATE VIEW v`: one row, `createtab_stmt`.
///
/// # Errors
/// There is no such table.
pub(super) async fn create(session: &Session, table: &str) -> Result<Outcome, QueryError> {
    let name = resolve(session, table)?;
    let scope = session.scope();
    if let Some(rights) =
        scope.rights().filter(|rights| rights.are_limited() && scope.pins().views.contains_key(&name))
    {
        let what = format!("the query of the view `{name}` is not told to the role `{}`", rights.role);
        return Err(rights.refused(what, format!("`describe {name}` lists its columns")));
    }
    let text = match (scope.pins().tables.get(&name), scope.pins().views.get(&name)) {
        (Some(version), _) => table_text(&name, scope.tables().snapshot(&name, *version).await?.as_ref()),
        (None, Some(view)) => format!("CREATE VIEW {} AS\n{}", full(&name), view.sql.trim()),
        (None, None) => {
            let what = format!("`{name}` is not in the lake");
            return Err(SqlMistake::new("elt::sql::no_such_table", what).into());
        }
    };
    Ok(Outcome::table(["createtab_stmt"], &[], vec![[Some(text)]]))
}

/// `SHOW TBLPROPERTIES t`: a row for each.
///
/// # Errors
/// There is no such table.
pub(super) async fn properties(session: &Session, table: &str) -> Result<Outcome, QueryError> {
    let name = resolve(session, table)?;
    let Some(version) = session.scope().pins().tables.get(&name).copied() else {
        let mistake = SqlMistake::new("elt::sql::is_a_view", format!("`{name}` is a view"));
        return Err(mistake.help("only tables have properties").into());
    };
    let snapshot = session.scope().tables().snapshot(&name, version).await?;
    let rows = snapshot.design().properties().iter();
    let rows = rows.map(|(key, value)| [Some(key.clone()), Some(value.clone())]).collect();
    Ok(Outcome::table(["key", "value"], &[], rows))
}

fn table_text(name: &TableName, snapshot: &Snapshot) -> String {
    let design = snapshot.design();
    let mut lines: Vec<String> = Vec::new();
    for field in snapshot.schema().fields() {
        let mut line = format!("  {} {}", quoted(field.name()), type_text(field.data_type()));
        if let Some(expression) = design.generation(field.name()) {
            let _ = write!(line, " GENERATED ALWAYS AS ({expression})");
        }
        if !design.is_nullable(field.name()) {
            line.push_str(" NOT NULL");
        }
        if let Some(comment) = design.comment(field.name()) {
            let _ = write!(line, " COMMENT {}", text(comment));
        }
        lines.push(line);
    }
    let rules = design.constraints();
    lines.extend(
        rules.map(|(rule, expression)| format!("  CONSTRAINT {} CHECK ({expression})", quoted(rule))),
    );
    let mut all = format!("CREATE TABLE {} (\n{}\n)", full(name), lines.join(",\n"));
    let mut clause = |words: &str, names: &[String]| {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            let _ = write!(all, "\n{words} ({})", names.join(", "));
        }
    };
    clause("PARTITIONED BY", design.partition_columns());
    clause("CLUSTER BY", &design.cluster_by());
    if let Some(description) = design.description() {
        let _ = write!(all, "\nCOMMENT {}", text(description));
    }
    let is_said = |key: &str| {
        key == CLUSTER_BY
            || key.starts_with("delta.constraints.")
            || key.starts_with("delta.columnMapping.max")
    };
    let properties = design.properties().iter().filter(|(key, _)| !is_said(key));
    let properties: Vec<String> =
        properties.map(|(key, value)| format!("  {} = {}", text(key), text(value))).collect();
    if !properties.is_empty() {
        let _ = write!(all, "\nTBLPROPERTIES (\n{}\n)", properties.join(",\n"));
    }
    all
}

fn full(name: &TableName) -> String {
    format!("{}.{}", quoted(name.schema()), quoted(name.table()))
}

/// A name as a statement writes it: in quotes where it needs them.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && !is_reserved(name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A type as a statement declares it.
fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let field =
                |field: &FieldRef| format!("{}: {}", quoted(field.name()), type_text(field.data_type()));
            format!("struct<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::List(item) if item.data_type().is_nested() => {
            format!("array<{}>", type_text(item.data_type()))
        }
        other => sql_type_name(other),
    }
}

fn is_reserved(name: &str) -> bool {
    let Token::Word(word) = Token::make_word(name, None) else { return true };
    [RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS]
        .iter()
        .any(|reserved| reserved.contains(&word.keyword))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
