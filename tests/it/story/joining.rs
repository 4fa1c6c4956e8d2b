//! Tables are joined in whichever order costs least, and what is asked is answered.

use std::collections::{BTreeMap, BTreeSet};

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

/// Rows of however many columns.
type Rows = Vec<Vec<Option<i64>>>;

/// What stands in FROM, how its columns are called there, and its rows.
struct Given {
    from: String,
    columns: Vec<String>,
    rows: Rows,
}

/// The most rows that a step of a question may give.
const MOST_ROWS: usize = 20_000;

/// Which columns of two sides are equal, and which of the one are less than one of the other.
struct On {
    equal: (usize, usize),
    less: Option<(usize, usize)>,
}

impl On {
    fn by_chance(left: &Given, right: &Given, chance: &mut Chance) -> Self {
        let mut pair = || (chance.below(left.columns.len()), chance.below(right.columns.len()));
        let (equal, less) = (pair(), pair());
        Self { equal, less: (chance.below(4) == 0).then_some(less) }
    }

    fn text(&self, left: &Given, right: &Given) -> String {
        let said = |(one, other): (usize, usize), how: &str| {
            format!("{} {how} {}", left.columns[one], right.columns[other])
        };
        let less = self.less.map(|pair| format!(" and {}", said(pair, "<"))).unwrap_or_default();
        said(self.equal, "=") + &less
    }

    /// The rows that belong together; nothing if they are too many.
    fn pairs(&self, left: &Given, right: &Given) -> Option<Vec<(usize, usize)>> {
        let mut places: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, row) in right.rows.iter().enumerate() {
            if let Some(key) = row[self.equal.1] {
                places.entry(key).or_default().push(at);
            }
        }
        let mut pairs = Vec::new();
        for (at, row) in left.rows.iter().enumerate() {
            let Some(others) = row[self.equal.0].and_then(|key| places.get(&key)) else { continue };
            let holds = |other: &&usize| {
                self.less.is_none_or(|(less, more)| {
                    matches!((row[less], right.rows[**other][more]), (Some(less), Some(more)) if less < more)
                })
            };
            pairs.extend(others.iter().filter(holds).map(|other| (at, *other)));
            if pairs.len() > MOST_ROWS {
                return None;
            }
        }
        Some(pairs)
    }
}

/// Makes questions of joins within joins.
struct Asking<'a> {
    chance: &'a mut Chance,
    tables: &'a [(&'static str, Rows)],
    named: usize,
}

impl Asking<'_> {
    fn name(&mut self, what: &str) -> String {
        self.named += 1;
        format!("{what}{}", self.named)
    }

    fn table(&mut self) -> Given {
        let (table, rows) = &self.tables[self.chance.below(self.tables.len())];
        let name = self.name("a");
        let columns = ["id", "num", "val"].map(|column| format!("{name}.{column}")).to_vec();
        Given { from: format!("{table} {name}"), columns, rows: rows.clone() }
    }

    /// Something to select from; nothing if it would have too many rows.
    fn given(&mut self, depth: usize) -> Option<Given> {
        if depth == 0 {
            return Some(self.table());
        }
        let left = self.given(depth - 1)?;
        match self.chance.below(10) {
            0 => self.grouped(&left),
            1 => Some(self.some_of(&left)),
            at @ 2..5 => {
                let right_depth = self.chance.below(depth);
                let right = self.given(right_depth)?;
                self.whose_partner(&left, &right, at)
            }
            _ => {
                let right_depth = self.chance.below(depth);
                let right = self.given(right_depth)?;
                self.joined(left, &right)
            }
        }
    }

    fn joined(&mut self, left: Given, right: &Given) -> Option<Given> {
        let on = On::by_chance(&left, right, self.chance);
        let pairs = on.pairs(&left, right)?;
        let kind = ["", "left ", "right ", "full "][self.chance.below(4)];
        let mut rows: Rows = Vec::new();
        let nulls = |count: usize| vec![None; count];
        for (one, other) in &pairs {
            rows.push([left.rows[*one].as_slice(), &right.rows[*other]].concat());
        }
        if ["left ", "full "].contains(&kind) {
            let found: BTreeSet<usize> = pairs.iter().map(|pair| pair.0).collect();
            let alone = (0..left.rows.len()).filter(|at| !found.contains(at));
            rows.extend(alone.map(|at| [left.rows[at].clone(), nulls(right.columns.len())].concat()));
        }
        if ["right ", "full "].contains(&kind) {
            let found: BTreeSet<usize> = pairs.iter().map(|pair| pair.1).collect();
            let alone = (0..right.rows.len()).filter(|at| !found.contains(at));
            rows.extend(alone.map(|at| [nulls(left.columns.len()), right.rows[at].clone()].concat()));
        }
        let from = format!("({} {kind}join {} on {})", left.from, right.from, on.text(&left, right));
        let columns = left.columns.into_iter().chain(right.columns.iter().cloned()).collect();
        (rows.len() <= MOST_ROWS).then_some(Given { from, columns, rows })
    }

    /// Rows of the one side that have a partner on the other, or have none.
    fn whose_partner(&mut self, left: &Given, right: &Given, how: usize) -> Option<Given> {
        let mut on = On::by_chance(left, right, self.chance);
        if how == 4 {
            on.less = None;
        }
        let found: BTreeSet<usize> = on.pairs(left, right)?.into_iter().map(|pair| pair.0).collect();
        let of_right = &right.columns[on.equal.1];
        let condition = match how {
            2 => format!("exists (select 1 from {} where {})", right.from, on.text(left, right)),
            3 => format!("not exists (select 1 from {} where {})", right.from, on.text(left, right)),
            _ => format!("{} in (select {of_right} from {})", left.columns[on.equal.0], right.from),
        };
        let kept = (0..left.rows.len()).filter(|at| found.contains(at) == (how != 3));
        let rows = kept.map(|at| left.rows[at].clone()).collect();
        Some(self.selected(left, &condition, rows))
    }

    fn some_of(&mut self, left: &Given) -> Given {
        let at = self.chance.below(left.columns.len());
        let most = [100, 2000, 3900][self.chance.below(3)];
        let condition = format!("{} < {most}", left.columns[at]);
        let rows = left.rows.iter().filter(|row| row[at].is_some_and(|value| value < most));
        self.selected(left, &condition, rows.cloned().collect())
    }

    fn selected(&mut self, left: &Given, condition: &str, rows: Rows) -> Given {
        let names = self.names(left.columns.len());
        let given: Vec<String> =
            left.columns.iter().zip(&names).map(|(column, name)| format!("{column} as {name}")).collect();
        let name = self.name("s");
        let from = format!("(select {} from {} where {condition}) {name}", given.join(", "), left.from);
        Given { from, columns: names.iter().map(|column| format!("{name}.{column}")).collect(), rows }
    }

    fn grouped(&mut self, left: &Given) -> Option<Given> {
        let by = [self.chance.below(left.columns.len()), self.chance.below(left.columns.len())];
        if by[0] == by[1] {
            return None;
        }
        let mut groups: BTreeMap<[Option<i64>; 2], i64> = BTreeMap::new();
        for row in &left.rows {
            *groups.entry(by.map(|at| row[at])).or_default() += 1;
        }
        let (columns, names) = (by.map(|at| left.columns[at].clone()), self.names(2));
        let name = self.name("g");
        let from = format!(
            "(select {} as {}, {} as {}, count(*) as n from {} group by {}) {name}",
            columns[0],
            names[0],
            columns[1],
            names[1],
            left.from,
            columns.join(", ")
        );
        let columns = names.iter().map(String::as_str).chain(["n"]);
        let columns = columns.map(|column| format!("{name}.{column}")).collect();
        let rows = groups.into_iter().map(|(by, count)| vec![by[0], by[1], Some(count)]).collect();
        Some(Given { from, columns, rows })
    }

    /// Names of columns, of which some are those of the tables.
    fn names(&mut self, count: usize) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for at in 0..count {
            let name = ["id", "num", "val"][self.chance.below(3)];
            let is_free = !names.iter().any(|known| known == name);
            names.push(if is_free { name.to_owned() } else { format!("x{at}") });
        }
        names
    }
}

#[tokio::test]
async fn outer_joins_and_exists_within_one_another_give_the_rows_that_were_asked_for() {
    let lake = TestLake::new();
    let mut chance = Chance(5);
    let mut tables: Vec<(&str, Rows)> = Vec::new();
    // Of every table several files, which say of their columns what is in them.
    for (name, size) in [("most", 4000), ("many", 1200), ("some", 300), ("hardly", 40)] {
        lake.sql(&format!("create table {name} (id bigint, num bigint, val bigint)")).await;
        let rows: Rows = (0..size)
            .map(|at| {
                let key = i64::try_from(chance.below(220)).ok().filter(|key| *key < 200);
                vec![Some(at * 4000 / size), key, Some(size - at)]
            })
            .collect();
        for part in rows.chunks(rows.len() / 4) {
            let text = |cell: &Option<i64>| cell.map_or("null".to_owned(), |cell| cell.to_string());
            let row =
                |row: &Vec<Option<i64>>| format!("({})", row.iter().map(text).collect::<Vec<_>>().join(", "));
            let values = part.iter().map(row).collect::<Vec<_>>().join(", ");
            lake.sql(&format!("insert into {name} values {values}")).await;
        }
        tables.push((name, rows));
    }
    let few = [3, 17, 60, 150, 199, 240, 1000, 1600, 2400, 3960];
    let values = few.map(|id| format!("({id})")).join(", ");
    lake.sql(&format!("create table few as select column1 as id from (values {values})")).await;
    let (mut asked, mut given) = (0, 0);
    while asked < 300 {
        let mut asking = Asking { chance: &mut chance, tables: &tables, named: 0 };
        let depth = 1 + asking.chance.below(3);
        let Some(of) = asking.given(depth) else { continue };
        let is_found = |row: &&Vec<Option<i64>>, at: usize| row[at].is_some_and(|value| few.contains(&value));
        let found = |at: &usize| of.rows.iter().any(|row| is_found(&row, *at));
        let found: Vec<usize> = (0..of.columns.len()).filter(found).collect();
        if found.is_empty() {
            continue;
        }
        let by = found[chance.below(found.len())];
        let rows: Vec<_> = of.rows.iter().filter(|row| is_found(row, by)).collect();
        let sums = of.columns.iter().enumerate();
        let sums: Vec<String> =
            sums.map(|(at, column)| format!("coalesce({column}, 7) * {}", at + 1)).collect();
        let (from, by, sums) = (of.from, &of.columns[by], sums.join(" + "));
        let asks = format!("select count(*), coalesce(sum({sums}), 0) from");
        let sql = match chance.below(3) {
            0 => format!("{asks} {from} where {by} in (select id from few)"),
            1 => format!("{asks} {from} where exists (select 1 from few where id = {by})"),
            _ => format!("{asks} few join {from} on few.id = {by}"),
        };
        let cells = rows.iter().flat_map(|row| row.iter().zip(1..));
        let sum: i64 = cells.map(|(cell, times)| cell.unwrap_or(7) * times).sum();
        assert_eq!(lake.rows(&sql).await, format!("{} {sum}", rows.len()), "{sql}");
        asked += 1;
        given += rows.len();
    }
    assert!(given > 2_000, "joins that find hardly anything say little: {given}");
}

/// What a join tells its other side of its keys is for one column, and not for the first one of its name.
#[tokio::test]
async fn what_is_asked_of_a_column_is_not_asked_of_its_namesake() {
    let lake = TestLake::new();
    lake.sql("create table t as select range as id, range % 100 as u_id, range as val from range(30000)")
        .await;
    lake.sql("create table u as select 30000 - range as id, range as key from range(100)").await;
    lake.sql("create table w as select range as id from range(2000)").await;
    lake.sql("create table s as select 30000 - range as id, range as tid from range(30000)").await;
    lake.sql("create table v as select range as id from range(5)").await;
    for (sql, rows) in [
        (
            "select count(*), count(distinct x.t_id) from v join (select t.id as t_id, u.id as u_id from t join u on t.u_id = u.key left join w on w.id = t.val) x on v.id + 29901 = x.u_id",
            "1500 1500",
        ),
        (
            "select count(*), sum(x.n) from v join (select t.id as t_id, u.id as u_id, count(*) as n from t join u on t.u_id = u.key group by t.id, u.id) x on v.id + 29901 = x.u_id",
            "1500 1500",
        ),
        (
            "select count(*), sum(x.id) from v join (select * from t where exists (select 1 from s where s.tid = t.id and s.id <> t.val)) x on v.id = x.id",
            "5 10",
        ),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn sparse_keys_are_looked_up_in_an_array_where_there_is_room() {
    let lake = TestLake::new();
    lake.sql("create table big as select range as id, range % 1000 as v from range(200000)").await;
    lake.sql("create table some as select range * 100 as id, 's' || range as name from range(2000)").await;
    let sql = "select count(*), min(name), sum(v) from big join some using (id)";
    assert_eq!(lake.rows(sql).await, "2000 s0 900000");
    let plan = lake.rows(&format!("explain verbose {sql}")).await;
    assert!(plan.contains("RoomExec: an array of 799604 bytes for all keys"), "{plan}");
    // Within memory for little else, and with keys from one end of the numbers to the other.
    lake.sql("create table far as select unnest([-9223372036854775808, 0, 9223372036854775807]) as id").await;
    assert_eq!(lake.rows("select count(*), max(v) from big join far using (id)").await, "1 0");
    lake.sql("create table none as select id from some where id < 0").await;
    assert_eq!(lake.rows("select count(*) from big join none using (id)").await, "0");
}
