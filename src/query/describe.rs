//! What is there to query?

use super::own::TEMPORARY;
use super::{Outcome, QueryError, Session, SqlMistake, summarize, system};
use crate::base::{TableName, did_you_mean, sql_type_name};
use crate::release;
use crate::table::{self, Commit};

const TIME: &str = "%Y-%m-%d %H:%M:%S%.3f";

/// `SHOW TABLES`: every name, with its version and row count where the log tells them.
///
/// `pattern` is one of LIKE, where `*` is `%` too; with a point in it, it is of schema and name. Rows are counted by opening each table's log, so not in a lake of very many tables.
pub(super) async fn tables(session: &Session, schema: Option<&str>, pattern: Option<&str>) -> Outcome {
    let scope = session.scope();
    let is_meant = |schema: &str, name: &str| {
        pattern.is_none_or(|pattern| match pattern.contains('.') {
            true => is_like(&format!("{schema}.{name}"), pattern),
            false => is_like(name, pattern),
        })
    };
    let mut rows = Vec::new();
    if schema == Some(system::SCHEMA) {
        let row = |name: &str| {
            [Some(system::SCHEMA.to_owned()), Some(name.to_owned()), Some("system".to_owned()), None, None]
        };
        let own = system::TABLES.iter().filter(|table| is_meant(system::SCHEMA, table.name));
        rows.extend(own.map(|table| row(table.name)));
    }
    let names = scope
        .names()
        .into_iter()
        .filter(|(name, _)| schema.is_none_or(|schema| schema == name.schema()))
        .filter(|(name, _)| is_meant(name.schema(), name.table()));
    let names: Vec<_> = names.collect();
    let is_counted = names.len() <= COUNTED;
    for (name, is_view) in names {
        let version = scope.pins().tables.get(&name).copied().filter(|_| !is_view);
        let counted = match version.filter(|_| is_counted && !scope.is_guarded(&name)) {
            Some(version) => {
                scope.tables().snapshot(&name, version).await.ok().and_then(|snapshot| snapshot.rows())
            }
            None => None,
        };
        rows.push([
            Some(name.schema().to_owned()),
            Some(name.table().to_owned()),
            Some(if is_view { "view" } else { "table" }.to_owned()),
            version.map(|version| version.to_string()),
            counted.map(|rows| rows.to_string()),
        ]);
    }
    let own = session
        .temporary_names()
        .into_iter()
        .filter(|name| schema.is_none_or(|schema| schema == "temp") && is_meant("temp", name));
    rows.extend(
        own.map(|name| [Some("temp".to_owned()), Some(name), Some("temporary".to_owned()), None, None]),
    );
    Outcome::table(["schema", "name", "type", "version", "rows"], &["version", "rows"], rows)
}

/// Tables whose rows `SHOW TABLES` counts.
const COUNTED: usize = 1_000;

/// Whether a name fits a pattern of LIKE, in any case. `*` is any letters, as `%` is.
pub(super) fn is_like(name: &str, pattern: &str) -> bool {
    fn fits(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('%' | '*', rest)) => (0..=name.len()).any(|skipped| fits(&name[skipped..], rest)),
            Some(('_', rest)) => !name.is_empty() && fits(&name[1..], rest),
            Some((c, rest)) => name.first() == Some(c) && fits(&name[1..], rest),
        }
    }
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    fits(&chars(name), &chars(pattern))
}

/// `SHOW RELEASES`, newest first.
pub(super) async fn releases(session: &Session) -> Result<Outcome, QueryError> {
    let releases = release::list(session.scope().tables().lake(), usize::MAX).await?;
    // Whoever does not see all of the lake sees what was published of their tables, and not by whom.
    let rights = session.scope().rights().filter(|rights| !rights.see_system("releases"));
    let sees = |release: &&release::Release| {
        rights.is_none() || release.tables.iter().any(|summary| session.scope().sees(&summary.table))
    };
    let told = |user: &String| rights.is_none_or(|rights| rights.user == *user);
    let rows = releases.iter().filter(sees).map(|release| {
        let outcome = match &release.outcome {
            release::Outcome::Published => "published".to_owned(),
            release::Outcome::Abandoned { because } => format!("abandoned: {because}"),
        };
        let tables = release.tables.iter().filter(|summary| session.scope().sees(&summary.table));
        let tables: Vec<String> = tables.map(|summary| summary.table.to_string()).collect();
        [
            Some(release.number.to_string()),
            Some(release.at.format(TIME).to_string()),
            Some(release.user.clone()).filter(told),
            Some(release.kind_words()),
            Some(outcome),
            Some(tables.join(", ")),
        ]
    });
    let names = ["release", "published_at", "user", "made_by", "outcome", "tables"];
    Ok(Outcome::table(names, &["release"], rows.collect()))
}

/// `SHOW SCHEMAS [LIKE 'pattern']`
pub(super) fn schemas(session: &Session, pattern: Option<&str>) -> Outcome {
    let schemas = session.scope().schemas().into_iter();
    let meant = schemas.filter(|schema| pattern.is_none_or(|pattern| is_like(schema, pattern)));
    let rows = meant.map(|schema| [Some(schema)]);
    Outcome::table(["schema"], &[], rows.collect())
}

/// `SHOW VIEWS`
pub(super) fn views(session: &Session) -> Outcome {
    let views = session.scope().names().into_iter().filter(|(_, is_view)| *is_view);
    let rows = views.map(|(name, _)| {
        let is_told = session.scope().rights().is_none_or(|rights| !rights.are_limited());
        let view = session.scope().pins().views.get(&name).filter(|_| is_told);
        let sql = view.map(|view| view.sql.trim().to_owned());
        [Some(name.schema().to_owned()), Some(name.table().to_owned()), sql]
    });
    Outcome::table(["schema", "name", "sql"], &[], rows.collect())
}

/// `DESCRIBE t`
pub(super) async fn columns(session: &Session, table: &str) -> Result<Outcome, QueryError> {
    query(session, &format!("select * from {}", from(session, table)?)).await
}

/// `PRAGMA table_info('t')`: what DuckDB and SQLite tell of a table. A lake's tables have no defaults and no enforced keys.
pub(super) async fn table_info(session: &Session, table: &str) -> Result<Outcome, QueryError> {
    let schema = session.check(&format!("select * from {}", from(session, table)?)).await?;
    let rows = schema.fields().iter().enumerate().map(|(at, field)| {
        [
            Some(at.to_string()),
            Some(field.name().clone()),
            Some(sql_type_name(field.data_type())),
            Some((!field.is_nullable()).to_string()),
            None,
            Some("false".to_owned()),
        ]
    });
    let columns = ["cid", "name", "type", "notnull", "dflt_value", "pk"];
    Ok(Outcome::table(columns, &["cid"], rows.collect()))
}

/// `DESCRIBE SELECT …`
pub(super) async fn query(session: &Session, sql: &str) -> Result<Outcome, QueryError> {
    let schema = session.check(sql).await?;
    let rows = schema.fields().iter().map(|field| {
        let nullable = if field.is_nullable() { "YES" } else { "NO" };
        [Some(field.name().clone()), Some(sql_type_name(field.data_type())), Some(nullable.to_owned())]
    });
    Ok(Outcome::table(["column_name", "column_type", "null"], &[], rows.collect()))
}

/// `SUMMARIZE t`, `SUMMARIZE SELECT …`
pub(super) async fn summary(session: &Session, what: &str, is_query: bool) -> Result<Outcome, QueryError> {
    let sql = if is_query { what.to_owned() } else { format!("select * from {}", from(session, what)?) };
    summarize::summary(session, sql.trim_end_matches(';')).await
}

/// How a table, or a quoted file, stands after FROM.
fn from(session: &Session, table: &str) -> Result<String, QueryError> {
    if table.starts_with('\'') { Ok(table.to_owned()) } else { quote(session, table) }
}

/// The commits of a table, newest first, up to the version that the session sees.
pub(super) async fn commits(session: &Session, table: &str, limit: usize) -> Result<Vec<Commit>, QueryError> {
    let name = resolve(session, table)?;
    let scope = session.scope();
    scope.check_whole(&name)?;
    let Some(version) = scope.pins().tables.get(&name).copied() else {
        let mistake = SqlMistake::new(
            "elt::sql::version",
            format!("`{name}` is a view; a view has no history of its own"),
        );
        return Err(mistake.help("`elt releases` shows which builds changed it").into());
    };
    Ok(table::history(scope.tables(), &name, version, limit).await?)
}

/// `DESCRIBE HISTORY t`
pub(super) async fn history(
    session: &Session,
    table: &str,
    limit: Option<usize>,
) -> Result<Outcome, QueryError> {
    let commits = commits(session, table, limit.unwrap_or(usize::MAX)).await?;
    let json = |map: &std::collections::BTreeMap<_, _>| Some(serde_json::to_string(map).unwrap_or_default());
    let rows = commits.iter().map(|commit| {
        [
            Some(commit.version.to_string()),
            Some(commit.timestamp.format(TIME).to_string()),
            commit.user.clone(),
            commit.operation.clone(),
            json(&commit.parameters),
            json(&commit.metrics),
            commit.engine.clone(),
            commit.release.map(|release| release.to_string()),
        ]
    });
    let names = [
        "version",
        "timestamp",
        "userName",
        "operation",
        "operationParameters",
        "operationMetrics",
        "engineInfo",
        "release",
    ];
    Ok(Outcome::table(names, &["version", "release"], rows.collect()))
}

/// `DESCRIBE DETAIL t`: one row, with the columns that Delta's users know.
pub(super) async fn detail(session: &Session, table: &str) -> Result<Outcome, QueryError> {
    let name = resolve(session, table)?;
    let scope = session.scope();
    scope.check_whole(&name)?;
    let Some(version) = scope.pins().tables.get(&name).copied() else {
        let mistake =
            SqlMistake::new("elt::sql::version", format!("`{name}` is a view; a view has no files"));
        return Err(mistake.help("`describe` lists its columns").into());
    };
    let snapshot = scope.tables().snapshot(&name, version).await?;
    let (files, design) = (snapshot.files(), snapshot.design());
    let sum = |of: &dyn Fn(&table::DataFile) -> u64| Some(files.iter().map(of).sum::<u64>().to_string());
    let json = |value: serde_json::Value| Some(value.to_string());
    let row = [
        Some("delta".to_owned()),
        Some(snapshot.id().to_owned()),
        Some(name.to_string()),
        design.description().map(str::to_owned),
        Some(crate::lake::layout::table(&name).to_string()),
        Some(version.to_string()),
        json(serde_json::json!(design.partition_columns())),
        Some(files.len().to_string()),
        sum(&table::DataFile::size),
        snapshot.rows().map(|rows| rows.to_string()),
        sum(&table::DataFile::hidden_rows),
        json(serde_json::json!(design.properties())),
        Some(design.write_mode().to_string()),
        json(design.protocol_json()),
    ];
    let names = [
        "format",
        "id",
        "name",
        "description",
        "location",
        "version",
        "partitionColumns",
        "numFiles",
        "sizeInBytes",
        "numRows",
        "numHiddenRows",
        "properties",
        "writeMode",
        "protocol",
    ];
    let numbers = ["version", "numFiles", "sizeInBytes", "numRows", "numHiddenRows"];
    Ok(Outcome::table(names, &numbers, vec![row]))
}

/// The table that a text names, if the session sees it.
pub(super) fn resolve(session: &Session, text: &str) -> Result<TableName, QueryError> {
    let name = TableName::parse(text, session.default_schema())
        .map_err(|error| SqlMistake::new("elt::sql::no_such_table", error.to_string()))?;
    if session.scope().has(&name) {
        return Ok(name);
    }
    let missing = SqlMistake::new("elt::sql::no_such_table", format!("there is no table `{name}`"));
    Err(no_such_table(session, &name.to_string(), missing).into())
}

fn quote(session: &Session, text: &str) -> Result<String, QueryError> {
    let bare = text.strip_prefix("temp.").unwrap_or(text);
    if session.temporary_names().iter().any(|name| name == bare) {
        return Ok(format!("\"{TEMPORARY}\".\"{bare}\""));
    }
    if text.starts_with("information_schema.") {
        return Ok(text.to_owned());
    }
    let quoted = |name: &TableName| format!("\"{}\".\"{}\"", name.schema(), name.table());
    if let Ok(name) = TableName::parse(text, session.default_schema())
        && system::holds(&name)
    {
        return Ok(quoted(&name));
    }
    Ok(quoted(&resolve(session, text)?))
}

/// Says which name was probably meant, or which names there are.
pub(super) fn no_such_table(session: &Session, wanted: &str, mistake: SqlMistake) -> SqlMistake {
    if looks_like_a_file(wanted) {
        return mistake.help("a file's name stands in single quotes: `from 'folder/file.csv'`");
    }
    const OF_OTHERS: [&str; 12] = [
        "sqlite_master",
        "sqlite_schema",
        "pg_class",
        "pg_tables",
        "pg_views",
        "pg_namespace",
        "pg_attribute",
        "pg_database",
        "duckdb_tables",
        "duckdb_columns",
        "all_tables",
        "user_tables",
    ];
    let bare = wanted.rsplit('.').next().unwrap_or(wanted);
    if wanted.starts_with("information_schema.")
        || wanted.starts_with("pg_catalog.")
        || OF_OTHERS.contains(&bare)
    {
        return mistake.help(
            "`from elt.tables` and `from elt.columns` tell what there is, as do `information_schema.tables`, `.columns` and `.views`",
        );
    }
    if let Some(name) = wanted.strip_prefix("elt.") {
        let rights = session.scope().rights();
        let is_there = |name: &&str| rights.is_none_or(|rights| rights.see_system(name));
        let known: Vec<&str> = system::TABLES.iter().map(|table| table.name).filter(is_there).collect();
        if known.contains(&name) {
            let what = format!("`{wanted}` is told by elt, and nothing can be written there");
            return SqlMistake::new("elt::sql::read_only", what)
                .help(format!("keep rows of it in a table: `create table s.t as select * from {wanted}`"));
        }
        let close = did_you_mean(name, known.iter().copied());
        return mistake.help(close.unwrap_or_else(|| format!("the schema `elt` has {}", known.join(", "))));
    }
    let names = session.scope().names();
    if names.is_empty() && session.scope().rights().is_none() {
        return mistake.help("this lake has no tables yet: run `elt build`; a file is queried by its quoted name, `from 'file.csv'`");
    }
    let bare = wanted.rsplit('.').next().unwrap_or(wanted);
    let elsewhere = names.iter().find(|(name, _)| name.table() == bare).map(|(name, _)| name.to_string());
    let close =
        || did_you_mean(bare, names.iter().map(|(name, _)| name.table()).filter(|name| *name != bare));
    let elsewhere = elsewhere.filter(|name| name != wanted);
    let help = elsewhere.map(|name| format!("did you mean `{name}`?")).or_else(close);
    let all = || match session.scope().rights().filter(|rights| rights.are_limited()) {
        Some(rights) => format!("`show tables` lists what the role `{}` may read", rights.role),
        None => "`show tables` lists what there is".to_owned(),
    };
    mistake.help(help.unwrap_or_else(all))
}

fn looks_like_a_file(wanted: &str) -> bool {
    let name = wanted.to_lowercase();
    let endings = [".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst"];
    name.contains(['/', '\\']) || endings.iter().any(|ending| name.ends_with(ending))
}
