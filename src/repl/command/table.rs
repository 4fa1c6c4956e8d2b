//! Which commands are there?
//!
//! In the order in which `\?` lists them.

use super::arguments::*;
use super::{Action, Command, Group, mistake};
use crate::repl::render::Picture;
use crate::repl::sql_help::sql_help;

/// Every command.
pub(super) const COMMANDS: &[Command] = &[
    // General
    command(
        Group::General,
        &["\\?", "\\help", ".help", "help"],
        "[NAME]",
        "list the commands, or explain one",
        explain,
    ),
    command(Group::General, &["\\h"], "[STATEMENT]", "help on SQL: `\\h merge`, `\\h copy`", |topic| {
        say(sql_help(topic)?)
    }),
    command(
        Group::General,
        &["\\q", "\\quit", ".quit", ".exit", "quit", "exit"],
        "",
        "leave (so does Ctrl-D)",
        |_| Ok(Action::Leave),
    ),
    command(Group::General, &["\\!", ".shell", ".system"], "COMMAND", "run a command of the system", system),
    command(Group::General, &["\\cd", ".cd"], "[FOLDER]", "go to another folder", |text| {
        Ok(Action::Go(path(text)))
    }),
    command(
        Group::General,
        &["\\echo", "\\qecho", ".print"],
        "TEXT",
        "write a line where answers go",
        |text| Ok(Action::Echo(text.to_owned())),
    ),
    command(Group::General, &["\\warn"], "TEXT", "write a line beside the answers", |text| {
        say(text.to_owned())
    }),
    command(
        Group::General,
        &["\\conninfo", ".show", ".version"],
        "",
        "where this is, and what is set",
        |_| Ok(Action::Tell),
    ),
    // What there is
    command(Group::Lake, &["\\d"], "[TABLE]", "describe a table, or list the tables", describe),
    command(Group::Lake, &[".schema"], "[TABLE]", "the statement that makes a table", schema),
    command(
        Group::Lake,
        &["\\d+"],
        "[TABLE]",
        "its files, size and properties, or of each its size",
        details,
    ),
    command(Group::Lake, &["\\dt", ".tables"], "[PATTERN]", "list the tables and views", tables),
    command(Group::Lake, &["\\dt+"], "[PATTERN]", "with rows, size and description", tables_at_length),
    command(Group::Lake, &["\\dv", "\\dv+"], "[PATTERN]", "list the views and their queries", views),
    command(Group::Lake, &["\\dn", "\\dn+", ".databases"], "", "list the schemas", |_| {
        answer("show schemas")
    }),
    command(Group::Lake, &["\\df"], "[PATTERN]", "list the functions with this in their name", functions),
    command(Group::Lake, &["\\ds"], "[PATTERN]", "list the settings with this in their name", settings),
    command(Group::Lake, &["\\l", "\\l+", "\\list", "\\releases"], "", "list the releases", |_| {
        answer("show releases")
    }),
    command(Group::Lake, &["\\release"], "[N|latest]", "read release N, or the newest again", release),
    command(Group::Lake, &["\\history"], "TABLE", "list the versions of a table", history),
    command(Group::Lake, &["\\runs"], "[N]", "list the last runs, and what became of them", runs),
    command(Group::Lake, &["\\diff"], "TABLE [V1 [V2]]", "rows that came, went and changed", |text| {
        verb("diff", text)
    }),
    command(Group::Lake, &["\\lineage"], "TABLE[.COLUMN]", "where it comes from, and goes", |text| {
        verb("lineage", text)
    }),
    // Work
    command(Group::Work, &["\\build"], "[OPTION …]", "land, build, test and publish", |text| {
        verb("build", text)
    }),
    command(Group::Work, &["\\plan"], "[OPTION …]", "what a build would do, and why", |text| {
        verb("plan", text)
    }),
    command(Group::Work, &["\\run"], "[OPTION …]", "build models without their tests", |text| {
        verb("run", text)
    }),
    command(Group::Work, &["\\test"], "[OPTION …]", "run the tests", |text| verb("test", text)),
    command(Group::Work, &["\\retry"], "[OPTION …]", "what the last run left", |text| verb("retry", text)),
    command(Group::Work, &["\\land"], "TABLE FILE …", "load files, each once", |text| verb("land", text)),
    command(Group::Work, &["\\ls"], "[OPTION …]", "list sources, models and tests", |text| {
        verb("ls", text)
    }),
    command(Group::Work, &["\\compile"], "[OPTION …]", "check the project, write its SQL", |text| {
        verb("compile", text)
    }),
    command(Group::Work, &["\\rollback"], "[RELEASE]", "publish an earlier release again", |text| {
        verb("rollback", text)
    }),
    command(Group::Work, &["\\maintain"], "[TABLE]", "compact, write checkpoints, clean up", |text| {
        verb("maintain", text)
    }),
    command(Group::Work, &["\\elt"], "COMMAND …", "any other command of elt", elt),
    // Statements
    command(
        Group::Query,
        &["\\g"],
        "[FILE|\\|PROGRAM]",
        "run the statement, or the last one again",
        |text| Ok(Action::Again { expanded: false, to: place(text) }),
    ),
    command(Group::Query, &["\\gx", "\\G"], "", "the same, with a line for each column", |_| {
        Ok(Action::Again { expanded: true, to: None })
    }),
    command(Group::Query, &["\\gset"], "[PREFIX]", "keep its only row as variables: `:name`", gset),
    command(Group::Query, &["\\gdesc"], "", "its columns and their types, without running it", |_| {
        Ok(Action::DescribeLast)
    }),
    command(Group::Query, &["\\last", ".last"], "", "the last answer again, with all its rows", |_| {
        Ok(Action::Last)
    }),
    command(Group::Query, &["\\watch"], "[SECONDS]", "run it every 2 seconds, until Ctrl-C", watch),
    command(Group::Query, &["\\chart"], "bar|line|hist [X Y]", "draw the last answer", chart),
    command(Group::Query, &["\\e", ".edit"], "[FILE]", "write it in $EDITOR, then run it", |file| {
        Ok(Action::Edit(path(file)))
    }),
    command(Group::Query, &["\\p"], "", "show the last statement", |_| Ok(Action::ShowLast)),
    command(Group::Query, &["\\w"], "FILE", "write the last statement to a file", |file| {
        path(file).map(Action::WriteLast).ok_or_else(|| mistake("which file?".to_owned()))
    }),
    command(Group::Query, &["\\i", ".read"], "FILE", "run the statements of a file", include),
    command(Group::Query, &["\\s"], "[TEXT]", "the history, or what has this in it", |text| {
        Ok(Action::History(text.to_owned()))
    }),
    command(Group::Query, &["\\set"], "[NAME VALUE]", "a variable: `:name`, and `:'name'` quoted", set),
    command(Group::Query, &["\\unset"], "NAME", "forget a variable", unset),
    // Answers
    command(Group::Answers, &["\\x"], "[on|off|auto|once]", "a line for each column; auto: if wide", expand),
    command(
        Group::Answers,
        &["\\format", ".mode"],
        "[NAME | insert TABLE]",
        "table, csv, json, markdown … (Tab lists)",
        format,
    ),
    command(
        Group::Answers,
        &["\\rows", ".maxrows"],
        "FIRST [LAST]|all",
        "how many rows of a table to show",
        rows,
    ),
    command(
        Group::Answers,
        &["\\width", ".maxwidth", ".width"],
        "COLUMNS|0",
        "how wide a table may be; 0: as it fits",
        columns,
    ),
    command(Group::Answers, &["\\null", ".nullvalue"], "TEXT", "what stands for NULL", |text| {
        Ok(Action::Null(unquoted(text).to_owned()))
    }),
    command(
        Group::Answers,
        &["\\header", ".headers", ".header"],
        "on|off",
        "names above CSV and TSV",
        |text| Ok(Action::Header(switch("\\header", text)?)),
    ),
    command(Group::Answers, &["\\pager", ".pager"], "[on|off|PROGRAM]", "long answers go to a pager", pager),
    command(Group::Answers, &["\\pset"], "NAME VALUE", "psql's words for the same: null, pager …", pset),
    command(Group::Answers, &["\\timing", ".timer"], "[on|off]", "tell how long each answer took", |text| {
        Ok(Action::Time(switch("\\timing", text)?))
    }),
    command(Group::Answers, &["\\progress"], "[on|off]", "tell how far slow queries are", |text| {
        Ok(Action::Progress(switch("\\progress", text)?))
    }),
    command(
        Group::Answers,
        &["\\o", ".output"],
        "[FILE|\\|PROGRAM]",
        "answers go there, or to the screen",
        |text| Ok(Action::Output(place(text))),
    ),
    command(Group::Answers, &[".once"], "FILE|\\|PROGRAM", "only the next answer goes there", |text| {
        match place(text) {
            Some(place) => Ok(Action::Once(place)),
            None => Err(mistake("which file, or which program?".to_owned())),
        }
    }),
    command(Group::Answers, &["\\copy"], "… TO 'FILE'", "rows to a file: the statement COPY", copy),
    command(Group::Answers, &[".import"], "FILE TABLE", "load a file: the statement COPY INTO", import),
    command(Group::Answers, &[".echo"], "on|off", "show each statement before its answer", |text| {
        Ok(Action::EchoAll(switch(".echo", text)?))
    }),
    command(Group::Answers, &[".bail"], "on|off", "end a script at its first mistake", |text| {
        Ok(Action::Bail(switch(".bail", text)?))
    }),
];

/// Commands that people know from elsewhere, and what does the same here.
pub(super) const ELSEWHERE: &[(&[&str], &str)] = &[
    (&[".columns"], "`\\x on` shows a line for each column"),
    (&[".rows"], "`\\x off` shows a line for each row"),
    (
        &[".dump", ".save", ".backup", ".clone"],
        "`copy t to 'file.parquet'` writes a table out; a release is never changed, and needs no backup before a build",
    ),
    (
        &[".open", ".connect", "\\c", "\\connect"],
        "leave, and start `elt --lake PLACE` or `elt --project-dir DIR`",
    ),
    (
        &[".indexes", ".indices", "\\di"],
        "there are no indexes: files are skipped by their statistics; `\\d+ t`, and `\\h optimize`",
    ),
    (
        &[".separator", ".decimal_sep", ".thousand_sep", ".large_number_rendering"],
        "`copy (…) to 'file.csv' (delimiter ';')` writes CSV of any kind",
    ),
    (&[".excel", ".www"], "`.once FILE.csv`, or `\\g FILE.html`"),
    (&[".explain", ".eqp"], "write `explain` or `explain analyze` before the query"),
    (
        &[
            ".prompt",
            ".highlight",
            ".highlight_colors",
            ".highlight_errors",
            ".highlight_results",
            ".startup_text",
            ".safe_mode",
            ".keyword",
            ".constant",
            ".error",
            ".cont",
            ".comment",
            ".render_completion",
            ".render_errors",
            ".multiline",
            ".singleline",
            ".edit_mode",
        ],
        "the editor has no settings but those of readline's `~/.inputrc` kind; `NO_COLOR=1` takes the colours away",
    ),
    (&[".changes"], "a statement that writes says how many rows it wrote"),
    (&[".stats", ".scanstats"], "write `explain analyze` before the query, or `\\timing on`"),
    (&[".log", ".trace"], "start elt with `ELT_LOG=debug`; `from elt.query_history` has the queries"),
    (&[".ui"], "`elt docs generate` writes what documentation sites read"),
    (
        &[
            ".binary",
            ".clone",
            ".lint",
            ".session",
            ".vfslist",
            ".vfsname",
            ".archive",
            ".load",
            ".selftest",
            ".sha3sum",
            ".limit",
            ".restore",
            ".filectrl",
            ".fullschema",
            ".testctrl",
            ".dbinfo",
            ".dbconfig",
            ".auth",
            ".nonce",
            ".parameter",
            ".progress",
        ],
        "it belongs to SQLite's files; `\\?` lists what there is here",
    ),
    (
        &["\\a", "\\t", "\\f", "\\C", "\\T"],
        "choose a format: `\\format csv`, `\\format html`, `\\header off`",
    ),
    (
        &["\\du", "\\dg", "\\password"],
        "`elt user add` names who may ask over the wire; files have the system's own rights",
    ),
    (
        &["\\dp", "\\z"],
        "`show grants` tells what roles may, `grant select on t to role r` gives it; files have the system's own rights",
    ),
    (&["\\H"], "`\\format html` writes HTML, and `\\format table` goes back"),
    (
        &["\\dT", "\\dT+"],
        "`select typeof(x)` tells a type; there are int, bigint, double, decimal(10, 2), varchar, date, timestamp and more: `\\h create table`",
    ),
    (&["\\dm", "\\dl"], "`\\ls` lists models, `\\lineage TABLE` what a table is made of"),
    (
        &["\\if", "\\elif", "\\else", "\\endif"],
        "conditions belong into a model's Jinja, or into the script that calls `elt sql -c`",
    ),
    (
        &["\\gexec"],
        "write the statements to a file and run it: `\\format tsv`, `\\header off`, `… \\g do.sql`, then `\\i do.sql`",
    ),
    (&["\\prompt"], "`\\set name value` gives `:name` a value"),
    (&["\\r", "\\reset"], "Ctrl-C clears what was typed"),
    (&["\\crosstabview"], "`pivot t on c using sum(n)` turns rows into columns"),
    (
        &["\\bind", "\\bind_named", "\\parse", "\\close_prepared"],
        "`prepare p as select … where a = ?`, then `execute p(5)`",
    ),
    (&["\\errverbose"], "an error says all that is known; `ELT_LOG=debug` tells what was done meanwhile"),
    (
        &[
            "\\startpipeline",
            "\\endpipeline",
            "\\syncpipeline",
            "\\sendpipeline",
            "\\flush",
            "\\flushrequest",
        ],
        "statements are answered one after another: write them one below the other",
    ),
    (&["\\lo_import", "\\lo_export", "\\lo_list", "\\lo_unlink"], "`copy into t from 'file'` loads files"),
    (
        &["\\da", "\\do", "\\dx", "\\dy", "\\des", "\\dew", "\\det", "\\ddp", "\\db", "\\dc"],
        "`\\dt` lists tables, `\\df` functions, `\\ds` settings, `\\dn` schemas",
    ),
    (&["\\setenv", "\\getenv"], "set it before elt is started; `\\set name value` is for `:name`"),
    (
        &["\\sf", "\\ef", "\\sv", "\\ev"],
        "`show views` has the queries of views; models are files under models/",
    ),
    (&["\\encoding"], "everything is UTF-8"),
    (&["\\r"], "Ctrl-C clears what was typed"),
];

const fn command(
    group: Group,
    names: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
    read: fn(&str) -> super::Meaning,
) -> Command {
    Command { group, names, arguments, help, read }
}

/// The picture of a name.
pub(super) fn picture(name: &str) -> Option<Picture> {
    Some(match name.to_lowercase().as_str() {
        "bar" | "bars" | "barchart" => Picture::Bars,
        "line" | "lines" => Picture::Line,
        "hist" | "histogram" => Picture::Histogram,
        _ => return None,
    })
}
