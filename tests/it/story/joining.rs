//! Tables are joined in whichever order costs least, and what is asked is answered.

use crate::test_lake::TestLake;

/// The tables that a plan scans, from its first line to its last: of a join what is kept comes first.
async fn scanned(lake: &TestLake, sql: &str) -> Vec<String> {
    let plan = lake.rows(&format!("explain {sql}")).await;
    let scans = plan.split("Scan main.").skip(1);
    scans.map(|scan| scan.split([' ', '\n']).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_leaves_few_rows_is_joined_first() {
    let lake = TestLake::new();
    lake.sql("create table sale as select range as id, range % 5000 as buyer, range % 300 as thing from range(100000)").await;
    lake.sql("create table buyer as select range as id, range % 25 as land, 'buyer ' || range as name from range(5000)").await;
    lake.sql(
        "create table land as select range as id, range % 5 as part, 'land ' || range as name from range(25)",
    )
    .await;
    lake.sql("create table part as select range as id, 'part ' || range as name from range(5)").await;
    lake.sql("create table thing as select range as id, range % 25 as land from range(300)").await;
    for (sql, order, rows) in [
        // Written from the most rows to the fewest.
        (
            "select count(*), min(s.id) from sale s join buyer b on s.buyer = b.id join land l on b.land = l.id join part p on l.part = p.id where p.name = 'part 2'",
            ["part", "land", "buyer", "sale"].as_slice(),
            "20000 2",
        ),
        // The side that is kept is the one of which a condition leaves few rows, whichever is written first.
        (
            "select count(*) from buyer b, sale s where s.buyer = b.id and s.id < 100 and s.thing in (1, 2)",
            &["sale", "buyer"],
            "2",
        ),
        ("select count(*) from sale s, buyer b where s.buyer = b.id and b.id < 5", &["buyer", "sale"], "100"),
        // Keys that are equal through a third are equal: buyers are joined with the land, of which only things are told.
        (
            "select count(*) from sale s join buyer b on s.buyer = b.id join thing t on s.thing = t.id and t.land = b.land join land l on l.id = t.land where l.name = 'land 3'",
            &["thing", "land", "buyer", "sale"],
            "4000",
        ),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
        assert_eq!(scanned(&lake, sql).await, order, "{sql}");
    }
}

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

type Row = [Option<i64>; 3];

/// Two columns, by table and place, and whether one is to be less than the other rather than equal to it.
type Asked = ((usize, usize), (usize, usize), bool);

/// All rows of all tables side by side of which everything holds.
fn joined(tables: &[Vec<Row>], asked: &[Asked]) -> Vec<Vec<Row>> {
    let mut rows: Vec<Vec<Row>> = vec![Vec::new()];
    for table in tables {
        let mut more = Vec::new();
        for row in &rows {
            for other in table {
                let side: Vec<Row> = row.iter().copied().chain([*other]).collect();
                let holds = asked.iter().all(|((a, x), (b, y), less)| {
                    let (Some(a), Some(b)) = (side.get(*a), side.get(*b)) else { return true };
                    match (a[*x], b[*y]) {
                        (Some(one), Some(other)) if *less => one < other,
                        (Some(one), Some(other)) => one == other,
                        _ => false,
                    }
                });
                if holds {
                    more.push(side);
                }
            }
        }
        rows = more;
    }
    rows
}

#[tokio::test]
async fn joins_in_any_order_give_the_rows_that_were_asked_for() {
    let lake = TestLake::new();
    let mut chance = Chance(11);
    let sizes = [0, 1, 7, 40, 60, 90];
    let mut tables: Vec<Vec<Row>> = Vec::new();
    for (at, size) in sizes.into_iter().enumerate() {
        let mut cell = |most: usize| match chance.below(12) {
            0 => None,
            _ => i64::try_from(chance.below(most)).ok(),
        };
        let rows: Vec<Row> = (0..size).map(|_| [cell(25), cell(6), cell(3)]).collect();
        lake.sql(&format!("create table t{at} (c0 bigint, c1 bigint, c2 bigint)")).await;
        let text = |row: &Row| {
            let cells = row.iter().map(|cell| cell.map_or("null".to_owned(), |cell| cell.to_string()));
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        };
        if size > 0 {
            let rows: Vec<String> = rows.iter().map(text).collect();
            lake.sql(&format!("insert into t{at} values {}", rows.join(", "))).await;
        }
        tables.push(rows);
    }
    let mut given = 0;
    for _ in 0..150 {
        let count = 2 + chance.below(4);
        let chosen: Vec<usize> =
            (0..count).map(|_| [0, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5][chance.below(12)]).collect();
        let mut asked: Vec<Asked> = Vec::new();
        for at in 1..count {
            asked.push(((chance.below(at), chance.below(3)), (at, chance.below(3)), false));
        }
        for _ in 0..chance.below(3) {
            let (one, other) = (chance.below(count), chance.below(count));
            asked.push(((one, chance.below(3)), (other, chance.below(3)), chance.below(2) == 0));
        }
        let of: Vec<Vec<Row>> = chosen.iter().map(|at| tables[*at].clone()).collect();
        let rows = joined(&of, &asked);
        let from: Vec<String> =
            chosen.iter().enumerate().map(|(at, table)| format!("t{table} a{at}")).collect();
        let conditions = asked
            .iter()
            .map(|((a, x), (b, y), less)| format!("a{a}.c{x} {} a{b}.c{y}", if *less { "<" } else { "=" }));
        let conditions: Vec<String> = conditions.collect();
        let last = count - 1;
        let sql = format!(
            "select count(*), coalesce(sum(a0.c0), 0), coalesce(sum(a{last}.c2 * 7 + a0.c1), 0) from {} where {}",
            from.join(", "),
            conditions.join(" and ")
        );
        let first: i64 = rows.iter().filter_map(|row| row[0][0]).sum();
        let both = rows.iter().filter_map(|row| Some(row[last][2]? * 7 + row[0][1]?));
        let expected = format!("{} {first} {}", rows.len(), both.sum::<i64>());
        assert_eq!(lake.rows(&sql).await, expected, "{sql}");
        given += rows.len();
    }
    assert!(given > 10_000, "joins that find hardly anything say little: {given}");
}

#[tokio::test]
async fn of_very_many_tables_the_cheapest_two_are_joined_and_again() {
    let lake = TestLake::new();
    lake.sql(
        "create table step as select range as id, range + 1 as next, range % 10 as part from range(1000)",
    )
    .await;
    lake.sql("create table start as select 7 as id").await;
    let tables = (0..14).map(|at| format!("step s{at}")).collect::<Vec<_>>().join(", ");
    let links = (1..14).map(|at| format!("s{}.next = s{at}.id", at - 1)).collect::<Vec<_>>().join(" and ");
    let sql = format!(
        "select s13.next, s0.part, s13.part from {tables}, start where {links} and s0.id = start.id and s3.part < s5.id"
    );
    assert_eq!(lake.rows(&sql).await, "21 7 0");
    let scans = scanned(&lake, &sql).await;
    assert_eq!(scans.len(), 15, "{scans:?}");
    // Nobody joins all steps with all steps while one of them is known.
    assert_eq!(lake.rows(&format!("select count(*) from {tables} where {links}")).await, "987");
}
