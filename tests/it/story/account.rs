//! Random tables as CSV and JSON, damaged at random: every row is loaded, rescued or rejected, and says what it said.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::test_lake::TestLake;

/// What is done to a record on its way into a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    None,
    /// A field too few.
    Short,
    /// A field too many.
    Long,
    /// Text behind a closing quote.
    Behind,
    /// A byte that is no UTF-8.
    NoText,
}

#[derive(Clone, Debug)]
struct Table {
    width: usize,
    rows: Vec<(Vec<String>, Damage)>,
    delimiter: char,
    crlf: bool,
    marked: bool,
    quote_all: bool,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        8 => Just(Damage::None),
        1 => Just(Damage::Short),
        1 => Just(Damage::Long),
        1 => Just(Damage::Behind),
        1 => Just(Damage::NoText),
    ]
}

/// Texts with everything that makes CSV and JSON hard. Never empty, which CSV would take for a null.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        "-?[1-9][0-9]{0,18}",
        "[0-9]{1,3}[.,][0-9]{1,3}",
        "20[0-9]{2}-0[1-9]-[0-2][1-8]",
        "[ a\",;|\t\n'\\\\é→0]{0,8}x",
    ]
}

fn table() -> impl Strategy<Value = Table> {
    (2usize..5).prop_flat_map(|width| {
        let row = (proptest::collection::vec(cell(), width), damage());
        let rows = proptest::collection::vec(row, 0..30);
        let delimiter = prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')];
        (Just(width), rows, delimiter, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(width, rows, delimiter, crlf, marked, quote_all)| Table {
                width,
                rows,
                delimiter,
                crlf,
                marked,
                quote_all,
            },
        )
    })
}

impl Table {
    fn csv(&self) -> Vec<u8> {
        let end = if self.crlf { "\r\n" } else { "\n" };
        let delimiter = self.delimiter.to_string();
        let names: Vec<String> = (0..self.width).map(|at| format!("column {at}")).collect();
        let mut text = if self.marked { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        text.extend(format!("{}{end}", names.join(&delimiter)).as_bytes());
        for (cells, damage) in &self.rows {
            let hard = |cell: &str| {
                cell.contains([self.delimiter, '"', '\n', '\r']) || cell.starts_with(' ') || self.quote_all
            };
            let mut fields: Vec<String> = cells
                .iter()
                .map(
                    |cell| {
                        if hard(cell) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
                    },
                )
                .collect();
            match damage {
                Damage::None => {}
                Damage::Short => fields.truncate(self.width - 1),
                Damage::Long => fields.push("more".to_owned()),
                // On one line, so that it is certain which record is broken.
                Damage::Behind => fields = vec!["\"a\"b".to_owned(); self.width],
                Damage::NoText => fields = vec!["@".to_owned(); self.width],
            }
            let mut record = fields.join(&delimiter).into_bytes();
            if *damage == Damage::NoText {
                record[0] = 0xFF;
            }
            text.extend(record);
            text.extend(end.as_bytes());
        }
        text
    }

    fn json(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (cells, damage) in &self.rows {
            let members = cells.iter().enumerate();
            let members: serde_json::Map<_, _> =
                members.map(|(at, cell)| (format!("column {at}"), cell.as_str().into())).collect();
            let mut record = serde_json::Value::Object(members).to_string().into_bytes();
            match damage {
                Damage::None => {}
                Damage::Short => record.truncate(record.len() - 1),
                Damage::Long => record.push(b'}'),
                Damage::Behind => record = b"[1]".to_vec(),
                Damage::NoText => record[3] = 0xFF,
            }
            text.extend(record);
            text.push(b'\n');
        }
        text
    }

    fn whole(&self) -> Vec<&Vec<String>> {
        self.rows.iter().filter(|(_, damage)| *damage == Damage::None).map(|(cells, _)| cells).collect()
    }
}

/// Lands bytes, checks the account, and compares every row and every rejected record.
async fn check(table: &Table, file: &str, bytes: &[u8], options: &[(&str, &str)], exact: bool) {
    let lake = TestLake::new();
    lake.write_bytes(file, bytes);
    let landed = match lake.try_land("raw.t", &[file], options, false).await {
        Ok(landed) => landed,
        // Who is asked has lost nothing; a file of broken records only is refused whole.
        Err(error)
            if error.to_string().contains("two ways")
                || error.to_string().contains("none is a JSON object") =>
        {
            assert!(!exact || table.whole().is_empty(), "{error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let whole = table.whole();
    let broken = table.rows.len() - whole.len();
    let Some(account) = landed.report.accounts().next() else {
        assert!(table.rows.is_empty(), "nothing was loaded of {table:?}");
        return;
    };
    let counts = (account.read, account.loaded + account.rescued, account.rejected);
    assert_eq!(counts, (table.rows.len() as u64, whole.len() as u64, broken as u64), "{table:?}");
    if exact {
        assert_eq!(account.rescued, 0);
        for at in 0..table.width {
            let sql = format!("select column_{at} from raw.t order by _row_number");
            let rows = lake.rows(&sql).await;
            let expected: Vec<&str> = whole.iter().map(|cells| cells[at].as_str()).collect();
            let expected = if expected.is_empty() { "no rows".to_owned() } else { expected.join(" | ") };
            assert_eq!(rows, expected, "column {at} of {table:?}");
        }
    }
    if broken > 0 {
        assert_eq!(lake.rows("select count(*) from raw.t__rejected").await, broken.to_string());
    }
}

fn run(cases: u32, check_one: impl Fn(&tokio::runtime::Runtime, &Table)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let ran = runner.run(&table(), |table| {
        check_one(&runtime, &table);
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_row_of_a_declared_csv_file_is_what_it_was() {
    run(48, |runtime, table| {
        let delimiter = table.delimiter.to_string();
        let options = [
            ("delimiter", delimiter.as_str()),
            ("header", "true"),
            ("quote", "\""),
            ("infer_types", "false"),
        ];
        runtime.block_on(Box::pin(check(table, "t.csv", &table.csv(), &options, true)));
    });
}

#[test]
fn every_row_of_a_csv_file_that_nobody_declared_is_somewhere() {
    run(48, |runtime, table| {
        runtime.block_on(Box::pin(check(table, "t.csv", &table.csv(), &[], false)));
    });
}

#[test]
fn every_row_of_a_json_file_is_what_it_was() {
    run(32, |runtime, table| {
        runtime.block_on(Box::pin(check(table, "t.jsonl", &table.json(), &[("infer_types", "false")], true)));
        runtime.block_on(Box::pin(check(table, "t.jsonl", &table.json(), &[], false)));
    });
}
