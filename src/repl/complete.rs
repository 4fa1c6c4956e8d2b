//! What could follow here?
//!
//! After `from`, tables; after `alias.`, the columns of what the alias stands for; inside quotes after `from`, files;
//! elsewhere the columns of the tables that the statement reads, then functions, then keywords. Names come from
//! [`Known`]: nothing is asked of the lake while somebody types, but what would be good to know is told.

use std::path::Path;

use super::known::{Known, KnownTable, Wanted};
use super::scan::{Bit, Kind, scan};
use super::sources::{Read, Source, in_from, plain, sources};

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
    "pivot",
    "unpivot",
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
    wanted: &mut Vec<Wanted>,
) -> (usize, Vec<Offer>) {
    let head = &line[..cursor];
    if head.starts_with(['\\', '.']) && !head.contains('\n') {
        return command(head, known, commands, formats, wanted);
    }
    if let Some((start, offers)) = in_setting(head, known) {
        return (start, offers);
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
            Kind::Quoted => {
                let earlier = &statement[..statement.len() - 1];
                let tail = scan(rest).into_iter().map(|bit| Bit { start: bit.start + cursor, ..bit });
                let read = sources(line, statement, earlier.iter().copied().chain(tail));
                (last.start, in_name(&read, earlier, &last.text[1..], known, wanted))
            }
            Kind::Text => (last.start + 1, in_quotes(statement, &last.text[1..], known)),
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
    let tail: Vec<Bit<'_>> =
        scan(rest).into_iter().map(|bit| Bit { start: bit.start + cursor, ..bit }).collect();
    let read = sources(line, statement, earlier.iter().chain(&tail).copied());
    let solid: Vec<&Bit<'_>> =
        earlier.iter().filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment)).collect();
    let offers = match solid.as_slice() {
        [.., name, dot] if dot.text == "." && dot.end() == text.len() - prefix.len() => {
            after_dot(&plain(name), &read, known, wanted)
        }
        solid if in_using(solid) => shared(&read, known, wanted),
        [alter, table, rest @ ..] if alter.is("alter") && table.is("table") && !rest.is_empty() => {
            in_alter(rest, &read, prefix, known, wanted)
        }
        [word] if word.is("use") => {
            let mut schemas: Vec<&str> = known.tables.iter().map(|table| table.schema.as_str()).collect();
            schemas.push(&known.default_schema);
            schemas.sort_unstable();
            schemas.into_iter().map(|schema| Offer::plain(quoted(schema))).collect()
        }
        // `pivot t on c using sum(n)` names no table after USING.
        [first, .., word] if word.is("using") && (first.is("pivot") || first.is("unpivot")) => {
            anything(&read, prefix, known, wanted)
        }
        [word] if word.is("execute") || word.is("deallocate") => {
            known.prepared.iter().map(|name| Offer::plain(quoted(name))).collect()
        }
        [.., word] if BEFORE_TABLES.iter().any(|before| word.is(before)) => table_names(&read, known),
        [.., comma] if comma.text == "," && in_from(&solid) => table_names(&read, known),
        // The table that is written to is no value.
        [first, ..] if first.is("insert") || first.is("update") => {
            let target = read.first().map(|read| quoted(&read.alias));
            let is_target = |offer: &Offer| Some(&offer.text) == target.as_ref() && offer.shown == offer.text;
            let mut offers = anything(&read, prefix, known, wanted);
            offers.retain(|offer| !is_target(offer));
            offers
        }
        [] => STATEMENTS.iter().map(|word| Offer::plain(cased(word, prefix))).collect(),
        _ => anything(&read, prefix, known, wanted),
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

pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|known| known.split(' ').any(|part| part.eq_ignore_ascii_case(word)))
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
fn after_dot(name: &str, read: &[Read], known: &Known, wanted: &mut Vec<Wanted>) -> Vec<Offer> {
    let own = Source::Table(name.to_owned());
    let source = read.iter().find(|read| read.alias == name).map_or(&own, |read| &read.source);
    let mut offers = columns_of(source, known, wanted);
    let tables = known.tables.iter().filter(|table| table.schema == name);
    offers.extend(tables.map(|table| Offer::plain(quoted(&table.name))));
    offers
}

/// The columns of a table or a query, as far as they are known; what is not known is wanted.
fn columns_of(source: &Source, known: &Known, wanted: &mut Vec<Wanted>) -> Vec<Offer> {
    let columns = match source {
        Source::Table(name) => {
            let Some(table) = find(name, known) else { return Vec::new() };
            if !table.is_learned && table.columns.is_empty() {
                wanted.push(Wanted::Table { schema: table.schema.clone(), name: table.name.clone() });
            }
            &table.columns
        }
        Source::Query(sql) => match known.queries.get(sql) {
            Some(columns) => columns,
            None => {
                wanted.push(Wanted::Query(sql.clone()));
                return Vec::new();
            }
        },
    };
    let offer = |(name, data_type): &(String, String)| Offer {
        shown: format!("{name}  {data_type}"),
        text: quoted(name),
    };
    columns.iter().map(offer).collect()
}

/// Whether a column of `USING (…)` is to be written.
fn in_using(solid: &[&Bit<'_>]) -> bool {
    let open = solid.iter().rposition(|bit| bit.text == "(" || bit.text == ")");
    open.is_some_and(|at| solid[at].text == "(" && at > 0 && solid[at - 1].is("using"))
}

/// The columns that all tables read have.
fn shared(read: &[Read], known: &Known, wanted: &mut Vec<Wanted>) -> Vec<Offer> {
    let mut all =
        read.iter().map(|read| columns_of(&read.source, known, wanted)).collect::<Vec<_>>().into_iter();
    let first = all.next().unwrap_or_default();
    all.fold(first, |kept, next| {
        kept.into_iter().filter(|offer| next.iter().any(|other| other.text == offer.text)).collect()
    })
}

/// What can follow `SET`, `RESET` and `SHOW`: a setting, and then its value; and from where on it stands.
fn in_setting(head: &str, known: &Known) -> Option<(usize, Vec<Offer>)> {
    let (first, typed) = head.trim_start().split_once(char::is_whitespace)?;
    if !["set", "reset", "show"].iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return None;
    }
    let typed = typed.trim_start();
    let Some((name, value)) = typed.split_once(|c: char| c.is_whitespace() || c == '=') else {
        return Some((head.len() - typed.len(), matching(settings(first, known), typed)));
    };
    if !first.eq_ignore_ascii_case("set") {
        return None;
    }
    let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let value = value.strip_prefix("to ").or_else(|| value.strip_prefix("TO ")).unwrap_or(value).trim_start();
    let name = match name.eq_ignore_ascii_case("time") && value.to_lowercase().starts_with("zone ") {
        true => "timezone",
        false => name,
    };
    let value =
        value.get(..5).filter(|zone| zone.eq_ignore_ascii_case("zone ")).map_or(value, |_| &value[5..]);
    let (_, values) = known.values.iter().find(|(setting, _)| setting.eq_ignore_ascii_case(name))?;
    let fits = |offer: &&&str| {
        let text = offer.trim_start_matches('\'').to_lowercase();
        text.starts_with(&value.trim_start_matches('\'').to_lowercase())
    };
    let offers = values.iter().filter(fits).map(|text| Offer::plain(*text)).collect();
    Some((head.len() - value.len(), offers))
}

/// What can follow in `ALTER TABLE t …`.
fn in_alter(
    rest: &[&Bit<'_>],
    read: &[Read],
    prefix: &str,
    known: &Known,
    wanted: &mut Vec<Wanted>,
) -> Vec<Offer> {
    const WHAT: [&str; 10] = [
        "add column",
        "add constraint",
        "alter column",
        "cluster by",
        "drop column",
        "drop constraint",
        "rename column",
        "rename to",
        "set tblproperties",
        "unset tblproperties",
    ];
    let said: Vec<String> = rest.iter().map(|bit| bit.text.to_lowercase()).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let columns = |wanted: &mut Vec<Wanted>| {
        read.first().map(|read| columns_of(&read.source, known, wanted)).unwrap_or_default()
    };
    match said[..] {
        [.., "drop" | "rename" | "alter", "column"] | [.., "drop", "column", "if", "exists"] => {
            columns(wanted)
        }
        [.., "cluster", "by", "("] => columns(wanted),
        [.., "column", _] if said.contains(&"rename") => vec![Offer::plain("to")],
        [.., "column", _] if said.contains(&"alter") => ["type", "set not null", "drop not null", "comment"]
            .map(|word| Offer::plain(cased(word, prefix)))
            .to_vec(),
        // The table's name, and nothing yet.
        [_] | [_, ".", _] => WHAT.map(|word| Offer::plain(cased(word, prefix))).to_vec(),
        _ => anything(read, prefix, known, wanted),
    }
}

/// Inside double quotes: tables and columns, whole and with their quotes.
fn in_name(
    read: &[Read],
    earlier: &[Bit<'_>],
    begun: &str,
    known: &Known,
    wanted: &mut Vec<Wanted>,
) -> Vec<Offer> {
    let solid: Vec<&Bit<'_>> =
        earlier.iter().filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment)).collect();
    let offers = match solid.as_slice() {
        [.., name, dot] if dot.text == "." => after_dot(&plain(name), read, known, wanted),
        [.., word] if BEFORE_TABLES.iter().any(|before| word.is(before)) => {
            let own = known.tables.iter().filter(|table| table.schema == known.default_schema);
            let mut names: Vec<Offer> = own.map(|table| Offer::plain(table.name.as_str())).collect();
            names.extend(known.tables.iter().map(|table| Offer::plain(table.schema.as_str())));
            names
        }
        _ => read.iter().flat_map(|read| columns_of(&read.source, known, wanted)).collect(),
    };
    let whole = |offer: Offer| {
        let name = match offer.text.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(name) => name.to_owned(),
            None => offer.text.replace('"', "\"\""),
        };
        Offer { shown: offer.shown, text: format!("\"{name}\"") }
    };
    let mut seen = std::collections::HashSet::new();
    let offers = offers.into_iter().map(whole);
    offers.filter(|offer| offer.text[1..].starts_with(begun) && seen.insert(offer.text.clone())).collect()
}

/// What can be set, or shown.
fn settings(word: &str, known: &Known) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    if word.eq_ignore_ascii_case("show") {
        offers.extend(["tables", "releases", "views", "schemas", "functions", "all"].map(Offer::plain));
    } else {
        offers.extend(["variable", "time zone"].map(Offer::plain));
    }
    offers.extend(known.settings.iter().map(Offer::plain));
    offers
}

/// Inside quotes: the model of a `ref(`, the source of a `source(`, or a file.
fn in_quotes(statement: &[Bit<'_>], begun: &str, known: &Known) -> Vec<Offer> {
    let solid: Vec<&Bit<'_>> =
        statement.iter().filter(|bit| !matches!(bit.kind, Kind::Space | Kind::Comment)).collect();
    let models = |fits: &dyn Fn(&KnownTable) -> Option<String>| {
        let mut names: Vec<String> = known.tables.iter().filter_map(fits).collect();
        names.sort();
        names.dedup();
        names.into_iter().filter(|name| name.starts_with(begun)).map(Offer::plain).collect::<Vec<_>>()
    };
    match solid.as_slice() {
        [.., function, open, _] if open.text == "(" && function.is("ref") => {
            models(&|table| (table.schema == known.default_schema).then(|| table.name.clone()))
        }
        [.., function, open, _] if open.text == "(" && function.is("source") => {
            models(&|table| (table.schema != known.default_schema).then(|| table.schema.clone()))
        }
        [.., function, open, schema, comma, _]
            if comma.text == "," && open.text == "(" && function.is("source") =>
        {
            let schema = schema.text.trim_matches('\'');
            models(&|table| (table.schema == schema).then(|| table.name.clone()))
        }
        _ => files(begun),
    }
}

fn table_names(read: &[Read], known: &Known) -> Vec<Offer> {
    let ctes = read.iter().filter(|read| read.is_cte).map(|read| quoted(&read.alias));
    let mut names: Vec<String> = known
        .tables
        .iter()
        .map(|table| match table.schema == known.default_schema {
            true => quoted(&table.name),
            false => format!("{}.{}", quoted(&table.schema), quoted(&table.name)),
        })
        .chain(ctes)
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(Offer::plain).collect()
}

fn anything(read: &[Read], prefix: &str, known: &Known, wanted: &mut Vec<Wanted>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    // Queries that a WITH names count as long as nothing else is read.
    let reads_any = read.iter().any(|read| !read.is_cte);
    for read in read.iter().filter(|read| !(read.is_cte && reads_any)) {
        let columns = columns_of(&read.source, known, wanted);
        let new = |offer: &Offer| !offers.iter().any(|known| known.text == offer.text);
        let columns: Vec<Offer> = columns.into_iter().filter(new).collect();
        offers.extend(columns);
    }
    offers.extend(read.iter().filter(|read| !read.is_cte).map(|read| Offer::plain(quoted(&read.alias))));
    // What is not known yet may begin so too.
    if !prefix.is_empty() && !wanted.is_empty() {
        return offers;
    }
    if !prefix.is_empty() && read.is_empty() {
        offers.extend(columns_anywhere(prefix, known));
    }
    if !prefix.is_empty() {
        let function = |name: &String| Offer { shown: format!("{name}()"), text: format!("{name}(") };
        offers.extend(known.functions.iter().map(function));
    }
    if !prefix.is_empty() || offers.is_empty() {
        offers.extend(KEYWORDS.iter().map(|word| Offer::plain(cased(word, prefix))));
    }
    offers
}

/// Columns that are offered before it is said what is read.
const ANYWHERE: usize = 40;

/// Columns of any table that begin as a word does, those of the session's own schema first.
fn columns_anywhere(prefix: &str, known: &Known) -> Vec<Offer> {
    let wanted = prefix.to_lowercase();
    let is_own = |table: &&KnownTable| table.schema == known.default_schema;
    let tables = known.tables.iter().filter(is_own).chain(known.tables.iter().filter(|table| !is_own(table)));
    let mut seen = std::collections::HashSet::new();
    let columns = tables.flat_map(|table| &table.columns);
    let fitting = columns.filter(|(name, _)| name.to_lowercase().starts_with(&wanted));
    let new = fitting.filter(|(name, _)| seen.insert(name.as_str()));
    let offer = |(name, data_type): &(String, String)| Offer {
        shown: format!("{name}  {data_type}"),
        text: quoted(name),
    };
    new.take(ANYWHERE).map(offer).collect()
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
fn command(
    head: &str,
    known: &Known,
    commands: &[&str],
    formats: &[&str],
    wanted: &mut Vec<Wanted>,
) -> (usize, Vec<Offer>) {
    let Some((name, argument)) = head.split_once(char::is_whitespace) else {
        let begun = head.to_lowercase();
        let names = commands.iter().filter(|name| name.starts_with(&begun));
        return (0, names.map(|name| Offer::plain(*name)).collect());
    };
    let start = head.len() - argument.trim_start().len();
    let argument = argument.trim_start();
    match name {
        "\\i" | ".read" | "\\o" | ".output" | ".once" | "\\e" | ".edit" | "\\w" | "\\cd" | ".cd" => {
            (start, files(argument))
        }
        "\\format" | ".mode" => {
            let formats = formats.iter().filter(|format| format.starts_with(argument));
            (start, formats.map(|format| Offer::plain(*format)).collect())
        }
        "\\lineage"
            if argument
                .rsplit_once('.')
                .is_some_and(|(table, _)| find(&table.to_lowercase(), known).is_some()) =>
        {
            let (table, _) = argument.rsplit_once('.').expect("it has a dot");
            let columns = columns_of(&Source::Table(table.to_lowercase()), known, wanted).into_iter();
            let columns =
                columns.map(|column| Offer { shown: column.shown, text: format!("{table}.{}", column.text) });
            (start, matching(columns.collect(), argument))
        }
        "\\diff" if argument.contains(char::is_whitespace) => {
            let (table, versions) = argument.split_once(char::is_whitespace).expect("it has a space");
            let begun = versions.rsplit(char::is_whitespace).next().unwrap_or_default();
            let newest = find(&table.to_lowercase(), known).and_then(|table| table.version);
            let versions = newest.into_iter().flat_map(|newest| (newest.saturating_sub(9)..=newest).rev());
            let versions = versions.map(|version| Offer::plain(version.to_string()));
            (head.len() - begun.len(), matching(versions.collect(), begun))
        }
        "\\d" | "\\d+" | ".schema" | "\\history" | "\\diff" | "\\lineage" | "\\maintain" => {
            (start, matching(table_names(&[], known), argument))
        }
        "\\h" => {
            let topics = crate::repl::sql_help::names().map(|name| Offer::plain(name.to_lowercase()));
            (start, matching(topics.collect(), argument))
        }
        "\\chart" => (start, matching(["bar", "line", "hist"].map(Offer::plain).to_vec(), argument)),
        "\\x" => (start, matching(["on", "off", "auto", "once"].map(Offer::plain).to_vec(), argument)),
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
            is_learned: true,
            version: Some(12),
        };
        Known {
            release: None,
            default_schema: "main".into(),
            tables: vec![
                table("main", "customers", &["id", "name", "City"]),
                table("main", "orders", &["id", "amount", "ordered_at"]),
                table("raw", "orders", &["id", "_row_number"]),
                table("elt", "runs", &["run_id", "started_at"]),
            ],
            values: vec![("null_order".into(), vec!["last", "first", "largest"])],
            functions: ["avg", "abs", "count", "sum"].map(str::to_owned).to_vec(),
            settings: vec!["datafusion.execution.batch_size".into()],
            prepared: vec!["by_day".into(), "totals".into()],
            queries: [
                ("with c as (select id as key from orders) select * from c", "key"),
                ("select * from (select 1 as one)", "one"),
            ]
            .map(|(sql, column)| (sql.to_owned(), vec![(column.to_owned(), "int".to_owned())]))
            .into(),
            ..Known::default()
        }
    }

    /// What is offered at `|`, and what the line would become with the first of it.
    fn offered(line: &str) -> Vec<String> {
        let (head, tail) = line.split_once('|').unwrap();
        let whole = format!("{head}{tail}");
        let (_, offers) = complete(
            &whole,
            head.len(),
            &shop(),
            &["\\d", "\\dt", "\\format"],
            &["csv", "json"],
            &mut Vec::new(),
        );
        offers.into_iter().map(|offer| offer.text).collect()
    }

    #[test]
    fn tables_follow_from_and_columns_follow_an_alias() {
        assert_eq!(offered("select * from c|"), ["customers"]);
        assert_eq!(offered("select * from |"), ["customers", "elt.runs", "orders", "raw.orders"]);
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
    fn queries_in_the_statement_have_columns_too() {
        assert_eq!(offered("with c as (select id as key from orders) select c.| from c"), ["key"]);
        assert_eq!(offered("with c as (select id as key from orders) select x.| from c as x"), ["key"]);
        assert_eq!(offered("with c as (select 1) select * from c|"), ["c", "customers"]);
        assert_eq!(offered("select s.| from (select 1 as one) s"), ["one"]);
        assert_eq!(offered("select * from orders join customers using (|"), ["id"]);
        assert_eq!(offered("set datafusion.execution.b|"), ["datafusion.execution.batch_size"]);
        assert_eq!(offered("select * from ref('cus|"), ["customers"]);
        assert_eq!(offered("select * from source('raw', 'o|"), ["orders"]);
        let mut wanted = Vec::new();
        let sql = "with d as (select 1 as a) select d. from d";
        complete(sql, 35, &shop(), &[], &[], &mut wanted);
        assert_eq!(wanted, [Wanted::Query("with d as (select 1 as a) select * from d".into())]);
    }

    #[test]
    fn where_something_is_changed_or_turned_its_columns_are_offered() {
        assert_eq!(offered("from elt.ru|"), ["runs"]);
        assert_eq!(offered("select sta| from elt.runs"), ["started_at"]);
        assert_eq!(offered("alter table orders dr|"), ["drop column", "drop constraint"]);
        assert_eq!(offered("alter table orders drop column am|"), ["amount"]);
        assert_eq!(offered("alter table raw.orders rename column _|"), ["_row_number"]);
        assert_eq!(offered("alter table orders rename column id |"), ["to"]);
        assert_eq!(offered("pivot orders on am|"), ["amount"]);
        assert_eq!(offered("pivot orders on id using sum(am|"), ["amount"]);
        assert_eq!(offered("pivot or|"), ["orders"]);
        assert_eq!(offered("unpivot orders on am|"), ["amount"]);
        assert_eq!(offered("use ra|"), ["raw"]);
    }

    #[test]
    fn what_a_with_names_and_what_is_prepared_is_offered() {
        assert_eq!(offered("execute |"), ["by_day", "totals"]);
        assert_eq!(offered("execute t|"), ["totals"]);
        let sql = "with c as (select id as key, amount from orders) select ";
        let mut wanted = Vec::new();
        let line = format!("{sql}a");
        let (_, offers) = complete(&line, line.len(), &shop(), &[], &[], &mut wanted);
        assert!(offers.iter().all(|offer| offer.text != "amount"), "{offers:?}");
        assert_eq!(
            wanted,
            [Wanted::Query("with c as (select id as key, amount from orders) select * from c".into())]
        );
        assert_eq!(offered("with c as (select id as key from orders) select k|"), ["key"]);
        assert_eq!(offered("with c as (select id as key from orders), d as (select k| from c)"), ["key"]);
        assert_eq!(offered("with c as (select id as key from orders) select na| from customers"), ["name"]);
    }

    #[test]
    fn columns_are_offered_before_it_is_said_of_which_table() {
        assert_eq!(offered("select ord|")[0], "ordered_at");
        assert_eq!(offered("select i|")[0], "id");
        assert!(!offered("insert into orders (|").contains(&"orders".to_owned()));
        assert_eq!(offered("update orders set am|"), ["amount"]);
        assert!(!offered("update orders set |").contains(&"orders".to_owned()));
    }

    #[test]
    fn names_in_quotes_settings_and_versions_are_offered_whole() {
        assert_eq!(offered("select * from \"ord|"), ["\"orders\""]);
        assert_eq!(offered("select \"C| from customers"), ["\"City\""]);
        assert_eq!(offered("select c.\"na| from customers c"), ["\"name\""]);
        assert_eq!(offered("set null_order = l|"), ["last", "largest"]);
        assert_eq!(offered("set null_order to f|"), ["first"]);
        assert_eq!(offered("reset datafusion.execution.b|"), ["datafusion.execution.batch_size"]);
        assert_eq!(offered("\\lineage orders.am|"), ["orders.amount"]);
        assert_eq!(offered("\\lineage raw.ord|"), ["raw.orders"]);
        assert_eq!(offered("\\diff or|"), ["orders"]);
        assert_eq!(offered("\\diff orders 1|"), ["12", "11", "10"]);
    }

    #[test]
    fn what_is_not_known_yet_is_not_taken_for_a_function() {
        let mut known = shop();
        known.tables[1].columns.clear();
        known.tables[1].is_learned = false;
        let mut wanted = Vec::new();
        let (_, offers) = complete("select su from orders", 9, &known, &[], &[], &mut wanted);
        assert!(offers.is_empty() && !wanted.is_empty(), "{offers:?}");
    }

    #[test]
    fn five_thousand_tables_are_looked_through_while_a_key_is_down() {
        let mut known = shop();
        known.tables.extend((0..5000).map(|number| KnownTable {
            schema: "main".into(),
            name: format!("fact_{number:04}"),
            columns: (0..30).map(|column| (format!("c_{number}_{column}"), "int".to_owned())).collect(),
            is_learned: true,
            version: None,
        }));
        let begun = std::time::Instant::now();
        let sql = "select f.c_4999_2 from fact_4999 f join fact_00";
        let (_, offers) = complete(sql, sql.len(), &known, &[], &[], &mut Vec::new());
        assert_eq!(offers.len(), 100, "{:?}", offers.first());
        let (_, offers) = complete(sql, 17, &known, &[], &[], &mut Vec::new());
        assert_eq!(offers.len(), 11);
        assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn earlier_lines_count() {
        let (start, offers) =
            complete("select *\nfrom orders o\nwhere o.am", 33, &shop(), &[], &[], &mut Vec::new());
        assert_eq!((start, offers[0].text.as_str()), (31, "amount"));
    }
}
