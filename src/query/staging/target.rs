//! Which table does a statement write to, and how is it named in the query that finds its rows?

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use sqlparser::ast::{
    self, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, TableWithJoins,
};

use super::{QueryError, Session, SqlMistake, not_supported};
use crate::base::{AsOf, TableName, did_you_mean};
use crate::query::dialect::{AsOfText, PLACES, as_written, parse_query};
use crate::table::{ACTION_COLUMN, FILE_COLUMN, POSITION_COLUMN, Snapshot};

/// A table that is to be written to, at the version that the session sees.
pub(super) struct Target {
    pub(super) name: TableName,
    pub(super) base: Arc<Snapshot>,
    /// What the statement calls it.
    pub(super) alias: Ident,
    /// Whether the session is in a time zone of its own.
    is_elsewhere: bool,
}

impl Target {
    /// The table of a statement's `FROM t AS a`.
    pub(super) async fn of(session: &Session, factor: &TableFactor, verb: &str) -> Result<Self, QueryError> {
        match factor {
            TableFactor::Table { name, alias, args: None, version: None, .. } => {
                let alias = alias.as_ref().map(|alias| alias.name.clone());
                Self::named(session, name, alias).await
            }
            TableFactor::Table { version: Some(_), .. } => Err(not_supported(
                &format!("{verb} of an earlier version"),
                "leave the version clause out: earlier versions never change",
            )),
            _ => Err(not_supported(&format!("{verb} of anything but a table"), "name the table")),
        }
    }

    /// The table of this name, which whoever asks may change.
    pub(super) async fn named(
        session: &Session,
        name: &ObjectName,
        alias: Option<Ident>,
    ) -> Result<Self, QueryError> {
        let table = table_name(session, name)?;
        if session.scope().sees(&table) {
            session.scope().check_changes(&table)?;
        }
        Self::original(session, name, alias).await
    }

    /// The table of this name, to make another like it.
    pub(super) async fn original(
        session: &Session,
        name: &ObjectName,
        alias: Option<Ident>,
    ) -> Result<Self, QueryError> {
        let table = table_name(session, name)?;
        let scope = session.scope();
        if scope.has(&table) && scope.pins().views.contains_key(&table) {
            return Err(not_supported(
                &format!("writing to `{table}`, which is a view,"),
                "write to the table that it reads",
            ));
        }
        let Some(base) = scope.base(&table).await? else {
            let missing = SqlMistake::new("elt::sql::no_such_table", format!("there is no table `{table}`"));
            return Err(crate::query::describe::no_such_table(session, &table.to_string(), missing).into());
        };
        let alias = alias.unwrap_or_else(|| Ident::with_quote('"', table.table()));
        Ok(Self { name: table, base, alias, is_elsewhere: session.zone().is_some() })
    }

    /// A column of the table, as the statement would name it.
    pub(super) fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.alias.clone(), Ident::with_quote('"', name)])
    }

    /// What a column holds after the row was changed in others: what it held, or, if it is worked out from others, what
    /// comes of them now.
    pub(super) fn kept(&self, name: &str) -> Expr {
        if self.base.design().generation(name).is_some() { null() } else { self.column(name) }
    }

    /// A value on its way into a column; see [`assigned_to`].
    pub(super) fn assigned(&self, column: &str, value: Expr) -> Expr {
        // What a column has that is not named: nothing.
        let is_default =
            |name: &Ident| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default");
        if matches!(&value, Expr::Identifier(name) if is_default(name)) {
            return null();
        }
        match self.base.schema().field_with_name(column) {
            // A time without a zone is one that clocks show where the session is.
            Ok(field)
                if self.is_elsewhere && matches!(field.data_type(), DataType::Timestamp(_, Some(_))) =>
            {
                match sql_type(field.data_type()) {
                    Some(data_type) => cast(value, data_type),
                    None => value,
                }
            }
            Ok(field) => assigned_to(field.data_type(), value),
            Err(_) => value,
        }
    }

    /// Whether a column is of dates or instants.
    pub(super) fn is_moment(&self, column: &str) -> bool {
        self.base.schema().field_with_name(column).is_ok_and(|field| field.data_type().is_temporal())
    }

    /// A text on its way into a column, read as a cast reads it.
    pub(super) fn read(&self, column: &str, value: Expr) -> Expr {
        let field = self.base.schema().field_with_name(column).ok();
        let moment = field.filter(|field| field.data_type().is_temporal());
        match moment.and_then(|field| sql_type(field.data_type())) {
            Some(data_type) => cast(value, data_type),
            None => self.assigned(column, value),
        }
    }

    /// The table at the version of its base, for a `FROM`.
    pub(super) fn plain_factor(&self) -> TableFactor {
        let as_of = AsOf::Version(self.base.version());
        let version = AsOfText(&as_of);
        first_factor(&format!("select 1 from \"{}\".\"{}{version}\"", self.name.schema(), self.name.table()))
    }

    /// The table with its rows' places, for a `FROM`.
    pub(super) fn factor(&self) -> TableFactor {
        let mut factor = first_factor(&format!(
            "select 1 from \"{}\".\"{}{PLACES}\" as a",
            self.name.schema(),
            self.name.table()
        ));
        if let TableFactor::Table { alias: Some(alias), .. } = &mut factor {
            alias.name = self.alias.clone();
        }
        factor
    }

    /// The columns that say where a row is, and what is to happen to it.
    pub(super) fn places(&self, action: Expr) -> Vec<SelectItem> {
        vec![
            item(self.column(FILE_COLUMN), FILE_COLUMN),
            item(self.column(POSITION_COLUMN), POSITION_COLUMN),
            item(action, ACTION_COLUMN),
        ]
    }

    /// The table's own name for a column that a statement names.
    pub(super) fn known_column(&self, name: &ObjectName) -> Result<String, QueryError> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let (column, qualified) = match &parts[..] {
            [column] => (*column, true),
            [table, column] => {
                (*column, folded(table) == folded(&self.alias) || folded(table) == self.name.table())
            }
            [.., table, column] => (*column, folded(table) == self.name.table()),
            [] => return Err(not_supported("this column", "name a column of the table")),
        };
        let wanted = folded(column);
        let columns = self.base.schema().fields();
        let exact = columns.iter().find(|field| *field.name() == wanted);
        let found = exact.or_else(|| columns.iter().find(|field| field.name().eq_ignore_ascii_case(&wanted)));
        match found.filter(|_| qualified) {
            Some(field) => Ok(field.name().clone()),
            None => {
                if let [.., of, member] = &parts[..]
                    && let Some(field) = columns.iter().find(|field| *field.name() == folded(of))
                    && let DataType::Struct(_) = field.data_type()
                {
                    let what = format!("setting a member of a struct, `{name}`, is not supported");
                    let help = format!("set the whole: `set {of} = struct_update({of}, {member} := …)`");
                    return Err(SqlMistake::new("elt::sql::not_supported", what)
                        .at(of.span.start.line, of.span.start.column)
                        .help(help)
                        .into());
                }
                let mistake = SqlMistake::new(
                    "elt::sql::no_such_column",
                    format!("`{}` has no column `{name}`", self.name),
                )
                .at(column.span.start.line, column.span.start.column);
                let known = columns.iter().map(|field| field.name().as_str());
                Err(mistake
                    .help(
                        did_you_mean(&wanted, known)
                            .unwrap_or_else(|| format!("`describe {}` lists its columns", self.name)),
                    )
                    .into())
            }
        }
    }
}

/// A name as SQL reads it: in lower case, unless it is quoted.
pub(super) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The name of a table of the lake.
pub(super) fn table_name(session: &Session, name: &ObjectName) -> Result<TableName, QueryError> {
    let parts: Vec<String> = name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect();
    let made = match &parts[..] {
        [table] => TableName::new(session.default_schema(), table),
        [schema, table] => TableName::new(schema, table),
        [_, schema, table] => TableName::new(schema, table),
        _ => TableName::new("", ""),
    };
    made.map_err(|error| SqlMistake::new("elt::sql::no_such_table", error.to_string()).into())
}

/// `expr AS "name"`
pub(super) fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

/// A query to be filled with pieces of the user's statement.
pub(super) fn template(sql: &str) -> Query {
    match parse_query(sql).expect("templates are correct SQL") {
        Statement::Query(query) => *query,
        _ => unreachable!("a query was parsed"),
    }
}

/// The `SELECT` of a template.
pub(super) fn select_of(query: &mut Query) -> &mut Select {
    match &mut *query.body {
        SetExpr::Select(select) => select,
        _ => unreachable!("templates are plain selects"),
    }
}

/// The first relation of a template's `FROM`.
pub(super) fn first_factor(sql: &str) -> TableFactor {
    select_of(&mut template(sql)).from.remove(0).relation
}

/// A whole number.
pub(super) fn number(value: i64) -> Expr {
    let mut query = template(&format!("select {value}"));
    match select_of(&mut query).projection.remove(0) {
        SelectItem::UnnamedExpr(expr) => expr,
        _ => unreachable!("a number has no alias"),
    }
}

/// `CAST(value AS type)`
pub(super) fn cast(value: Expr, data_type: ast::DataType) -> Expr {
    Expr::Cast { kind: ast::CastKind::Cast, expr: Box::new(value), data_type, array: false, format: None }
}

/// What SQL calls a type that a table can have; nothing for those that no statement can spell.
pub(super) fn sql_type(data_type: &DataType) -> Option<ast::DataType> {
    use ast::DataType as Sql;
    Some(match data_type {
        DataType::Boolean => Sql::Boolean,
        DataType::Int8 => Sql::TinyInt(None),
        DataType::Int16 => Sql::SmallInt(None),
        DataType::Int32 => Sql::Integer(None),
        DataType::Int64 => Sql::BigInt(None),
        DataType::Float32 => Sql::Real,
        DataType::Float64 => Sql::DoublePrecision,
        DataType::Decimal128(precision, scale) => {
            Sql::Decimal(ast::ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        DataType::Date32 => Sql::Date,
        DataType::Timestamp(_, None) => Sql::Timestamp(None, ast::TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => Sql::Timestamp(None, ast::TimezoneInfo::WithTimeZone),
        DataType::Utf8 | DataType::Utf8View => Sql::Varchar(None),
        DataType::Binary | DataType::BinaryView => Sql::Bytea,
        DataType::List(item) => {
            Sql::Array(ast::ArrayElemTypeDef::SquareBracket(Box::new(sql_type(item.data_type())?), None))
        }
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| {
                Some(ast::StructField {
                    field_name: Some(Ident::with_quote('"', field.name())),
                    field_type: sql_type(field.data_type())?,
                    options: None,
                })
            };
            let fields = fields.iter().map(field).collect::<Option<Vec<_>>>()?;
            Sql::Struct(fields, ast::StructBracketKind::AngleBrackets)
        }
        _ => return None,
    })
}

/// A value on its way into a column of this type. As in SQL, fractions are rounded to what the column holds, and a moment
/// that is written as a text is read as a cast reads it.
pub(super) fn assigned_to(to: &DataType, mut value: Expr) -> Expr {
    let is_cast = match to {
        DataType::Decimal128(..) => {
            as_written(&mut value);
            true
        }
        DataType::Float32 | DataType::Float64 => true,
        to if to.is_temporal() => is_text(&value),
        _ => false,
    };
    match sql_type(to).filter(|_| is_cast) {
        Some(data_type) => cast(value, data_type),
        None => value,
    }
}

/// A text in quotes.
pub(super) fn is_text(value: &Expr) -> bool {
    match value {
        Expr::Value(value) => matches!(value.value, ast::Value::SingleQuotedString(_)),
        Expr::Nested(inner) => is_text(inner),
        _ => false,
    }
}

/// No value.
pub(super) fn null() -> Expr {
    Expr::Value(ast::Value::Null.into())
}

/// A relation without joins.
pub(super) fn alone(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}

/// `AS name`
pub(super) fn known_as(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}
