//! Which names mean something of the session's own?

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    FromTable, Ident, Insert, ObjectName, ObjectNamePart, ObjectType, Query, Statement, TableAlias,
    TableFactor, TableObject, VisitMut, VisitorMut,
};

use super::Own;
use super::rewrite::Rewrite;
use super::temporary::Write;
use crate::query::SqlMistake;

/// The schema in which temporary views and tables are. No schema of a lake can be called so.
pub(in crate::query) const TEMPORARY: &str = "@temp";

impl Own {
    /// Puts the schema of temporary names before each that a statement reads.
    pub(in crate::query) fn spell(&self, statement: &mut Statement) {
        if self.kept().temporary.is_empty() {
            return;
        }
        let names: HashSet<String> = self.names().into_iter().collect();
        let _: ControlFlow<()> = statement.visit(&mut Speller { names: &names, ctes: HashSet::new() });
    }

    /// The name of a temporary view or table that a written name means.
    pub(in crate::query) fn meant(&self, name: &ObjectName) -> Option<String> {
        let names: HashSet<String> = self.names().into_iter().collect();
        meant(name, &names)
    }

    /// A statement that writes to a temporary name, or the statement itself.
    ///
    /// # Errors
    /// It would change rows that are there, or drop a view as a table.
    pub(super) fn written(&self, statement: Statement) -> Result<Result<Write, Statement>, SqlMistake> {
        if self.kept().temporary.is_empty() {
            return Ok(Err(statement));
        }
        let meant = |name: &ObjectName| self.meant(name);
        let (target, what) = match &statement {
            Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => (meant(name), "INSERT"),
            Statement::Drop { object_type: ObjectType::Table | ObjectType::View, names, .. } => {
                let own: Vec<Option<String>> = names.iter().map(meant).collect();
                if own.iter().any(Option::is_some) && own.iter().any(Option::is_none) {
                    let mistake = SqlMistake::new(
                        "elt::sql::not_supported",
                        "temporary and lasting names cannot be dropped together",
                    );
                    return Err(mistake.help("drop them by statements of their own"));
                }
                if let Some(all) = own.into_iter().collect::<Option<Vec<String>>>() {
                    return Ok(Ok(Write::Drop(all)));
                }
                return Ok(Err(statement));
            }
            Statement::Update(update) => (named(&update.table.relation).and_then(meant), "UPDATE"),
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
                (tables.first().and_then(|table| named(&table.relation)).and_then(meant), "DELETE")
            }
            Statement::Merge(merge) => (named(&merge.table).and_then(meant), "MERGE"),
            Statement::AlterTable(alter) => (meant(&alter.name), "ALTER TABLE"),
            Statement::Truncate(truncate) => {
                (truncate.table_names.first().and_then(|table| meant(&table.name)), "TRUNCATE")
            }
            _ => (None, ""),
        };
        let Some(target) = target else { return Ok(Err(statement)) };
        match statement {
            Statement::Insert(insert) => Ok(Ok(Write::Insert(target, Box::new(insert)))),
            Statement::Update(update) => Ok(Ok(Write::Rewrite(target, Rewrite::Update(Box::new(update))))),
            Statement::Delete(delete) => Ok(Ok(Write::Rewrite(target, Rewrite::Delete(Box::new(delete))))),
            Statement::Merge(merge) => Ok(Ok(Write::Rewrite(target, Rewrite::Merge(Box::new(merge))))),
            Statement::Truncate(truncate) if truncate.table_names.len() == 1 => {
                Ok(Ok(Write::Rewrite(target, Rewrite::Truncate)))
            }
            _ => {
                let mistake = SqlMistake::new(
                    "elt::sql::not_supported",
                    format!("{what} of the temporary table `{target}` is not supported"),
                );
                Err(mistake.help(format!(
                    "INSERT, UPDATE, DELETE, MERGE and TRUNCATE change one; or make it anew: `create or replace temp table {target} as select …`"
                )))
            }
        }
    }
}

fn named(factor: &TableFactor) -> Option<&ObjectName> {
    match factor {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// `t` or `temp.t`. A name with another schema is one of the lake.
fn meant(name: &ObjectName, names: &HashSet<String>) -> Option<String> {
    let folded = |part: &ObjectNamePart| {
        let name = part.as_ident()?;
        (name.quote_style != Some('\'')).then(|| name.value.to_lowercase())
    };
    let bare = match name.0.as_slice() {
        [table] => folded(table)?,
        [schema, table] => {
            let schema = folded(schema)?;
            if schema != "temp" {
                return None;
            }
            folded(table)?
        }
        _ => return None,
    };
    names.contains(&bare).then_some(bare)
}

struct Speller<'a> {
    names: &'a HashSet<String>,
    ctes: HashSet<String>,
}

impl VisitorMut for Speller<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, version: None, .. } = factor {
            let is_cte = name.0.len() == 1 && self.ctes.contains(&name.to_string().to_lowercase());
            if let (false, Some(bare)) = (is_cte, meant(name, self.names)) {
                let known = Ident::with_quote('"', bare.as_str());
                alias.get_or_insert_with(|| TableAlias {
                    explicit: true,
                    name: known.clone(),
                    columns: Vec::new(),
                    at: None,
                });
                *name = ObjectName::from(vec![Ident::with_quote('"', TEMPORARY), known]);
            }
        }
        ControlFlow::Continue(())
    }
}
