//! Which statements are about nothing but the session itself?
//!
//! Temporary views and tables, prepared statements, variables and macros: they are gone with the session, and no release knows
//! of them.

use sqlparser::ast::{self, CreateTableOptions, Expr, ObjectName};

use crate::query::SqlMistake;

/// A statement that changes the session and nothing else.
#[derive(Clone, Debug)]
pub enum OwnStatement {
    /// `CREATE [OR REPLACE] TEMP VIEW v [(columns)] AS query`
    CreateView {
        /// Its name, as written.
        name: ObjectName,
        /// Names of its columns; as the query has them, if there are none.
        columns: Vec<ast::Ident>,
        /// What it shows.
        query: Box<ast::Query>,
        /// What becomes of one that is there.
        if_there: IfKept,
    },
    /// `CREATE [OR REPLACE] TEMP TABLE t AS query`, or with columns
    CreateTable {
        /// The statement.
        create: Box<ast::CreateTable>,
        /// What becomes of one that is there.
        if_there: IfKept,
    },
    /// `PREPARE p [(types)] AS statement`
    Prepare {
        /// Its name.
        name: String,
        /// The types of its values, as far as they are told.
        types: Vec<ast::DataType>,
        /// What it does.
        sql: String,
    },
    /// `EXECUTE p (values)`
    Execute {
        /// Which one.
        name: String,
        /// What stands in its places.
        values: Vec<Expr>,
    },
    /// `DEALLOCATE p`, or all of them.
    Deallocate {
        /// Which one; all if nothing.
        name: Option<String>,
    },
    /// `CREATE [OR REPLACE] MACRO f(a, b := 1) AS a + b`, or `AS TABLE query`
    CreateMacro {
        /// Its name.
        name: String,
        /// What it takes.
        args: Vec<ast::MacroArg>,
        /// What it stands for.
        definition: Box<ast::MacroDefinition>,
        /// What becomes of one that is there.
        if_there: IfKept,
    },
    /// `DROP MACRO [IF EXISTS] f`
    DropMacro {
        /// Its name.
        name: String,
        /// Whether it is no mistake if there is none.
        if_exists: bool,
    },
    /// `SET VARIABLE name = expression`
    SetVariable {
        /// Its name.
        name: String,
        /// What it becomes.
        value: Box<Expr>,
    },
    /// `RESET VARIABLE name`
    ResetVariable {
        /// Its name.
        name: String,
    },
}

/// What becomes of something of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfKept {
    /// It is a mistake.
    Refuse,
    /// It is replaced.
    Replace,
    /// It stays, and nothing happens.
    Keep,
}

impl IfKept {
    /// # Errors
    /// Both at once.
    pub(crate) fn of(or_replace: bool, if_not_exists: bool) -> Result<Self, SqlMistake> {
        match (or_replace, if_not_exists) {
            (true, true) => {
                let what = "OR REPLACE and IF NOT EXISTS contradict each other";
                Err(SqlMistake::new("elt::sql::not_supported", what)
                    .help("leave one out: OR REPLACE makes it anew, IF NOT EXISTS leaves what there is"))
            }
            (true, false) => Ok(Self::Replace),
            (false, true) => Ok(Self::Keep),
            (false, false) => Ok(Self::Refuse),
        }
    }
}

/// Takes a parsed statement for one of these; gives back any other.
pub(super) fn own(statement: ast::Statement) -> Result<Result<OwnStatement, ast::Statement>, SqlMistake> {
    use ast::Statement as S;
    Ok(Ok(match statement {
        S::CreateView(view) if view.temporary => {
            let (name, columns, query, if_there) = view_parts(view)?;
            OwnStatement::CreateView { name, columns, query: Box::new(query), if_there }
        }
        S::CreateTable(create) if create.temporary => {
            let if_there = IfKept::of(create.or_replace, create.if_not_exists)?;
            OwnStatement::CreateTable { create: Box::new(create), if_there }
        }
        S::CreateMacro { or_replace, temporary: _, name, args, definition } => {
            let Some(name) = crate::query::own::macro_name(&name) else {
                return Err(refused("a macro with a schema"));
            };
            let if_there = IfKept::of(or_replace, false)?;
            OwnStatement::CreateMacro {
                name,
                args: args.unwrap_or_default(),
                definition: Box::new(definition),
                if_there,
            }
        }
        S::Prepare { name, data_types, statement } => {
            OwnStatement::Prepare { name: folded(&name), types: data_types, sql: statement.to_string() }
        }
        S::Execute { name: Some(name), parameters, immediate: false, using, into, .. } if into.is_empty() => {
            let name = match name.0.as_slice() {
                [part] => part.as_ident().map(folded),
                _ => None,
            };
            let Some(name) = name else { return Err(refused("a name with a dot after EXECUTE")) };
            let values = parameters.into_iter().chain(using.into_iter().map(|using| using.expr));
            OwnStatement::Execute { name, values: values.collect() }
        }
        S::Deallocate { name, prepare: _ } => {
            let name = folded(&name);
            OwnStatement::Deallocate { name: (name != "all").then_some(name) }
        }
        other => return Ok(Err(other)),
    }))
}

/// What a view is called, what its columns are called if that is said, its query, and what is done if there is one.
///
/// # Errors
/// A clause that a view does not have.
pub(in crate::query) fn view_parts(
    view: ast::CreateView,
) -> Result<(ast::ObjectName, Vec<ast::Ident>, ast::Query, IfKept), SqlMistake> {
    let ast::CreateView {
        or_alter,
        or_replace,
        materialized,
        secure,
        name,
        name_before_not_exists: _,
        columns,
        query,
        options,
        cluster_by,
        comment,
        with_no_schema_binding,
        if_not_exists,
        temporary: _,
        copy_grants,
        to,
        params,
    } = view;
    let has_more = or_alter
        || materialized
        || secure
        || !matches!(options, CreateTableOptions::None)
        || !cluster_by.is_empty()
        || comment.is_some()
        || with_no_schema_binding
        || copy_grants
        || to.is_some()
        || params.is_some();
    if has_more || columns.iter().any(|column| column.data_type.is_some() || column.options.is_some()) {
        return Err(refused("this clause of CREATE VIEW"));
    }
    let columns = columns.into_iter().map(|column| column.name).collect();
    Ok((name, columns, *query, IfKept::of(or_replace, if_not_exists)?))
}

fn refused(what: &str) -> SqlMistake {
    SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported"))
        .help("`\\h create temp` and `\\h prepare` show what there is")
}

fn folded(name: &ast::Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}
