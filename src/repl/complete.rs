//! What could follow here?
//!
//! After `from`, tables; after `alias.`, the columns of what the alias stands for; inside quotes after `from`, files;
//! elsewhere the columns of the tables that the statement reads, then functions, then keywords. Names come from
//! [`Known`]: nothing is asked of the lake while somebody types.

use std::path::Path;

use super::known::{Known, KnownTable};
use super::scan::{Bit, Kind, scan};

/// The words of SQL, as they are offered.
pub(super) const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "create",
    "cross",
    "date",
    "delete",
    "desc",
    "describe",
    "distinct",
    "else",
    "end",
    "except",
    "exclude",
    "exists",
    "explain",
    "explain analyze",
    "false",
    "filter",
    "from",
    "full",
    "group by",
    "having",
    "history",
    "in",
    "inner",
    "insert into",
    "intersect",
    "interval",
    "is",
    "join",
    "lateral",
    "left",
    "like",
    "limit",
    "merge into",
    "not",
    "null",
    "nulls first",
    "nulls last",
    "offset",
    "on",
    "optimize",
    "or",
    "order by",
    "over",
    "partition by",
    "pivot",
    "qualify",
    "release",
    "rename",
    "replace",
    "right",
    "row",
    "rows",
    "select",
    "set",
    "show",
    "show releases",
    "show tables",
    "summarize",
    "table",
    "then",
    "timestamp",
    "true",
    "union",
    "union all",
    "unpivot",
    "update",
    "using",
    "values",
    "version as of",
    "when",
    "where",
    "window",
    "with",
];

/// Words after which a table is named.
const BEFORE_TABLES: &[&str] = &[
    "from",
    "join",
    "into",
    "update",
    "table",
    "describe",
    "summarize",
    "optimize",
    "history",
    "using",
    "exists",
];

/// One thing that could follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// What is shown in the list.
    pub(super) shown: String,
    /// What is put into the line.
    pub(super) text: String,
}

impl Offer {
    fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: text.clone(), text }
    }
}

/// What could stand at byte `cursor` of `line`, which may be of several lines; and from where on it would replace it.
pub(super) fn complete(
    line: &str,
    cursor: usize,
    known: &Known,
    commands: &[&str],
    formats: &[&str],
) -> (usize, Vec<Offer>) {
    let head = &line[..cursor];
    if head.starts_with(['\\', '.']) && !head.contains('\n') {
        return command(head, known, commands, formats);
    }
    let text = head;
    let rest = &line[cursor..];
    let bits = scan(text);
    let statement = match bits.iter().rposition(|bit| bit.kind == Kind::Sign && bit.text == ";") {
        Some(end) => &bits[end + 1..],
        None => &bits[..],
    };
    if let Some(last) = statement.last().filter(|bit| bit.open) {
        return match last.kind {
            Kind::Text => (last.start + 1, files(&last.text[1..])),
            _ => (cursor, Vec::new()),
        };
    }
    if statement.last().is_some_and(|bit| bit.kind == Kind::Comment) {
        return (cursor, Vec::new());
    }
    let (prefix, earlier) = match statement.split_last() {
        Some((word, earlier)) if word.kind == Kind::Word => (word.text, earlier),
        _ => ("", statement),
    };
    let start = text.len() - prefix.len();
    let tail = scan(rest);
    let read = tables_read(earlier.iter().chain(&tail).copied());
    let solid: Vec<&Bit<'_>> =
        earlier.iter().filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment)).collect();
    let offers = match solid.as_slice() {
        [.., name, dot] if dot.text == "." && dot.end() == text.len() - prefix.len() => {
            after_dot(&plain(name), &read, known)
        }
        [.., word] if BEFORE_TABLES.iter().any(|before| word.is(before)) => table_names(&read, known),
        [.., comma] if comma.text == "," && in_from(&solid) => table_names(&read, known),
        [] => STATEMENTS.iter().map(|word| Offer::plain(cased(word, prefix))).collect(),
        _ => anything(&read, prefix, known),
    };
    (start, matching(offers, prefix))
}

/// The words that statements begin with.
const STATEMENTS: &[&str] = &[
    "select",
    "with",
    "from",
    "show tables",
    "show releases",
    "describe",
    "summarize",
    "explain",
    "explain analyze",
    "insert into",
    "update",
    "delete from",
    "merge into",
    "create table",
    "set",
    "values",
];

/// A table of the statement, and the name that it is known by.
struct Read {
    table: String,
    alias: String,
}

/// The tables that a statement reads, in the order in which they are named; CTEs among them.
fn tables_read<'a>(bits: impl Iterator<Item = Bit<'a>>) -> Vec<Read> {
    let bits: Vec<Bit<'a>> = bits.filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment)).collect();
    let is_name = |bit: &Bit<'_>| matches!(bit.kind, Kind::Word | Kind::Quoted);
    let mut read = Vec::new();
    let mut at = 0;
    let mut expects = false;
    while at < bits.len() {
        let bit = &bits[at];
        let begins = ["from", "join", "into", "update"].iter().any(|word| bit.is(word));
        if begins {
            expects = true;
            at += 1;
            continue;
        }
        if expects && is_name(bit) {
            let mut table = plain(bit);
            at += 1;
            while let [dot, name, ..] = &bits[at..]
                && dot.text == "."
                && is_name(name)
            {
                table = format!("{table}.{}", plain(name));
                at += 2;
            }
            if bits.get(at).is_some_and(|bit| bit.is("as")) {
                at += 1;
            }
            let alias = bits.get(at).filter(|bit| is_name(bit) && !is_keyword(bit.text)).map(plain);
            let own = table.rsplit('.').next().unwrap_or_default().to_owned();
            read.push(Read { table, alias: alias.unwrap_or(own) });
            expects = false;
            continue;
        }
        // `from a, b`: a comma goes on with tables until the next clause.
        expects = bit.text == "," && in_from(&bits[..at].iter().collect::<Vec<_>>());
        at += 1;
    }
    read
}

/// Whether the last clause that began is a `from`.
fn in_from(bits: &[&Bit<'_>]) -> bool {
    let clauses = [
        "from", "join", "on", "using", "where", "select", "group", "order", "having", "set", "by", "qualify",
    ];
    let last = bits.iter().rev().find(|bit| clauses.iter().any(|clause| bit.is(clause)));
    last.is_some_and(|bit| bit.is("from"))
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|known| known.split(' ').any(|part| part.eq_ignore_ascii_case(word)))
}

/// A name as the lake knows it: without quotes, or in lower case.
fn plain(bit: &Bit<'_>) -> String {
    match bit.kind {
        Kind::Quoted => bit.text.trim_matches('"').replace("\"\"", "\""),
        _ => bit.text.to_lowercase(),
    }
}

fn find<'a>(name: &str, known: &'a Known) -> Option<&'a KnownTable> {
    match name.split_once('.') {
        Some((schema, table)) => {
            known.tables.iter().find(|known| known.schema == schema && known.name == table)
        }
        None => known.tables.iter().find(|table| table.schema == known.default_schema && table.name == name),
    }
}

/// Columns of what the name stands for, or the tables of a schema.
fn after_dot(name: &str, read: &[Read], known: &Known) -> Vec<Offer> {
    let table = read.iter().find(|read| read.alias == name).map_or(name, |read| read.table.as_str());
    let mut offers: Vec<Offer> = find(table, known).map(columns).unwrap_or_default();
    let tables = known.tables.iter().filter(|table| table.schema == name);
    offers.extend(tables.map(|table| Offer::plain(quoted(&table.name))));
    offers
}

fn columns(table: &KnownTable) -> Vec<Offer> {
    let offer = |(name, data_type): &(String, String)| Offer {
        shown: format!("{name}  {data_type}"),
        text: quoted(name),
    };
    table.columns.iter().map(offer).collect()
}

fn table_names(_read: &[Read], known: &Known) -> Vec<Offer> {
    let mut names: Vec<String> = known
        .tables
        .iter()
        .map(|table| match table.schema == known.default_schema {
            true => quoted(&table.name),
            false => format!("{}.{}", quoted(&table.schema), quoted(&table.name)),
        })
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(Offer::plain).collect()
}

fn anything(read: &[Read], prefix: &str, known: &Known) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for read in read {
        let columns = find(&read.table, known).map(columns).unwrap_or_default();
        let new = |offer: &Offer| !offers.iter().any(|known| known.text == offer.text);
        let columns: Vec<Offer> = columns.into_iter().filter(new).collect();
        offers.extend(columns);
    }
    offers.extend(read.iter().map(|read| Offer::plain(quoted(&read.alias))));
    if !prefix.is_empty() {
        let function = |name: &String| Offer { shown: format!("{name}()"), text: format!("{name}(") };
        offers.extend(known.functions.iter().map(function));
    }
    if !prefix.is_empty() || offers.is_empty() {
        offers.extend(KEYWORDS.iter().map(|word| Offer::plain(cased(word, prefix))));
    }
    offers
}

/// Those that begin as the word does; each once.
fn matching(offers: Vec<Offer>, prefix: &str) -> Vec<Offer> {
    let wanted = prefix.to_lowercase();
    let mut seen = std::collections::HashSet::new();
    let begins = |offer: &Offer| offer.text.trim_start_matches('"').to_lowercase().starts_with(&wanted);
    offers.into_iter().filter(|offer| begins(offer) && seen.insert(offer.text.clone())).collect()
}

/// In capitals, if the word was begun so.
fn cased(word: &str, prefix: &str) -> String {
    let is_upper = !prefix.is_empty() && !prefix.chars().any(char::is_lowercase);
    if is_upper { word.to_uppercase() } else { word.to_owned() }
}

/// A name as it has to be written.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if plain && begins { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A command's name, or its argument.
fn command(head: &str, known: &Known, commands: &[&str], formats: &[&str]) -> (usize, Vec<Offer>) {
    let Some((name, argument)) = head.split_once(char::is_whitespace) else {
        let begun = head.to_lowercase();
        let names = commands.iter().filter(|name| name.starts_with(&begun));
        return (0, names.map(|name| Offer::plain(*name)).collect());
    };
    let start = head.len() - argument.trim_start().len();
    let argument = argument.trim_start();
    match name {
        "\\i" | ".read" | "\\o" | ".output" | "\\e" | ".edit" => (start, files(argument)),
        "\\format" | ".mode" => {
            let formats = formats.iter().filter(|format| format.starts_with(argument));
            (start, formats.map(|format| Offer::plain(*format)).collect())
        }
        "\\d" | "\\d+" | ".schema" | "\\history" => (start, matching(table_names(&[], known), argument)),
        _ => (head.len(), Vec::new()),
    }
}

/// Files and folders that begin as a path does.
fn files(path: &str) -> Vec<Offer> {
    let (folder, begun) = match path.rfind('/') {
        Some(slash) => (&path[..=slash], &path[slash + 1..]),
        None => ("", path),
    };
    let place = if folder.is_empty() { Path::new(".") } else { Path::new(folder) };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut offers: Vec<Offer> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_offered = name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.'));
            let end = if entry.path().is_dir() { "/" } else { "" };
            is_offered.then(|| Offer { shown: format!("{name}{end}"), text: format!("{folder}{name}{end}") })
        })
        .collect();
    offers.sort_by(|a, b| a.text.cmp(&b.text));
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Known {
        let table = |schema: &str, name: &str, columns: &[&str]| KnownTable {
            schema: schema.into(),
            name: name.into(),
            columns: columns.iter().map(|name| ((*name).to_owned(), "int".to_owned())).collect(),
        };
        Known {
            release: None,
            default_schema: "main".into(),
            tables: vec![
                table("main", "customers", &["id", "name", "City"]),
                table("main", "orders", &["id", "amount", "ordered_at"]),
                table("raw", "orders", &["id", "_row_number"]),
            ],
            functions: ["avg", "abs", "count", "sum"].map(str::to_owned).to_vec(),
        }
    }

    /// What is offered at `|`, and what the line would become with the first of it.
    fn offered(line: &str) -> Vec<String> {
        let (head, tail) = line.split_once('|').unwrap();
        let whole = format!("{head}{tail}");
        let (_, offers) =
            complete(&whole, head.len(), &shop(), &["\\d", "\\dt", "\\format"], &["csv", "json"]);
        offers.into_iter().map(|offer| offer.text).collect()
    }

    #[test]
    fn tables_follow_from_and_columns_follow_an_alias() {
        assert_eq!(offered("select * from c|"), ["customers"]);
        assert_eq!(offered("select * from |"), ["customers", "orders", "raw.orders"]);
        assert_eq!(offered("select * from raw.|"), ["orders"]);
        assert_eq!(offered("select o.| from orders o"), ["id", "amount", "ordered_at"]);
        assert_eq!(offered("select o.or| from main.orders as o"), ["ordered_at"]);
        assert_eq!(offered("select r._| from raw.orders r"), ["_row_number"]);
        assert_eq!(offered("select c.c| from orders o join customers c on true"), ["\"City\""]);
        assert_eq!(offered("select * from customers, o|"), ["orders"]);
        assert_eq!(offered("update or|"), ["orders"]);
        assert_eq!(offered("from orders o where o.am|"), ["amount"]);
    }

    #[test]
    fn elsewhere_columns_come_before_functions_and_keywords() {
        assert_eq!(offered("select am| from orders"), ["amount"]);
        assert_eq!(offered("select a| from orders")[..3], ["amount", "avg(", "abs("]);
        assert_eq!(offered("SELECT * FROM orders WH|"), ["WHEN", "WHERE"]);
        assert_eq!(offered("select 1; sel|"), ["select"]);
        assert_eq!(offered("select nam| from (select * from customers)"), ["name"]);
        assert!(offered("select 'it|").is_empty(), "there is no such file");
        assert!(offered("select 1 -- from |").is_empty());
    }

    #[test]
    fn commands_and_their_arguments_are_offered() {
        assert_eq!(offered("\\d|"), ["\\d", "\\dt"]);
        assert_eq!(offered("\\d o|"), ["orders"]);
        assert_eq!(offered("\\format j|"), ["json"]);
        assert_eq!(offered("\\i src/repl/compl|"), ["src/repl/complete.rs"]);
        assert_eq!(offered("select * from 'src/repl/kn|"), ["src/repl/known.rs"]);
    }

    #[test]
    fn earlier_lines_count() {
        let (start, offers) = complete("select *\nfrom orders o\nwhere o.am", 33, &shop(), &[], &[]);
        assert_eq!((start, offers[0].text.as_str()), (31, "amount"));
    }
}
