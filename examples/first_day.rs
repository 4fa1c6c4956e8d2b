//! What is the first day with elt like?
//!
//! A coffee bar opens its books: a project of three files, raw sales as CSV, and five things that
//! happen to them. `cargo run --example first_day` tells the story, and stops if a word of it is not true.

#![allow(clippy::print_stdout, reason = "a story is told")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use elt::base::{Clock, Ids, ReleaseNumber, Result, Unwatched, World};
use elt::lakehouse::{BuildRequest, Built, Lakehouse, OpenOptions, Verdict, Visibility};

const MONDAY: &str = "id,drink,price,sold_at
1,espresso,2.40,2026-01-05 08:02:00
2,flat white,3.90,2026-01-05 08:05:00
3,espresso,2.40,2026-01-05 13:40:00
";

/// The till was out of paper: sale 5 has no price.
const TUESDAY: &str = "id,drink,price,sold_at
4,flat white,3.90,2026-01-06 09:12:00
5,espresso,,2026-01-06 09:15:00
";

const TAKINGS: &str = "select day, sales, takings from takings order by day";

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bar = folder.path();
    write_project(bar);
    let options = OpenOptions { folder: bar.to_owned(), ..OpenOptions::default() };
    let lake = Lakehouse::create(&options, world())?;

    println!("Monday evening. The day's sales are a file in the inbox, and one build does the rest.\n");
    write(bar, "inbox/sales_2026-01-05.csv", MONDAY);
    let monday = build(&lake).await?;
    tell(&monday);
    assert_eq!(monday.release.map(|release| release.number), Some(ReleaseNumber(1)));
    assert_eq!(ask(&lake, TAKINGS).await?, ["2026-01-05  3  8.70"]);

    println!("\nTuesday evening. One sale came without its price. What does the build make of it?\n");
    write(bar, "inbox/sales_2026-01-06.csv", TUESDAY);
    let tuesday = build(&lake).await?;
    tell(&tuesday);
    assert!(tuesday.release.is_none(), "a failed test keeps everything back");
    assert_eq!(culprits(&tuesday), ["inbox/sales_2026-01-06.csv:3"]);

    println!("\nWhoever asks now still sees Monday, whole: not a row of Tuesday's file, good or bad.\n");
    assert_eq!(ask(&lake, TAKINGS).await?, ["2026-01-05  3  8.70"]);
    assert_eq!(ask(&lake, "select count(*) from till.sales").await?, ["3"]);

    println!("\nThe price is written into line 3, and the same build run again.\n");
    write(bar, "inbox/sales_2026-01-06.csv", &TUESDAY.replace("espresso,,", "espresso,2.40,"));
    let repaired = build(&lake).await?;
    tell(&repaired);
    assert_eq!(repaired.release.map(|release| release.number), Some(ReleaseNumber(2)));

    println!("\nWhat did Tuesday change? Every version of a table stays readable beside the newest.\n");
    let compared = ask(
        &lake,
        "select day, now.takings from takings as now
         where day not in (select day from takings version as of 0) order by day",
    );
    assert_eq!(compared.await?, ["2026-01-06  6.30"]);
    assert_eq!(ask(&lake, "select sum(takings) from takings as of release 1").await?, ["8.70"]);

    println!("\nWednesday morning. The accountant wants the books as they were on Monday.\n");
    let back = Box::pin(lake.roll_back(Some(ReleaseNumber(1)), &Unwatched)).await?;
    let back = back.expect("release 2 is not what release 1 was");
    println!("  release {}: {}", back.number, back.kind_words());
    assert_eq!(ask(&lake, TAKINGS).await?, ["2026-01-05  3  8.70"]);

    println!("\nNothing is lost by that. Tuesday is a release, and releases stay.\n");
    assert_eq!(
        ask(&lake, "select day, takings from takings as of release 2 order by day").await?,
        ["2026-01-05  8.70", "2026-01-06  6.30"]
    );
    Ok(())
}

/// The whole project: where sales come from and what is promised of them, how they are cleaned, what is made of them.
fn write_project(bar: &Path) {
    write(bar, "dbt_project.yml", "name: coffee_bar\n");
    write(
        bar,
        "models/bar.yml",
        "
sources:
  - name: till
    tables:
      - name: sales
        config: {location: 'inbox/sales_*.csv'}
        columns:
          - {name: id, data_type: int}
          - {name: drink, data_type: varchar}
          - {name: price, data_type: 'decimal(10,2)'}
          - {name: sold_at, data_type: timestamp}
models:
  - name: stg_sales
    columns:
      - {name: id, data_tests: [unique, not_null]}
      - {name: price, data_tests: [not_null]}
",
    );
    // The view keeps what landing knows of each row, so that a failing test can name file and line.
    write(
        bar,
        "models/stg_sales.sql",
        "{{ config(materialized='view') }}
select id, drink, price, sold_at::date as day, _file_path, _row_number from {{ source('till', 'sales') }}
",
    );
    write(
        bar,
        "models/takings.sql",
        "{{ config(materialized='table') }}
select day, count(*) as sales, sum(price) as takings from {{ ref('stg_sales') }} group by day
",
    );
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    let parent = path.parent().expect("the files of the project are in its folder");
    std::fs::create_dir_all(parent).expect("the temporary folder can be written to");
    std::fs::write(path, text).expect("the temporary folder can be written to");
}

/// Lands what is new, builds and tests every model, and publishes all of it or nothing.
async fn build(lake: &Lakehouse) -> Result<Built> {
    Box::pin(lake.build(&BuildRequest::default(), &Unwatched)).await
}

/// Asks the newest release; says the question and the rows.
async fn ask(lake: &Lakehouse, sql: &str) -> Result<Vec<String>> {
    println!("  > {}", sql.split_whitespace().collect::<Vec<_>>().join(" "));
    let session = lake.session().await?;
    let batches = Box::pin(session.execute(sql)).await?.collect().await?;
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().expect("every type in this story can be shown");
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("  "));
        }
    }
    for row in &rows {
        println!("    {row}");
    }
    Ok(rows)
}

/// Says what a build did, a line a step.
fn tell(built: &Built) {
    for step in &built.steps {
        let hidden = matches!(step.visibility, Visibility::NotPublished { .. });
        println!(
            "  {:7}  {}{}",
            step.verdict.status(),
            step.name,
            if hidden { "  NOT PUBLISHED" } else { "" }
        );
    }
    for culprit in culprits(built) {
        println!("  the failing row is {culprit}");
    }
    match &built.release {
        Some(release) => println!("  release {}", release.number),
        None => println!("  no release"),
    }
}

/// The lines of raw files that broke a test.
fn culprits(built: &Built) -> Vec<String> {
    let failed = built.steps.iter().filter_map(|step| match &step.verdict {
        Verdict::Failed(sample) => Some(&sample.origins),
        _ => None,
    });
    failed.flatten().map(|origin| format!("{}:{}", origin.file, origin.line)).collect()
}

/// The door through which time and chance come in. A test would put in a clock that it moves.
fn world() -> World {
    World {
        clock: Arc::new(WallClock),
        ids: Arc::new(RandomIds),
        env: Arc::new(BTreeMap::new()),
        user: "barista".to_owned(),
        host: "bar".to_owned(),
        pid: std::process::id(),
    }
}

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "here the real time comes in")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "here chance comes in")]
    fn next(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}
