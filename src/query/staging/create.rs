//! CREATE TABLE, DROP, UNDROP and RESTORE.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use sqlparser::ast::{
    CastKind, ColumnDef, ColumnOption, ColumnOptionDef, CreateTable, CreateTableLikeKind, CreateTableOptions,
    DataType, Expr, GeneratedAs, HiveDistributionStyle, ObjectName, ObjectType, SqlOption, TableConstraint,
    Value, WrappedCollection, visit_relations,
};

use super::target::{Target, alone, folded, item, select_of, table_name, template};
use super::{QueryError, Session, SqlMistake, Staged, not_supported, refuse_if};
use crate::base::{AsOf, TableName, TableVersion};
use crate::query::dialect;
use crate::query::system;
use crate::query::types::unsigned;
use crate::table::write;
use crate::table::{Change, Design, LEDGER, Snapshot, TableError, WriteMode, storable, version_at};

/// What a `CREATE TABLE` says of its columns and rules.
#[derive(Default)]
struct Declared {
    not_null: Vec<String>,
    comments: Vec<(String, String)>,
    generated: Vec<(String, String)>,
    partition_by: Vec<String>,
    cluster_by: Vec<String>,
    properties: Vec<(String, String)>,
    description: Option<String>,
}

/// Refuses the clauses that no table of a lake has.
///
/// Each field is named: one that a later parser adds has to be thought of here.
fn refuse_others(create: &CreateTable) -> Result<(), QueryError> {
    let CreateTable {
        // Honoured, or refused in words of their own.
        or_replace: _,
        temporary: _,
        external: _,
        dynamic: _,
        global: _,
        if_not_exists: _,
        transient: _,
        volatile: _,
        iceberg: _,
        snapshot: _,
        name: _,
        columns: _,
        constraints: _,
        hive_distribution: _,
        hive_formats: _,
        table_options: _,
        location: _,
        query: _,
        like: _,
        clone: _,
        version: _,
        comment: _,
        partition_by: _,
        cluster_by: _,
        clustered_by: _,
        // Of others.
        file_format,
        without_rowid,
        on_commit,
        on_cluster,
        primary_key,
        order_by,
        inherits,
        partition_of,
        for_values,
        strict,
        copy_grants,
        enable_schema_evolution,
        change_tracking,
        data_retention_time_in_days,
        max_data_extension_time_in_days,
        default_ddl_collation,
        with_aggregation_policy,
        with_row_access_policy,
        with_storage_lifecycle_policy,
        with_tags,
        external_volume,
        base_location,
        catalog,
        catalog_sync,
        storage_serialization_policy,
        target_lag,
        warehouse,
        refresh_mode,
        initialize,
        require_user,
        diststyle,
        distkey,
        sortkey,
        backup,
    } = create;
    let is_placed = diststyle.is_some() || distkey.is_some() || sortkey.is_some() || order_by.is_some();
    refuse_if(
        is_placed,
        "DISTSTYLE, DISTKEY, SORTKEY or ORDER BY of CREATE TABLE",
        "rows lie together by `CLUSTER BY (columns)`",
    )?;
    let of_snowflake = *copy_grants
        | enable_schema_evolution.is_some()
        | change_tracking.is_some()
        | data_retention_time_in_days.is_some()
        | max_data_extension_time_in_days.is_some()
        | default_ddl_collation.is_some()
        | with_aggregation_policy.is_some()
        | with_row_access_policy.is_some()
        | with_storage_lifecycle_policy.is_some()
        | with_tags.is_some()
        | external_volume.is_some()
        | base_location.is_some()
        | catalog.is_some()
        | catalog_sync.is_some()
        | storage_serialization_policy.is_some()
        | target_lag.is_some()
        | warehouse.is_some()
        | refresh_mode.is_some()
        | initialize.is_some()
        | *require_user;
    let of_others = file_format.is_some()
        | *without_rowid
        | on_commit.is_some()
        | on_cluster.is_some()
        | primary_key.is_some()
        | inherits.is_some()
        | partition_of.is_some()
        | for_values.is_some()
        | *strict
        | backup.is_some();
    refuse_if(of_snowflake | of_others, "this clause of CREATE TABLE", CLAUSES)
}

/// The clauses that a table has.
const CLAUSES: &str = "columns, PARTITIONED BY, CLUSTER BY, TBLPROPERTIES, COMMENT and AS are what there is";

/// `CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t [(columns)] [PARTITIONED BY …] [TBLPROPERTIES …] [CLUSTER BY …] [AS query]`
/// and `CREATE TABLE t CLONE s`, of which `origin` says more.
pub(super) async fn create(
    session: &Session,
    create: CreateTable,
    origin: Option<Origin>,
) -> Result<Staged, QueryError> {
    refuse_if(create.temporary, "CREATE TEMPORARY TABLE", "use a common table expression: `with t as (…)`")?;
    refuse_if(
        create.external || create.location.is_some(),
        "CREATE EXTERNAL TABLE",
        "read files by name, `from 'folder/*.parquet'`, or land them with `elt land`",
    )?;
    refuse_if(create.clustered_by.is_some(), "CLUSTERED BY … INTO BUCKETS", "write `CLUSTER BY (columns)`")?;
    refuse_if(create.partition_by.is_some(), "PARTITION BY", "write `PARTITIONED BY (columns)`")?;
    let is_of_another_kind = [
        (create.transient, "CREATE TRANSIENT TABLE"),
        (create.volatile, "CREATE VOLATILE TABLE"),
        (create.iceberg, "CREATE ICEBERG TABLE"),
        (create.dynamic, "CREATE DYNAMIC TABLE"),
        (create.snapshot, "CREATE SNAPSHOT TABLE"),
        (create.global.is_some(), "CREATE GLOBAL TABLE"),
    ];
    if let Some((_, what)) = is_of_another_kind.into_iter().find(|(is_there, _)| *is_there) {
        return Err(not_supported(
            what,
            "write `create table`: each is a Delta table that lasts; one that ends with the session is `create temp table`",
        ));
    }
    refuse_others(&create)?;
    let name = table_name(session, &create.name)?;
    session.scope().check_changes(&name)?;
    system::check_free(&name)?;
    dialect::IfKept::of(create.or_replace, create.if_not_exists)?;
    let exists = session.scope().has(&name);
    if exists && create.if_not_exists {
        return Ok(Staged::nothing("CREATE TABLE"));
    }
    if exists && !create.or_replace {
        let mistake = SqlMistake::new("elt::sql::table_exists", format!("`{name}` exists already"));
        let help = "write CREATE OR REPLACE TABLE to replace it, or CREATE TABLE IF NOT EXISTS to leave it";
        return Err(mistake.help(help).into());
    }
    let mut declared = Declared::default();
    declared.options(&create.table_options)?;
    for constraint in &create.constraints {
        declared.constraint(constraint)?;
    }
    for column in &create.columns {
        declared.column(column)?;
    }
    let mut create = create;
    let mut partition_by = Vec::new();
    if let HiveDistributionStyle::PARTITIONED { columns } = &create.hive_distribution {
        for column in columns {
            let name = folded(&column.name);
            // As in Hive, a column that is given a type here is one more column.
            if let Some(known) = create.columns.iter().find(|known| folded(&known.name) == name)
                && column.data_type != DataType::Unspecified
                && column.data_type != known.data_type
            {
                let what =
                    format!("`{name}` is a {} above, and a {} here", known.data_type, column.data_type);
                let mistake = SqlMistake::new("elt::sql::syntax", what);
                return Err(mistake.help("leave the type out after PARTITIONED BY").into());
            }
            let is_new = !create.columns.iter().any(|known| folded(&known.name) == name);
            if is_new && column.data_type != DataType::Unspecified && create.query.is_none() {
                declared.column(column)?;
                create.columns.push(column.clone());
            }
            partition_by.push(name);
        }
    }
    if let Some(CreateTableLikeKind::Plain(like) | CreateTableLikeKind::Parenthesized(like)) =
        create.like.take()
    {
        refuse_if(
            like.defaults.is_some() || !create.columns.is_empty(),
            "more than a name after LIKE",
            "add columns afterwards: `alter table t add column …`",
        )?;
        let target = Target::original(session, &like.name, None).await?;
        declared.like(target.base.design());
        let mut query = template("select * from t where false");
        select_of(&mut query).from = vec![alone(target.plain_factor())];
        create.query = Some(Box::new(query));
    }
    let (mut shared, mut original_of) = (None, None);
    if let Some(original) = &create.clone {
        let Origin { as_of, shallow } = origin.unwrap_or_default();
        let mut target = Target::original(session, original, None).await?;
        if let Some(as_of) = &as_of {
            target.base = snapshot_at(session, &target.name, as_of).await?;
        }
        original_of = Some(Arc::clone(&target.base));
        if shallow {
            // Its files hold all there is, also what the role does not see.
            session.scope().check_copies(&target.name)?;
            refuse_if(
                !declared.properties.is_empty(),
                "TBLPROPERTIES for a shallow clone",
                "set them afterwards: `alter table t set tblproperties (…)`",
            )?;
            shared = Some(target.base);
        } else {
            declared.like(target.base.design());
            let mut query = template("select * from t");
            select_of(&mut query).from = vec![alone(target.plain_factor())];
            create.query = Some(Box::new(query));
        }
    }
    if let Some(WrappedCollection::NoWrapping(by) | WrappedCollection::Parentheses(by)) = &create.cluster_by {
        declared.cluster_by = cluster_columns(by)?;
    }
    if !partition_by.is_empty() {
        declared.partition_by = partition_by;
    }
    let base = base(session, &name).await?;
    let tables = session.scope().tables();
    let ledger = match &base {
        Some(base) => base.transactions(tables, [LEDGER.to_owned()]).await?.remove(LEDGER),
        None => None,
    };
    if let Some(source) = shared {
        let change = write::share(tables, &name, base, &source, declared.description).await?;
        let change =
            write::with_ledger_of(super::lineage::cloned(change, &source), tables, &source, ledger).await?;
        return Ok(Staged::change("CREATE TABLE", change));
    }
    let change = match create.query {
        Some(query) => {
            refuse_if(
                !create.columns.is_empty(),
                "CREATE TABLE with columns and AS",
                "cast and name the columns in the query",
            )?;
            let rows = session.rows_to_write(*query).await?;
            let columns = Arc::clone(rows.schema());
            write::overwrite_as(tables, &name, base, rows.into_stream(), |design| {
                declared.design(&name, design, &columns)
            })
            .await?
        }
        None => {
            let columns = columns(session, &create.columns).await?;
            write::create(tables, &name, base, &columns, |design| declared.design(&name, design, &columns))?
        }
    };
    Ok(match original_of {
        Some(source) => {
            let change =
                write::with_ledger_of(super::lineage::cloned(change, &source), tables, &source, ledger)
                    .await?;
            Staged::change("CREATE TABLE", change)
        }
        None => created(session, &name, change, ledger),
    })
}

/// What a clone is made of.
#[derive(Default)]
pub(super) struct Origin {
    /// The version; the newest if it is nothing.
    pub(super) as_of: Option<AsOf>,
    /// Whether the files are shared.
    pub(super) shallow: bool,
}

/// `ledger` is where the ledger of a table of this name began, if not with it.
fn created(session: &Session, name: &TableName, change: Change, ledger: Option<i64>) -> Staged {
    // In place of another, or after one that was dropped, a table is new, and knows of no files.
    let pins = session.scope().pins();
    let was_another =
        pins.retired.contains_key(name) || (pins.tables.contains_key(name) && !change.is_empty());
    Staged::change("CREATE TABLE", if was_another { change.with_new_ledger(ledger) } else { change })
}

impl Declared {
    /// Takes over what another table declares; what the statement says itself goes before it.
    fn like(&mut self, design: &Design) {
        for column in design.column_names() {
            if !design.is_nullable(&column) {
                self.not_null.push(column.clone());
            }
            self.comments.extend(design.comment(&column).map(|text| (column.clone(), text.to_owned())));
            self.generated.extend(design.generation(&column).map(|text| (column.clone(), text.to_owned())));
        }
        self.partition_by = design.partition_columns().to_vec();
        let own = std::mem::take(&mut self.properties);
        // The numbers of its columns are given anew.
        let taken = design.properties().iter().filter(|(key, _)| *key != "delta.columnMapping.maxColumnId");
        self.properties = taken.map(|(key, value)| (key.clone(), value.clone())).chain(own).collect();
        self.description = self.description.take().or_else(|| design.description().map(str::to_owned));
    }

    fn options(&mut self, options: &CreateTableOptions) -> Result<(), QueryError> {
        let is_plain = matches!(options, CreateTableOptions::Plain(_));
        let options = match options {
            CreateTableOptions::None => return Ok(()),
            CreateTableOptions::With(options)
            | CreateTableOptions::Options(options)
            | CreateTableOptions::Plain(options)
            | CreateTableOptions::TableProperties(options) => options,
        };
        for option in options {
            match property(option)? {
                (key, text) if key.eq_ignore_ascii_case("comment") => self.description = Some(text),
                // MySQL's, each with words of its own.
                (key, _) if is_plain => {
                    return Err(not_supported(&format!("{key} of CREATE TABLE"), CLAUSES));
                }
                property => self.properties.push(property),
            }
        }
        Ok(())
    }

    fn constraint(&mut self, constraint: &TableConstraint) -> Result<(), QueryError> {
        let (key, condition) = check_constraint(constraint, self.properties.len())?;
        self.rule(key, condition)
    }

    fn rule(&mut self, key: String, condition: String) -> Result<(), QueryError> {
        if self.properties.iter().any(|(known, _)| *known == key) {
            let name = key.trim_start_matches("delta.constraints.");
            let mistake =
                SqlMistake::new("elt::sql::constraint_exists", format!("two constraints are named `{name}`"));
            return Err(mistake.help("give one of them another name").into());
        }
        self.properties.push((key, condition));
        Ok(())
    }

    fn column(&mut self, column: &ColumnDef) -> Result<(), QueryError> {
        let name = folded(&column.name);
        for ColumnOptionDef { option, .. } in &column.options {
            match option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => self.not_null.push(name.clone()),
                ColumnOption::Comment(text) => self.comments.push((name.clone(), text.clone())),
                ColumnOption::Check(check) => {
                    let number = self.properties.len() + 1;
                    let label = check.name.as_ref().map_or_else(|| format!("{name}_check_{number}"), folded);
                    self.rule(format!("delta.constraints.{label}"), check.expr.to_string())?;
                }
                ColumnOption::PrimaryKey(_) | ColumnOption::Unique(_) | ColumnOption::ForeignKey(_) => {
                    return Err(not_supported(
                        &format!("the key of `{name}`"),
                        "no lakehouse enforces keys: state it as a data test, `unique` or `relationships`, in a schema.yml",
                    ));
                }
                ColumnOption::Generated {
                    generated_as: GeneratedAs::Always | GeneratedAs::ExpStored,
                    generation_expr: Some(expression),
                    sequence_options: _,
                    generation_expr_mode: _, // VIRTUAL or STORED: Delta's are stored
                    generated_keyword: _,
                } => self.generated.push((name.clone(), expression.to_string())),
                other => {
                    return Err(not_supported(
                        &format!("`{other}` for the column `{name}`"),
                        "NOT NULL, CHECK, COMMENT and GENERATED ALWAYS AS (…) are what there is; give values in the query \
                         that writes",
                    ));
                }
            }
        }
        Ok(())
    }

    fn design(&self, table: &TableName, design: Design, columns: &Schema) -> Result<Design, TableError> {
        let mut design = design.anew(table, storable(table, columns)?.as_ref())?;
        for column in &self.not_null {
            design = design.with_nullable(column, false);
        }
        for (column, comment) in &self.comments {
            design = design.with_comment(column, comment);
        }
        for (column, expression) in &self.generated {
            design = design.with_generation(column, expression);
        }
        let design = design
            .partitioned_by(self.partition_by.clone())?
            .with_properties(self.properties.clone())
            .with_description(self.description.clone());
        match &self.cluster_by[..] {
            [] => Ok(design),
            columns => design.clustered_by(columns),
        }
    }
}

/// The columns of a CLUSTER BY. `NONE` is none.
pub(super) fn cluster_columns(by: &[Expr]) -> Result<Vec<String>, QueryError> {
    let mut columns = Vec::new();
    for expr in by {
        match expr {
            Expr::Identifier(name)
                if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("none") => {}
            Expr::Identifier(name)
                if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("auto") =>
            {
                return Err(not_supported(
                    "CLUSTER BY AUTO, by which a platform chooses the columns,",
                    "name the columns that queries ask for",
                ));
            }
            Expr::Identifier(name) => columns.push(folded(name)),
            Expr::Nested(inner) => columns.extend(cluster_columns(std::slice::from_ref(inner))?),
            Expr::Tuple(several) => columns.extend(cluster_columns(several)?),
            other => {
                return Err(not_supported(&format!("CLUSTER BY {other}"), "name columns of the table"));
            }
        }
    }
    Ok(columns)
}

/// A property's name and value. `elt.writeMode` also says what other engines must know for it.
pub(super) fn property(option: &SqlOption) -> Result<(String, String), QueryError> {
    let SqlOption::KeyValue { key, value } = option else {
        return Err(not_supported(&format!("`{option}`"), "write `'name' = 'value'`"));
    };
    let value = match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    let name = key.value.clone();
    if name == "elt.writeMode" {
        value.parse::<WriteMode>().map_err(|because| SqlMistake::new("elt::sql::property", because))?;
    }
    refuse_if(
        name == COLUMN_MAPPING && !["name", "id", "none"].contains(&value.as_str()),
        &format!("column mapping by `{value}`"),
        "the modes are 'name' and 'id'",
    )?;
    let serves_others =
        ["delta.columnMapping.maxColumnId", "delta.enableRowTracking", "delta.enableInCommitTimestamps"];
    refuse_if(
        serves_others.contains(&name.as_str()),
        &format!("the property `{name}`"),
        "elt does not write such tables",
    )?;
    refuse_if(
        name == "delta.enableChangeDataFeed" && value == "true",
        "a stored change data feed",
        "it is not needed: `table_changes('t', 3)` tells what changed from any table's own history",
    )?;
    Ok((name, value))
}

/// The property that lets columns be renamed and dropped.
pub(super) const COLUMN_MAPPING: &str = "delta.columnMapping.mode";

/// The property that a `CHECK` constraint is kept as.
pub(super) fn check_constraint(
    constraint: &TableConstraint,
    number: usize,
) -> Result<(String, String), QueryError> {
    match constraint {
        TableConstraint::Check(check) => {
            let name = check.name.as_ref().map_or_else(|| format!("check_{}", number + 1), folded);
            Ok((format!("delta.constraints.{name}"), check.expr.to_string()))
        }
        other => Err(not_supported(
            &format!("`{other}`"),
            "no lakehouse enforces keys: state it as a data test, `unique` or `relationships`, in a schema.yml",
        )),
    }
}

/// The columns of a list of definitions, typed as a query would type them.
pub(in crate::query) async fn columns(
    session: &Session,
    columns: &[ColumnDef],
) -> Result<SchemaRef, QueryError> {
    if columns.is_empty() {
        return Err(not_supported(
            "a table without columns",
            "write `CREATE TABLE t (id bigint, …)`, or AS SELECT …",
        ));
    }
    for (at, column) in columns.iter().enumerate() {
        let name = folded(&column.name);
        if let Some((data_type, _)) = unsigned(&column.data_type) {
            let place = column.name.span.start;
            let what = format!(
                "`{data_type}` for the column `{name}` is not supported, because a lake's numbers have a sign"
            );
            let help = format!("write a wider type, and `check ({name} >= 0)`");
            let mistake = SqlMistake::new("elt::sql::not_supported", what).at(place.line, place.column);
            return Err(mistake.help(help).into());
        }
        if columns[..at].iter().any(|other| folded(&other.name).eq_ignore_ascii_case(&name)) {
            let place = column.name.span.start;
            let mistake =
                SqlMistake::new("elt::sql::column_twice", format!("the column `{name}` is there twice"));
            return Err(mistake.at(place.line, place.column).help("give one of them another name").into());
        }
    }
    let mut query = template("select 1 limit 0");
    select_of(&mut query).projection = columns
        .iter()
        .map(|column| {
            let cast = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::Value(Value::Null.into())),
                data_type: column.data_type.clone(),
                array: false,
                format: None,
            };
            item(cast, &folded(&column.name))
        })
        .collect();
    let schema = session.rows_of(query).await?.schema().clone();
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Ok(Arc::new(Schema::new(nullable.collect::<Vec<Field>>())))
}

/// The version that a table of this name goes on from, whether readers see it or not.
pub(super) async fn base(session: &Session, name: &TableName) -> Result<Option<Arc<Snapshot>>, QueryError> {
    let scope = session.scope();
    // What was staged before in the same transaction is what it goes on from.
    if let Some(change) = scope.change(name) {
        return Ok(Some(change.as_snapshot()?));
    }
    match scope.pins().head(name) {
        Some(version) => Ok(Some(scope.tables().snapshot(name, version).await?)),
        None => Ok(None),
    }
}

/// What becomes of views that read what is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// They stay, and cannot be read until there is something of that name again.
    Left,
    /// RESTRICT: while there are any, nothing is dropped.
    Respected,
    /// CASCADE: they are dropped too.
    Dropped,
}

/// The views that read one of these names themselves, and are none of them.
fn readers_of(session: &Session, names: &[TableName]) -> Vec<TableName> {
    let reads = |view: &crate::release::View| {
        let Ok(query) = dialect::parse_query(&view.sql) else { return false };
        visit_relations(&query, |name| match table_name(session, name) {
            Ok(name) if names.contains(&name) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    };
    let views = session.scope().pins().views.iter();
    views.filter(|(name, view)| !names.contains(name) && reads(view)).map(|(name, _)| name.clone()).collect()
}

/// `DROP TABLE [IF EXISTS] t, … [CASCADE | RESTRICT]` and `DROP VIEW`
pub(super) fn drop(
    session: &Session,
    object_type: ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    readers: Readers,
) -> Result<Staged, QueryError> {
    let (statement, wants_view) = match object_type {
        ObjectType::Table => ("DROP TABLE", false),
        ObjectType::View => ("DROP VIEW", true),
        other => {
            return Err(not_supported(
                &format!("DROP {other}"),
                "DROP TABLE and DROP VIEW are what there is",
            ));
        }
    };
    let mut staged = Staged::nothing(statement);
    for name in names {
        let name = table_name(session, name)?;
        if session.scope().sees(&name) {
            session.scope().check_changes(&name)?;
        }
        let pins = session.scope().pins();
        let is_view = pins.views.contains_key(&name) && session.scope().has(&name);
        if is_view && !wants_view {
            return Err(SqlMistake::new("elt::sql::is_a_view", format!("`{name}` is a view"))
                .help("write DROP VIEW")
                .into());
        }
        if pins.tables.contains_key(&name) && session.scope().has(&name) && wants_view {
            return Err(SqlMistake::new("elt::sql::is_a_table", format!("`{name}` is a table"))
                .help("write DROP TABLE")
                .into());
        }
        match session.scope().has(&name) {
            true => staged.hide.push(name),
            false if if_exists => {}
            false => {
                let missing =
                    SqlMistake::new("elt::sql::no_such_table", format!("there is no table `{name}`"));
                return Err(crate::query::describe::no_such_table(session, &name.to_string(), missing).into());
            }
        }
    }
    if readers == Readers::Left {
        return Ok(staged);
    }
    loop {
        let found = readers_of(session, &staged.hide);
        match found.first() {
            None => return Ok(staged),
            Some(_) if readers == Readers::Dropped => staged.hide.extend(found),
            Some(first) => {
                let of = match session.scope().sees(first) {
                    true => format!("the view `{first}` reads"),
                    false => "a view reads".to_owned(),
                };
                let mistake = SqlMistake::new("elt::sql::is_read", format!("{of} what would be dropped"));
                return Err(mistake
                    .help("with CASCADE it is dropped too; without RESTRICT it stays, and fails until there is a table of that name")
                    .into());
            }
        }
    }
}

/// `UNDROP TABLE t`
pub(super) fn undrop(session: &Session, table: &str) -> Result<Staged, QueryError> {
    let name = TableName::parse(table, session.default_schema())
        .map_err(|error| SqlMistake::new("elt::sql::no_such_table", error.to_string()))?;
    session.scope().check_changes(&name)?;
    let pins = session.scope().pins();
    if session.scope().has(&name) {
        let mistake = SqlMistake::new("elt::sql::table_exists", format!("`{name}` is not dropped"));
        return Err(mistake
            .help("to go back to an earlier version write `RESTORE TABLE … TO VERSION AS OF n`")
            .into());
    }
    let Some(version) = pins.retired.get(&name).copied() else {
        let mistake = SqlMistake::new("elt::sql::no_such_table", format!("no table `{name}` was dropped"));
        let known: Vec<String> =
            pins.retired.keys().filter(|name| session.scope().sees(name)).map(ToString::to_string).collect();
        return Err(mistake.help(format!("dropped tables: {}", known.join(", "))).into());
    };
    let mut staged = Staged::nothing("UNDROP TABLE");
    staged.show.insert(name, version);
    Ok(staged)
}

/// `RESTORE TABLE t TO VERSION AS OF n`
pub(super) async fn restore(session: &Session, table: &str, as_of: AsOf) -> Result<Staged, QueryError> {
    let name = crate::query::describe::resolve(session, table)?;
    let scope = session.scope();
    let Some(pinned) = scope.pins().tables.get(&name).copied() else {
        return Err(not_supported(
            &format!("RESTORE of `{name}`, which is a view,"),
            "`elt rollback` takes a whole release back",
        ));
    };
    scope.check_changes(&name)?;
    let then = snapshot_at(session, &name, &as_of).await?;
    let now = scope.tables().snapshot(&name, pinned).await?;
    Ok(Staged::change("RESTORE", write::restore(scope.tables(), now, &then).await?))
}

/// A table that readers see, as it was.
async fn snapshot_at(session: &Session, name: &TableName, as_of: &AsOf) -> Result<Arc<Snapshot>, QueryError> {
    let (tables, pins) = (session.scope().tables(), session.scope().pins());
    let pinned = pins.tables.get(name).copied().unwrap_or(TableVersion(0));
    let version = match as_of {
        AsOf::Version(version) => *version,
        AsOf::Timestamp(instant) => version_at(tables, name, pinned, *instant).await?,
        AsOf::Release(number) => {
            let pins = crate::release::release(tables.lake(), *number).await?.pins;
            pins.tables.get(name).copied().ok_or_else(|| {
                SqlMistake::new("elt::sql::version", format!("release {number} has no table `{name}`"))
            })?
        }
    };
    if version > pinned {
        return Err(QueryError::Table(TableError::NoSuchVersion {
            table: name.clone(),
            version,
            help: format!("its newest published version is {pinned}; `elt history {name}` lists them"),
        }));
    }
    Ok(tables.snapshot(name, version).await?)
}
