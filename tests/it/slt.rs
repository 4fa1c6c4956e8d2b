//! What does SQL answer?
//!
//! Each file of `tests/slt` is asked in a session of its own, all of them over one lake: the shop of
//! `tests/data/slt`, built three times, a day apart. Types are written as DataFusion's own files write
//! them: `B` boolean, `D` date, `I` integer, `P` timestamp, `R` float or decimal, `T` text, `?` any other.
//!
//! With `SLT_PARTITIONS=8` in the environment each session is set to so many parts, for what a machine with other cores answers.
//!
//! An error is compared with `message; help: …`, on one line, and `at line:column: ` before it where the
//! place is known.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use elt::base::{ReleaseNumber, Unwatched};
use elt::lake::Lake;
use elt::lakehouse::{BuildRequest, Lakehouse, QueryError, Session};
use elt::query::dialect::parse_query;
use sqllogictest::{AsyncDB, ColumnType, DBOutput, Normalizer, Runner};
use sqlparser::ast::{TableFactor, TableVersion, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::test_lake::{TestLake, told};

#[tokio::test]
async fn every_file_is_answered_as_it_says() {
    let shop = Shop::built().await;
    if std::env::var_os("SLT_ACCEPT").is_some() {
        return accept(&shop).await;
    }
    let mut wrong = Vec::new();
    for file in slt_files() {
        if let Err(error) = shop.runner().run_file_async(&file).await {
            wrong.push(format!("{}\n", error.display(false)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Writes what is answered now into the files, for a person to read the difference.
async fn accept(shop: &Shop) {
    for file in slt_files() {
        let mut runner = shop.runner();
        let (normal, strict) = (sqllogictest::default_normalizer, sqllogictest::strict_column_validator);
        runner.update_test_file(&file, " ", matches, normal, strict).await.unwrap();
    }
}

/// A version clause that gets as far as DataFusion's planner is dropped there, and the query answers
/// from the newest version without a word. So: every clause that the parser knows, in every place where
/// a table can stand, gives the old rows or an error.
#[tokio::test]
async fn a_version_clause_is_honoured_or_refused_wherever_it_stands() {
    let shop = Shop::built().await;
    let session = shop.lakehouse.session().await.unwrap();
    for clause in CLAUSES {
        for place in PLACES {
            let sql = place.replace("{orders}", &format!("orders {}", clause.sql));
            assert_eq!(kinds_of_clauses(&sql), [clause.kind], "{sql}");
            let answer = one_line(Box::pin(session.execute(&sql)).await).await;
            match clause.honoured {
                true => assert_eq!(answer.as_deref(), Ok("3"), "{sql}"),
                false => assert!(answer.is_err(), "{sql} answered {answer:?}"),
            }
        }
    }
    let now = one_line(session.execute("select count(*) from orders").await).await;
    assert_eq!(now.as_deref(), Ok("6"), "or the test shows nothing");
}

/// Statements of the files with words lost, doubled, exchanged and taken from others: each has a plan or is refused, and none
/// ends in a panic, which would be the end of the shell or the server that was asked.
#[tokio::test]
async fn what_makes_no_sense_has_a_plan_or_is_refused() {
    let shop = Shop::built().await;
    let session = shop.lakehouse.session().await.unwrap();
    let asked: Vec<Vec<String>> = slt_files().iter().flat_map(|file| statements_of(file)).collect();
    assert!(asked.len() > 1000, "{}", asked.len());
    let mut seed = 5_u64;
    let mut below = |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % most.max(1)
    };
    let mut planned = 0;
    for _ in 0..2000 {
        let mut words = asked[below(asked.len())].clone();
        for _ in 0..=below(3) / 2 {
            let other = &asked[below(asked.len())];
            let (at, from) = (below(words.len()), below(other.len()));
            match below(5) {
                0 => drop(words.remove(at)),
                1 => words.insert(at, words[below(words.len())].clone()),
                2 => words[at].clone_from(&other[from]),
                3 => words.truncate(at + 1),
                _ => drop(words.splice(at..at, other[from..].iter().take(1 + below(6)).cloned())),
            }
            if words.is_empty() {
                break;
            }
        }
        let sql = format!("explain {}", words.join(" "));
        planned += usize::from(Box::pin(session.execute(&sql)).await.is_ok());
    }
    assert!(planned > 50, "what is always refused early says little: {planned}");
}

/// The statements of a file, word by word.
fn statements_of(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    let records = sqllogictest::parse::<sqllogictest::DefaultColumnType>(&text).unwrap();
    let statements = records.into_iter().filter_map(|record| match record {
        sqllogictest::Record::Statement { sql, .. } | sqllogictest::Record::Query { sql, .. } => Some(sql),
        _ => None,
    });
    let words = statements.filter_map(|sql| {
        let tokens = Tokenizer::new(&GenericDialect {}, &sql).tokenize().ok()?;
        let words = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon));
        Some(words.map(ToString::to_string).collect::<Vec<_>>())
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// As many orders as there were in the first version, wherever `{orders}` stands.
const PLACES: &[&str] = &[
    "select count(*) from {orders}",
    "select count(o.id) from {orders} as o",
    "select count(orders.id) from {orders}",
    "from {orders} select count(*)",
    "with o as (select * from {orders}) select count(*) from o",
    "select * from (with o as (select * from {orders}) select count(*) from o)",
    "select count(*) from (select id from {orders}) as o",
    "select (select count(*) from {orders})",
    "select count(*) from orders where id in (select o.id from {orders} as o)",
    "select count(*) from orders a where exists (select 1 from {orders} as b where a.id = b.id)",
    "select count(*) from orders a join {orders} as b on a.id = b.id",
    "select count(*) from orders a join ({orders} as b join customers c on b.customer = c.id) on a.id = b.id",
    "select count(*) from {orders} as b, (select 1) as one",
    "select 3 from orders group by 1 having 3 = (select count(*) from {orders})",
    "select count(*) from (select id from {orders} union select id from orders where id = 1)",
    "select case when count(*) > 0 then (select count(*) from {orders}) end from orders",
    "select n from (select count(*) over () as n from {orders}) qualify row_number() over (order by n) = 1",
    "select distinct n from customers, lateral (select count(*) as n from {orders}) as counted",
];

struct Clause {
    kind: &'static str,
    sql: &'static str,
    honoured: bool,
}

const fn honoured(kind: &'static str, sql: &'static str) -> Clause {
    Clause { kind, sql, honoured: true }
}

const fn refused(kind: &'static str, sql: &'static str) -> Clause {
    Clause { kind, sql, honoured: false }
}

const CLAUSES: &[Clause] = &[
    honoured("version", "version as of 0"),
    honoured("version", "for version as of 0"),
    honoured("version", "for system_version as of 0"),
    honoured("timestamp", "timestamp as of '2026-01-01 12:00:00'"),
    honoured("timestamp", "for timestamp as of timestamp '2026-01-01 12:00:00'"),
    honoured("timestamp", "as of release 1"),
    honoured("timestamp", "release as of 1"),
    honoured("system time", "for system_time as of '2026-01-01 12:00:00'"),
    honoured("function", "at (version => 0)"),
    honoured("function", "at (timestamp => '2026-01-01 12:00:00')"),
    honoured("function", "at (release => 1)"),
    refused("version", "version as of 77"),
    refused("timestamp", "timestamp as of now()"),
    refused("system time", "for system_time as of '2025-01-01'"),
    refused("function", "at (offset => -60)"),
    refused("function", "before (version => 1)"),
    refused("function", "at (version => 0, version => 2)"),
    refused("changes", "changes (information => default) at (version => 0)"),
    refused("changes", "changes (information => default) at (version => 0) end (version => 1)"),
];

/// Which clauses the parser finds in a query, and hands on with the tree.
fn kinds_of_clauses(sql: &str) -> Vec<&'static str> {
    struct Clauses(Vec<&'static str>);
    impl Visitor for Clauses {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { version: Some(clause), .. } = factor {
                // No `_` arm: a kind that a later parser adds has to be thought of here, and in CLAUSES.
                self.0.push(match clause {
                    TableVersion::VersionAsOf(_) => "version",
                    TableVersion::TimestampAsOf(_) => "timestamp",
                    TableVersion::ForSystemTimeAsOf(_) => "system time",
                    TableVersion::Function(_) => "function",
                    TableVersion::Changes { .. } => "changes",
                });
            }
            ControlFlow::Continue(())
        }
    }
    let mut clauses = Clauses(Vec::new());
    let statement = parse_query(sql).unwrap_or_else(|mistake| panic!("{sql}: {mistake}"));
    assert!(statement.visit(&mut clauses).is_continue());
    clauses.0
}

#[tokio::test]
async fn a_session_at_a_release_does_not_see_past_it() {
    let shop = Shop::built().await;
    let session = shop.lakehouse.session_at(ReleaseNumber(1)).await.unwrap();
    let ask = async |sql: &str| one_line(Box::pin(session.execute(sql)).await).await;
    assert_eq!(ask("select count(*) from orders").await.as_deref(), Ok("3"));
    assert_eq!(ask("select count(*) from orders version as of 0").await.as_deref(), Ok("3"));
    assert_eq!(ask("select sum(total) from spending").await.as_deref(), Ok("125.00"));
    assert_eq!(ask("select count(*) from orders timestamp as of '2026-02-01'").await.as_deref(), Ok("3"));
    let newer = ask("select count(*) from orders version as of 1").await.unwrap_err();
    assert!(newer.contains("newest published version is 0"), "{newer}");
    let unborn = ask("select * from after.returns").await.unwrap_err();
    assert!(unborn.contains("there is no table `after.returns`"), "{unborn}");
}

/// The shop after its third release, and after a stranger's commit that no release has.
struct Shop {
    folder: TestLake,
    lakehouse: Lakehouse,
}

impl Shop {
    async fn built() -> Self {
        let folder = TestLake::new();
        let lake = || Lake::create(&folder.path().join("lake")).unwrap();
        for (release, hour) in [("release_1", 0), ("release_2", 24), ("release_3", 48)] {
            copy(&Path::new("tests/data/slt").join(release), folder.path());
            let request = BuildRequest { threads: Some(1), full: true, ..BuildRequest::default() };
            let built = Box::pin(folder.on(lake(), hour).build(&request, &Unwatched)).await.unwrap();
            assert!(built.is_well(), "{}", told(&built));
        }
        let stranger = folder.table_folder("main.orders").join("_delta_log/00000000000000000003.json");
        assert!(!stranger.exists(), "orders has the versions 0, 1 and 2");
        fs::write(
            stranger,
            "{\"commitInfo\":{\"operation\":\"DELETE\",\"engineInfo\":\"another-engine:9\"}}\n",
        )
        .unwrap();
        let lakehouse = folder.on(lake(), 72);
        Self { folder, lakehouse }
    }

    /// Asks in a session of its own. In the files `$LAKE` is the lake's folder, `$BESIDE` the one it is in.
    fn runner(&self) -> Runner<Asker, impl sqllogictest::MakeConnection<Conn = Asker>> {
        let mut runner = Runner::new(async || {
            let session = self.lakehouse.session().await.unwrap();
            if let Some(parts) = std::env::var_os("SLT_PARTITIONS").and_then(|parts| parts.into_string().ok())
            {
                let set = format!("set datafusion.execution.target_partitions = {parts}");
                Box::pin(session.execute(&set)).await.unwrap();
            }
            Ok(Asker(session))
        });
        runner.set_var("LAKE".to_owned(), self.folder.path().join("lake").display().to_string());
        runner.set_var("BESIDE".to_owned(), self.folder.path().display().to_string());
        runner.with_validator(matches);
        runner.with_column_validator(sqllogictest::strict_column_validator);
        runner
    }
}

/// Copies a folder over another.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path() {
            folder if folder.is_dir() => copy(&folder, &target),
            file => drop(fs::copy(file, target).unwrap()),
        }
    }
}

fn slt_files() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir("tests/slt").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "slt"));
    files.sort();
    assert!(!files.is_empty(), "tests run in the package");
    files
}

/// A session, as sqllogictest asks it.
struct Asker(Session);

#[async_trait]
impl AsyncDB for Asker {
    type Error = Refused;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Refused> {
        let outcome = Box::pin(self.0.execute(sql)).await?;
        let types = outcome.schema().fields().iter().map(|field| Kind::of(field.data_type())).collect();
        let batches = outcome.collect().await.map_err(|error| error.located(sql))?;
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(rows).collect() })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "elt"
    }
}

/// An error as a person would read it, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        let (place, help) = match &error {
            QueryError::Sql(mistake) => (mistake.place(), mistake.help_text().map(str::to_owned)),
            other => (None, miette::Diagnostic::help(other).map(|help| help.to_string())),
        };
        let place = place.map(|(line, column)| format!("at {line}:{column}: ")).unwrap_or_default();
        let help = help.map(|help| format!("; help: {help}")).unwrap_or_default();
        Self(format!("{place}{error}{help}"))
    }
}

/// The type of a column, as one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind(char);

impl Kind {
    fn of(data_type: &DataType) -> Self {
        Self(match data_type {
            DataType::Boolean => 'B',
            DataType::Date32 | DataType::Date64 => 'D',
            DataType::Timestamp(..) => 'P',
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
            number if number.is_integer() => 'I',
            number if number.is_numeric() => 'R',
            _ => '?',
        })
    }
}

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        "BDIPRT?".contains(value).then_some(Self(value))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

/// The cells of a batch; an empty text is `(empty)`, so that it is not mistaken for nothing.
fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new()
        .with_null("NULL")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns: Vec<_> = columns.map(Result::unwrap).collect();
    let cell = |text: String| if text.is_empty() { "(empty)".to_owned() } else { text };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| cell(column.value(row).to_string())).collect())
        .collect()
}

/// Whether the rows are the expected ones, where `<slt:ignore>` in an expected row stands for any text.
///
/// Stricter than sqllogictest's own, which with that word in it looks no further than the last piece.
fn matches(normalize: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let row_matches = |(row, expected): (&Vec<String>, &String)| {
        let row = row.iter().map(normalize).collect::<Vec<_>>().join(" ");
        let expected = normalize(expected);
        let (first, pieces) = expected.split_once("<slt:ignore>").unzip();
        let (Some(first), Some(pieces)) = (first, pieces) else { return row == expected };
        let mut pieces: Vec<&str> = pieces.split("<slt:ignore>").collect();
        let last = pieces.pop().unwrap_or_default();
        let between = row.strip_prefix(first).and_then(|row| row.strip_suffix(last));
        pieces
            .iter()
            .try_fold(between, |rest, piece| Some(rest?.split_once(piece).map(|(_, after)| after)))
            .flatten()
            .is_some()
    };
    actual.len() == expected.len() && actual.iter().zip(expected).all(row_matches)
}

/// An answer in one line, rows beside each other.
async fn one_line(answer: Result<elt::lakehouse::Outcome, QueryError>) -> Result<String, String> {
    let batches = match answer {
        Ok(outcome) => outcome.collect().await,
        Err(error) => Err(error),
    };
    let batches = batches.map_err(|error| Refused::from(error).to_string())?;
    let rows: Vec<String> = batches.iter().flat_map(rows).map(|row| row.join(" ")).collect();
    Ok(rows.join(" | "))
}
