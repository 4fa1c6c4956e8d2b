//! What do a command's arguments mean?

use std::path::PathBuf;
use std::time::Duration;

use super::table::{COMMANDS, picture};
use super::{Action, Meaning, Switch, Wanted, help, mistake, one, unknown};
use crate::base::{Diagnostic, ReleaseNumber};
use crate::repl::output::Place;
use crate::repl::words::words;

pub(super) fn say(text: String) -> Meaning {
    Ok(Action::Say(text))
}

pub(super) fn answer(sql: &str) -> Meaning {
    Ok(Action::Answer(sql.to_owned()))
}

/// A table's files, size and properties; without a table, or with a pattern, what each table takes and what it is.
pub(super) fn details(table: &str) -> Meaning {
    match table {
        pattern if pattern.is_empty() || pattern.contains(['*', '%']) => tables_at_length(pattern),
        table => answer(&format!("describe detail {table}")),
    }
}

/// The tables and views with what they take and what is said of them.
pub(super) fn tables_at_length(pattern: &str) -> Meaning {
    let pattern = if pattern.is_empty() { "%".to_owned() } else { like(pattern) };
    let name = if pattern.contains('.') { "table_schema || '.' || table_name" } else { "table_name" };
    answer(&format!(
        "select table_schema as \"schema\", table_name as name, table_type as type, num_rows as \"rows\", num_files as files, \
         format_bytes(size_in_bytes) as size, description from elt.tables \
         where table_type <> 'system' and {name} like '{pattern}' order by 1, 2"
    ))
}

pub(super) fn watch(seconds: &str) -> Meaning {
    let pause = if seconds.is_empty() { Some(2.0) } else { seconds.parse::<f64>().ok() };
    match pause.filter(|pause| (0.1..=86_400.0).contains(pause)) {
        Some(pause) => Ok(Action::Watch(Duration::from_secs_f64(pause))),
        None => Err(mistake(format!("`{seconds}` is not a number of seconds, from 0.1 to 86400"))),
    }
}

pub(super) fn set(text: &str) -> Meaning {
    if text.is_empty() {
        return Ok(Action::Variables);
    }
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(mistake(format!("`{name}` cannot name a variable: letters, digits and `_`")));
    }
    let value = value.trim();
    let quoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    let value = quoted.map_or_else(|| value.to_owned(), |text| text.replace("''", "'"));
    Ok(Action::Set(name.to_owned(), value))
}

/// `\\gset prefix`; with `!` before the prefix for the statement that follows.
pub(super) fn gset(prefix: &str) -> Meaning {
    let (next, prefix) = match prefix.strip_prefix('!') {
        Some(prefix) => (true, prefix),
        None => (false, prefix),
    };
    if !prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(mistake(format!("`{prefix}` cannot begin a variable's name: letters, digits and `_`")));
    }
    let prefix = prefix.to_owned();
    Ok(if next { Action::KeepNext(prefix) } else { Action::Keep(prefix) })
}

pub(super) fn unset(name: &str) -> Meaning {
    match name {
        "" => Err(mistake("which variable?".to_owned())),
        name => Ok(Action::Unset(name.to_owned())),
    }
}

pub(super) fn history(table: &str) -> Meaning {
    if table.is_empty() {
        return Err(mistake("which table's history?".to_owned()));
    }
    answer(&format!("describe history {table}"))
}

pub(super) fn release(text: &str) -> Meaning {
    Ok(Action::Release(match text.to_lowercase().as_str() {
        "" => Wanted::Told,
        "latest" | "newest" => Wanted::Newest,
        number => match number.parse() {
            Ok(number) => Wanted::Number(ReleaseNumber(number)),
            Err(_) => return Err(mistake(format!("`{text}` is not the number of a release"))),
        },
    }))
}

pub(super) fn format(name: &str) -> Meaning {
    if name.is_empty() {
        return Ok(Action::Format(None));
    }
    if let Some((first, table)) = name.split_once(char::is_whitespace)
        && first.eq_ignore_ascii_case("insert")
    {
        return Ok(Action::InsertInto(table.trim().to_owned()));
    }
    name.parse()
        .map(|format| Action::Format(Some(format)))
        .map_err(|unknown: crate::repl::UnknownFormat| mistake(unknown.to_string()))
}

pub(super) fn rows(text: &str) -> Meaning {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Action::Rows(None));
    }
    let numbers: Option<Vec<usize>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some([first]) => Ok(Action::Rows(Some((*first, 0)))),
        Some([first, last]) => Ok(Action::Rows(Some((first.saturating_add(*last), *last)))),
        _ => Err(mistake(format!("`{text}` does not say how many rows"))),
    }
}

pub(super) fn include(file: &str) -> Meaning {
    path(file).map(Action::Include).ok_or_else(|| mistake("which file?".to_owned()))
}

pub(super) fn switch(name: &str, text: &str) -> Result<Switch, Diagnostic> {
    match text.to_lowercase().as_str() {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        "" => Ok(Switch::Other),
        _ => Err(mistake(format!("`{name}` is `on` or `off`, not `{text}`"))),
    }
}

/// `\\? NAME` tells of one command.
pub(super) fn explain(name: &str) -> Meaning {
    if name.is_empty() {
        return say(help());
    }
    let bare = name.trim_start_matches(['\\', '.']);
    let found = COMMANDS.iter().find(|command| {
        command.names.iter().any(|known| *known == name || known.trim_start_matches(['\\', '.']) == bare)
    });
    match found {
        Some(command) => say(one(command)),
        None => Err(unknown(name)),
    }
}

/// The statement that makes a table.
pub(super) fn schema(table: &str) -> Meaning {
    match table {
        "" => answer("show tables"),
        table => answer(&format!("show create table {table}")),
    }
}

pub(super) fn describe(table: &str) -> Meaning {
    match table {
        "" => answer("show tables"),
        pattern if pattern.contains(['*', '%']) => tables(pattern),
        table => answer(&format!("describe {table}")),
    }
}

/// The tables whose names have the pattern in them; `*` and `%` are any letters.
pub(super) fn tables(pattern: &str) -> Meaning {
    if pattern.is_empty() {
        return answer("show tables");
    }
    let pattern = like(pattern);
    answer(&format!("show tables like '{pattern}'"))
}

/// The views whose names have the pattern in them.
pub(super) fn views(pattern: &str) -> Meaning {
    if pattern.is_empty() {
        return answer("show views");
    }
    let pattern = like(pattern);
    let name = if pattern.contains('.') { "\"schema\" || '.' || name" } else { "name" };
    answer(&format!("select * from (show views) v where {name} like '{pattern}'"))
}

pub(super) fn functions(pattern: &str) -> Meaning {
    let pattern = like(pattern);
    answer(&format!(
        "select function_name as name, return_type as result, arguments, function_type as type, description \
         from (show functions like '{pattern}') f order by 1, 3"
    ))
}

pub(super) fn settings(pattern: &str) -> Meaning {
    let pattern = like(pattern);
    answer(&format!("show all like '{pattern}'"))
}

/// A pattern of SQL: with neither `*` nor `%`, what has the text in it.
fn like(pattern: &str) -> String {
    let pattern = unquoted(pattern).to_lowercase().replace('\'', "''");
    match pattern.contains(['*', '%']) {
        true => pattern.replace('*', "%"),
        false => format!("%{pattern}%"),
    }
}

pub(super) fn runs(text: &str) -> Meaning {
    let most: usize = match text {
        "" => 20,
        text => text.parse().map_err(|_| mistake(format!("`{text}` is not a number of runs")))?,
    };
    answer(&format!("select * from elt.runs order by started_at desc limit {most}"))
}

/// One of the command line's own commands.
pub(super) fn verb(name: &str, text: &str) -> Meaning {
    let mut all = vec![name.to_owned()];
    all.extend(words(text).ok_or_else(|| mistake("a quote has no end".to_owned()))?);
    Ok(Action::Verb(all))
}

pub(super) fn elt(text: &str) -> Meaning {
    let all = words(text).ok_or_else(|| mistake("a quote has no end".to_owned()))?;
    match all.first().map(String::as_str) {
        None => Err(mistake("which command? `elt --help` lists them".to_owned())),
        Some("sql" | "serve") => {
            Err(mistake(format!("`elt {}` is not for here: start it in another terminal", all[0])))
        }
        Some(_) => Ok(Action::Verb(all)),
    }
}

pub(super) fn system(line: &str) -> Meaning {
    match line {
        "" => Err(mistake("which command?".to_owned())),
        line => Ok(Action::System(line.to_owned())),
    }
}

pub(super) fn expand(text: &str) -> Meaning {
    Ok(match text.to_lowercase().as_str() {
        "once" => Action::ExpandOnce,
        "auto" => Action::ExpandAuto,
        text => Action::Expand(switch("\\x", text)?),
    })
}

pub(super) fn chart(text: &str) -> Meaning {
    let all = words(text).ok_or_else(|| mistake("a quote has no end".to_owned()))?;
    let (is_next, all) = match all.split_first() {
        Some((first, rest)) if first == "next" => (true, rest),
        _ => (false, all.as_slice()),
    };
    let Some((name, columns)) = all.split_first() else {
        return Err(mistake("which kind: bar, line or hist?".to_owned()));
    };
    let picture = picture(name)
        .ok_or_else(|| mistake(format!("`{name}` is no picture: there are bar, line and hist")))?;
    let columns = columns.to_vec();
    Ok(if is_next { Action::ChartNext(picture, columns) } else { Action::Chart(picture, columns) })
}

pub(super) fn columns(text: &str) -> Meaning {
    let first = text.split_whitespace().next().unwrap_or("0");
    let width = first.parse().map_err(|_| mistake(format!("`{text}` is not a number of columns")))?;
    Ok(Action::Width(Some(width).filter(|width| *width > 0)))
}

pub(super) fn pager(text: &str) -> Meaning {
    Ok(match text.to_lowercase().as_str() {
        "on" | "always" | "automatic" => Action::Pager(Switch::On, None),
        "off" | "never" => Action::Pager(Switch::Off, None),
        "" => Action::Pager(Switch::Other, None),
        _ => Action::Pager(Switch::On, Some(unquoted(text).to_owned())),
    })
}

/// psql's `\\pset`, as far as there is something to set.
pub(super) fn pset(text: &str) -> Meaning {
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let value = value.trim();
    match name.to_lowercase().as_str() {
        "null" => Ok(Action::Null(unquoted(value).to_owned())),
        "pager" => pager(value),
        "expanded" | "x" => expand(value),
        "format" => format(if value == "wrapped" || value == "unaligned" { "table" } else { value }),
        "columns" | "maxwidth" => columns(value),
        "maxrows" => rows(value),
        "footer" | "tuples_only" | "border" | "linestyle" | "title" | "tableattr" | "fieldsep"
        | "recordsep" | "numericlocale" => Err(mistake(format!("`{name}` cannot be set here"))),
        "" => Ok(Action::Tell),
        _ => Err(mistake(format!(
            "there is no `{name}` to set: there are null, pager, expanded, format, columns and maxrows"
        ))),
    }
}

pub(super) fn copy(rest: &str) -> Meaning {
    match rest {
        "" => Err(mistake("which rows, and where to?".to_owned())),
        rest => answer(&format!("copy {}", with_quotes(rest))),
    }
}

/// The same with quotes around the file behind TO, which psql does without.
fn with_quotes(rest: &str) -> String {
    let lower = rest.to_ascii_lowercase();
    let Some(at) = lower.rfind(" to ") else { return rest.to_owned() };
    let (head, tail) = rest.split_at(at + 4);
    let tail = tail.trim_start();
    let end = tail.find(char::is_whitespace).unwrap_or(tail.len());
    let (file, options) = tail.split_at(end);
    let is_file = !file.is_empty()
        && !file.starts_with(['\'', '"', '('])
        && !["stdout", "pstdout", "program"].iter().any(|word| file.eq_ignore_ascii_case(word));
    match is_file && !head.ends_with('\'') && file.contains(['.', '/']) {
        true => format!("{head}'{}'{options}", file.replace('\'', "''")),
        false => rest.to_owned(),
    }
}

pub(super) fn import(text: &str) -> Meaning {
    let all = words(text).unwrap_or_default();
    match all.as_slice() {
        [file, table] => answer(&format!("copy into {table} from '{}'", file.replace('\'', "''"))),
        _ => Err(mistake("which file, and into which table?".to_owned())),
    }
}

pub(super) fn place(text: &str) -> Option<Place> {
    Place::read(text)
}

/// A file's name, with or without quotes around it.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    let bare = unquoted(text);
    (!bare.is_empty()).then(|| PathBuf::from(bare))
}

/// The text without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('\'').or_else(|| quoted('"')).unwrap_or(text)
}
