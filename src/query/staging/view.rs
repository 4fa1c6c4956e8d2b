//! What is a view that lasts?
//!
//! Its query, with every name as it is meant when the view is made: a table without a schema gets the one it is found in, and
//! macros of the session are unfolded, because whoever reads the view later may have others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    self, Ident, ObjectName, ObjectNamePart, Query, Statement, TableFactor, VisitMut, VisitorMut,
    visit_relations,
};

use super::target::{table_name, template};
use super::{QueryError, Session, SqlMistake, Staged};
use crate::base::TableName;
use crate::query::dialect::{self, IfKept};
use crate::query::system;
use crate::release::View;

/// `CREATE [OR REPLACE] VIEW [IF NOT EXISTS] v [(a, b)] [COMMENT = '…'] AS query`
pub(super) async fn create(session: &Session, mut view: ast::CreateView) -> Result<Staged, QueryError> {
    let description = view.comment.take().unwrap_or_default();
    let (name, columns, query, if_there) = dialect::view_parts(view)?;
    let name = table_name(session, &name)?;
    system::check_free(&name)?;
    let mut staged = Staged { statement: "CREATE VIEW", ..Staged::default() };
    if session.scope().has(&name) {
        if session.scope().pins().tables.contains_key(&name) {
            let mistake = SqlMistake::new("elt::sql::is_a_table", format!("`{name}` is a table"));
            return Err(mistake.help("drop the table first, or give the view another name").into());
        }
        match if_there {
            IfKept::Keep => return Ok(staged),
            IfKept::Refuse => {
                let mistake =
                    SqlMistake::new("elt::sql::table_exists", format!("there is a view `{name}` already"));
                return Err(mistake.help("write `create or replace view …`").into());
            }
            IfKept::Replace => {}
        }
    }
    let mut statement = Statement::Query(Box::new(query));
    session.own.unfold(&mut statement)?;
    let mut reader = Qualifier { session, ctes: HashSet::new(), temporary: None };
    let _: ControlFlow<()> = statement.visit(&mut reader);
    if let Some(temporary) = reader.temporary {
        let what =
            format!("the view `{name}` would last, and reads `{temporary}`, which ends with this session");
        let mistake = SqlMistake::new("elt::sql::temporary", what);
        return Err(mistake.help("write `create temp view …`, or make a table of what it reads").into());
    }
    if reaches(session, &statement, &name, &mut BTreeSet::new()) {
        let mistake =
            SqlMistake::new("elt::sql::reads_itself", format!("the view `{name}` would read itself"));
        return Err(mistake.help("give it another name").into());
    }
    let mut sql = statement.to_string();
    if !columns.is_empty() {
        let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
        sql = format!("SELECT * FROM ({sql}) AS \"{}\" ({})", name.table(), names.join(", "));
    }
    if let Err(error) = session.check(&sql).await {
        // The query as it was read knows where its words stand in what was typed.
        let placed = Box::pin(session.trace_statement(statement)).await;
        return Err(placed.err().unwrap_or(error));
    }
    check_sees_all(session, &name, &sql).await?;
    let view = View::new(sql, description).meant_by(session.unsaid());
    staged.views.insert(name, view);
    Ok(staged)
}

/// Refuses a view of what whoever makes it sees only in part. Whoever reads it reads with the rights of who made it, and from them
/// those rows and columns are not kept.
async fn check_sees_all(session: &Session, name: &TableName, sql: &str) -> Result<(), QueryError> {
    let Some(rights) = session.scope().rights().filter(|rights| !rights.policies.is_empty()) else {
        return Ok(());
    };
    let listening = session.seeing(session.scope().listening());
    listening.check(sql).await?;
    let reads = listening.scope().reads();
    let past = reads.past.keys().map(|(name, _)| name);
    let read = reads.tables.keys().chain(reads.views.keys()).chain(past);
    let mut guarded = read.filter(|read| rights.policy(read).is_some());
    let Some(first) = guarded.next() else { return Ok(()) };
    let of = match session.scope().sees(first) {
        true => format!("`{first}`"),
        false => "a table".to_owned(),
    };
    Err(rights.refused(
        format!(
            "the role `{}` cannot make the view `{name}`: it reads {of}, which has rows or columns that the role does not see, \
             and whoever reads the view would",
            rights.role
        ),
        "make a table of what the role sees, `create table … as select …`, or have the view made by somebody whose role sees all of it"
            .to_owned(),
    ))
}

/// Whether a query reads `wanted`, itself or through views.
fn reaches(
    session: &Session,
    statement: &Statement,
    wanted: &TableName,
    seen: &mut BTreeSet<TableName>,
) -> bool {
    let mut read = Vec::new();
    let _: ControlFlow<()> = visit_relations(statement, |name| {
        read.extend(table_name(session, name));
        ControlFlow::Continue(())
    });
    read.into_iter().any(|name| {
        name == *wanted
            || seen.insert(name.clone())
                && session.scope().pins().views.get(&name).is_some_and(|view| {
                    dialect::parse_query(&view.sql).is_ok_and(|below| reaches(session, &below, wanted, seen))
                })
    })
}

/// `CREATE SCHEMA [IF NOT EXISTS] s`. A schema is also there with its first table; this one without any too.
pub(super) fn create_schema(
    session: &Session,
    name: &ast::SchemaName,
    if_not_exists: bool,
) -> Result<Staged, QueryError> {
    let name = match name {
        ast::SchemaName::Simple(name) => schema_name(name)?,
        other => {
            return Err(super::not_supported(
                &format!("CREATE SCHEMA {other}"),
                "write `create schema s`: who may do what is said by grants",
            ));
        }
    };
    if session.scope().schemas().contains(&name) {
        if if_not_exists {
            return Ok(Staged::nothing("CREATE SCHEMA"));
        }
        let mistake =
            SqlMistake::new("elt::sql::schema_exists", format!("there is a schema `{name}` already"));
        return Err(mistake.help("write `create schema if not exists …`").into());
    }
    session.scope().check_schema(&name)?;
    Ok(Staged { schemas: BTreeMap::from([(name, true)]), ..Staged::nothing("CREATE SCHEMA") })
}

/// `DROP SCHEMA [IF EXISTS] s [CASCADE]`: readers no longer see what is in it.
pub(super) fn drop_schemas(
    session: &Session,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<Staged, QueryError> {
    let mut staged = Staged { statement: "DROP SCHEMA", ..Staged::default() };
    for name in names {
        let schema = schema_name(name)?;
        let pins = session.scope().pins();
        let inside: Vec<TableName> = pins
            .names()
            .into_iter()
            .filter(|name| name.schema() == schema && session.scope().has(name))
            .cloned()
            .collect();
        let is_made = session.scope().schemas().contains(&schema);
        if inside.is_empty() && !is_made && !if_exists {
            let mistake =
                SqlMistake::new("elt::sql::no_such_schema", format!("there is no schema `{schema}`"));
            let schemas = session.scope().schemas();
            let near = crate::base::did_you_mean(&schema, schemas.iter().map(String::as_str));
            return Err(mistake.help(near.unwrap_or_else(|| "`show schemas` lists them".to_owned())).into());
        }
        if let (Some(first), false) = (inside.first(), cascade) {
            let what =
                format!("the schema `{schema}` has {} tables and views, `{first}` among them", inside.len());
            let mistake = SqlMistake::new("elt::sql::schema_not_empty", what);
            return Err(mistake.help("drop them first, or all with it: `drop schema … cascade`").into());
        }
        if is_made {
            session.scope().check_schema(&schema)?;
            staged.schemas.insert(schema, false);
        }
        staged.hide.extend(inside);
    }
    Ok(staged)
}

fn schema_name(name: &ObjectName) -> Result<String, QueryError> {
    let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    match parts.last() {
        Some(last) if parts.len() == name.0.len() && parts.len() <= 2 => Ok(match last.quote_style {
            Some(_) => last.value.clone(),
            None => last.value.to_lowercase(),
        }),
        _ => Err(SqlMistake::new("elt::sql::no_such_schema", format!("`{name}` names no schema")).into()),
    }
}

/// Puts the schema before names that have none.
struct Qualifier<'a> {
    session: &'a Session,
    ctes: HashSet<String>,
    /// The first name that means something of the session alone.
    temporary: Option<String>,
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, version, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let is_cte = name.0.len() == 1 && self.ctes.contains(&name.to_string().to_lowercase());
        let is_file =
            name.0.iter().any(|part| part.as_ident().is_some_and(|part| part.quote_style == Some('\'')));
        if is_cte || is_file {
            return ControlFlow::Continue(());
        }
        if let Some(temporary) = self.session.own.meant(name) {
            self.temporary.get_or_insert(temporary);
            return ControlFlow::Continue(());
        }
        if let [ObjectNamePart::Identifier(only)] = &name.0[..] {
            let only = only.clone();
            alias.get_or_insert_with(|| ast::TableAlias {
                explicit: true,
                name: only.clone(),
                columns: Vec::new(),
                at: None,
            });
            let schema = Ident::with_quote('"', self.session.default_schema());
            *name = ObjectName::from(vec![schema, only]);
        }
        if let Some(version) = version {
            dialect::spell_out(version);
            // Written out, a version would stand behind the alias, where nobody reads it.
            if let Some(alias) = alias.take() {
                let below = template(&format!("select * from {name} {version}"));
                *factor = TableFactor::Derived {
                    lateral: false,
                    subquery: Box::new(below),
                    alias: Some(alias),
                    sample: None,
                };
            }
        }
        ControlFlow::Continue(())
    }
}
