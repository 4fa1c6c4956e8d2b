//! What does a backslash command mean?
//!
//! Each command is a row of [`COMMANDS`]: its names, its arguments, its help, and a function that reads
//! the arguments. The function does nothing: it says what to do, as an [`Action`].

use std::path::PathBuf;
use std::time::Duration;

use super::render::Format;
use super::sql_help::sql_help;
use crate::base::{Diagnostic, ReleaseNumber, did_you_mean};

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// End the sitting.
    Leave,
    /// Tell something.
    Say(String),
    /// Answer this statement.
    Answer(String),
    /// Show answers in this format; tell which it is if nothing is given.
    Format(Option<Format>),
    /// One line for each column, or the table again.
    Expand(Switch),
    /// One line for each column in the next answer.
    ExpandOnce,
    /// Answer the last statement again.
    Again {
        /// With one line for each column.
        expanded: bool,
    },
    /// Answer the last statement again and again, with this pause.
    Watch(Duration),
    /// Write in an editor, and run it: a file, or the last statement.
    Edit(Option<PathBuf>),
    /// List the variables.
    Variables,
    /// Give a variable its value.
    Set(String, String),
    /// Forget a variable.
    Unset(String),
    /// Run a line of the system's shell.
    System(String),
    /// Tell how long each answer took, or no longer.
    Time(Switch),
    /// Show so many rows of a table, and how many of them from the end; all if nothing.
    Rows(Option<(usize, usize)>),
    /// Run the statements and commands of a file.
    Include(PathBuf),
    /// Write answers to a file; to the screen again if nothing is given.
    Output(Option<PathBuf>),
    /// Read another release.
    Release(Wanted),
}

/// On, off, or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
    Other,
}

impl Switch {
    /// What comes of it.
    pub(super) fn turn(self, was: bool) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Other => !was,
        }
    }
}

/// Which release to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only tell which it is.
    Told,
    /// The newest, whichever that is.
    Newest,
    /// This one, until told otherwise.
    Number(ReleaseNumber),
}

type Meaning = Result<Action, Diagnostic>;

struct Command {
    /// All names, the first as help shows it.
    names: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
    /// Reads what follows the name.
    read: fn(&str) -> Meaning,
}

const COMMANDS: &[Command] = &[
    Command {
        names: &["\\?", ".help", "help"],
        arguments: "",
        help: "list the commands",
        read: |_| say(help()),
    },
    Command {
        names: &["\\q", ".quit", ".exit", "quit", "exit"],
        arguments: "",
        help: "leave (so does Ctrl-D)",
        read: |_| Ok(Action::Leave),
    },
    Command {
        names: &["\\h"],
        arguments: "[TOPIC]",
        help: "what elt adds to SQL; `\\h copy` is about files",
        read: |topic| say(sql_help(topic)?),
    },
    Command {
        names: &["\\d", ".schema"],
        arguments: "[TABLE]",
        help: "describe a table, or list the tables",
        read: describe,
    },
    Command {
        names: &["\\dt", ".tables"],
        arguments: "",
        help: "list the tables and views",
        read: |_| answer("show tables"),
    },
    Command {
        names: &["\\d+"],
        arguments: "TABLE",
        help: "a table's files, size and properties",
        read: details,
    },
    Command {
        names: &["\\dv"],
        arguments: "",
        help: "list the views and their queries",
        read: |_| answer("show views"),
    },
    Command { names: &["\\dn"], arguments: "", help: "list the schemas", read: |_| answer("show schemas") },
    Command {
        names: &["\\df"],
        arguments: "[PATTERN]",
        help: "list the functions, or those with this in their name",
        read: functions,
    },
    Command {
        names: &["\\history"],
        arguments: "TABLE",
        help: "list the versions of a table",
        read: history,
    },
    Command {
        names: &["\\l", "\\releases"],
        arguments: "",
        help: "list the releases",
        read: |_| answer("show releases"),
    },
    Command {
        names: &["\\release"],
        arguments: "[N|latest]",
        help: "read release N, or the newest again",
        read: release,
    },
    Command {
        names: &["\\format", ".mode"],
        arguments: "[NAME]",
        help: "table, csv, json, markdown … (Tab lists)",
        read: format,
    },
    Command {
        names: &["\\x"],
        arguments: "[on|off|once]",
        help: "one line for each column",
        read: |text| match text {
            "once" => Ok(Action::ExpandOnce),
            text => Ok(Action::Expand(switch("\\x", text)?)),
        },
    },
    Command {
        names: &["\\g"],
        arguments: "",
        help: "run the statement, or the last one again",
        read: |_| Ok(Action::Again { expanded: false }),
    },
    Command {
        names: &["\\gx", "\\G"],
        arguments: "",
        help: "the same, with one line for each column",
        read: |_| Ok(Action::Again { expanded: true }),
    },
    Command {
        names: &["\\watch"],
        arguments: "[SECONDS]",
        help: "run it every 2 seconds, until Ctrl-C",
        read: watch,
    },
    Command {
        names: &["\\e", ".edit"],
        arguments: "[FILE]",
        help: "write it in $EDITOR, then run it",
        read: |file| Ok(Action::Edit(path(file))),
    },
    Command {
        names: &["\\set"],
        arguments: "[NAME VALUE]",
        help: "a variable: `:name`, and `:'name'` in quotes",
        read: set,
    },
    Command { names: &["\\unset"], arguments: "NAME", help: "forget a variable", read: unset },
    Command {
        names: &["\\!", ".shell"],
        arguments: "COMMAND",
        help: "run a command of the system",
        read: |line| match line {
            "" => Err(mistake("which command?".to_owned())),
            line => Ok(Action::System(line.to_owned())),
        },
    },
    Command {
        names: &["\\rows", ".maxrows"],
        arguments: "FIRST [LAST]|all",
        help: "how many rows of a table to show",
        read: rows,
    },
    Command {
        names: &["\\copy"],
        arguments: "… TO 'FILE'",
        help: "rows to a file: the statement COPY",
        read: |rest| match rest {
            "" => Err(mistake("which rows, and where to?".to_owned())),
            rest => answer(&format!("copy {rest}")),
        },
    },
    Command {
        names: &["\\timing", ".timer"],
        arguments: "[on|off]",
        help: "tell how long each answer took",
        read: |text| Ok(Action::Time(switch("\\timing", text)?)),
    },
    Command {
        names: &["\\i", ".read"],
        arguments: "FILE",
        help: "run the statements of a file",
        read: include,
    },
    Command {
        names: &["\\o", ".output"],
        arguments: "[FILE]",
        help: "answers go to a file, or to the screen",
        read: output,
    },
];

/// Says what a command asks for. `line` begins with its name.
///
/// # Errors
/// There is no such command, or its arguments make no sense.
pub(super) fn parse(line: &str) -> Meaning {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let exact = |command: &&Command| command.names.contains(&name);
    let any_case = |command: &&Command| command.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let found = COMMANDS.iter().find(exact).or_else(|| COMMANDS.iter().find(any_case));
    let Some(command) = found else { return Err(unknown(name)) };
    let rest = rest.trim();
    if command.arguments.is_empty() && !rest.is_empty() {
        return Err(mistake(format!("`{name}` takes no arguments")).help(usage(command)));
    }
    (command.read)(rest).map_err(|mistake| mistake.maybe_help(Some(usage(command))))
}

/// Every name that a command has.
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = COMMANDS.iter().flat_map(|command| command.names).copied().collect();
    names.sort_unstable();
    names
}

fn unknown(name: &str) -> Diagnostic {
    let names = COMMANDS.iter().flat_map(|command| command.names).copied();
    // One letter is near to every other.
    let slip = if name.chars().count() > 2 { did_you_mean(name, names) } else { None };
    let help = slip.unwrap_or_else(|| "`\\?` lists the commands".to_owned());
    Diagnostic::error("elt::shell::no_such_command", format!("there is no command `{name}`")).help(help)
}

fn mistake(message: String) -> Diagnostic {
    Diagnostic::error("elt::shell::arguments", message)
}

fn usage(command: &Command) -> String {
    format!("write `{}`", format!("{} {}", command.names[0], command.arguments).trim_end())
}

fn help() -> String {
    let mut text = "A statement of SQL ends with `;`, a command with its line.\n".to_owned();
    for command in COMMANDS {
        let call = format!("{} {}", command.names[0], command.arguments);
        let others: Vec<&str> =
            command.names[1..].iter().copied().filter(|name| !name.starts_with('\\')).collect();
        let others = if others.is_empty() { String::new() } else { format!("  ({})", others.join(", ")) };
        text += &format!("\n  {call:<24}{}{others}", command.help);
    }
    text + "\n\nTab completes; the right arrow takes the grey hint; Ctrl-R searches the history.\n\
          Ctrl-C clears the line or cancels the query."
}

fn say(text: String) -> Meaning {
    Ok(Action::Say(text))
}

fn answer(sql: &str) -> Meaning {
    Ok(Action::Answer(sql.to_owned()))
}

fn describe(table: &str) -> Meaning {
    if table.is_empty() { answer("show tables") } else { answer(&format!("describe {table}")) }
}

fn details(table: &str) -> Meaning {
    if table.is_empty() {
        return Err(mistake("which table?".to_owned()));
    }
    answer(&format!("describe detail {table}"))
}

fn functions(pattern: &str) -> Meaning {
    let pattern = pattern.trim_matches(['*', '%', '\'']).replace('\'', "''");
    answer(&format!(
        "select distinct routine_name as name, lower(function_type) as type, syntax_example as example, description \
         from information_schema.routines where routine_name like '%{pattern}%' order by 1"
    ))
}

fn watch(seconds: &str) -> Meaning {
    let pause = if seconds.is_empty() { Some(2.0) } else { seconds.parse::<f64>().ok() };
    match pause.filter(|pause| (0.1..=86_400.0).contains(pause)) {
        Some(pause) => Ok(Action::Watch(Duration::from_secs_f64(pause))),
        None => Err(mistake(format!("`{seconds}` is not a number of seconds, from 0.1 to 86400"))),
    }
}

fn set(text: &str) -> Meaning {
    if text.is_empty() {
        return Ok(Action::Variables);
    }
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(mistake(format!("`{name}` cannot name a variable: letters, digits and `_`")));
    }
    let value = value.trim();
    let quoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    Ok(Action::Set(name.to_owned(), quoted.unwrap_or(value).to_owned()))
}

fn unset(name: &str) -> Meaning {
    match name {
        "" => Err(mistake("which variable?".to_owned())),
        name => Ok(Action::Unset(name.to_owned())),
    }
}

fn history(table: &str) -> Meaning {
    if table.is_empty() {
        return Err(mistake("which table's history?".to_owned()));
    }
    answer(&format!("describe history {table}"))
}

fn release(text: &str) -> Meaning {
    Ok(Action::Release(match text.to_lowercase().as_str() {
        "" => Wanted::Told,
        "latest" | "newest" => Wanted::Newest,
        number => match number.parse() {
            Ok(number) => Wanted::Number(ReleaseNumber(number)),
            Err(_) => return Err(mistake(format!("`{text}` is not the number of a release"))),
        },
    }))
}

fn format(name: &str) -> Meaning {
    if name.is_empty() {
        return Ok(Action::Format(None));
    }
    name.parse()
        .map(|format| Action::Format(Some(format)))
        .map_err(|unknown: super::UnknownFormat| mistake(unknown.to_string()))
}

fn rows(text: &str) -> Meaning {
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

fn include(file: &str) -> Meaning {
    path(file).map(Action::Include).ok_or_else(|| mistake("which file?".to_owned()))
}

fn output(file: &str) -> Meaning {
    Ok(Action::Output(path(file)))
}

/// A file's name, with or without quotes around it.
fn path(text: &str) -> Option<PathBuf> {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    let bare = quoted('\'').or_else(|| quoted('"')).unwrap_or(text);
    (!bare.is_empty()).then(|| PathBuf::from(bare))
}

fn switch(name: &str, text: &str) -> Result<Switch, Diagnostic> {
    match text.to_lowercase().as_str() {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        "" => Ok(Switch::Other),
        _ => Err(mistake(format!("`{name}` is `on` or `off`, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_all_their_names() {
        for (line, action) in [
            ("\\q", Action::Leave),
            ("Quit;", Action::Leave),
            ("\\dt", Action::Answer("show tables".into())),
            (".tables", Action::Answer("show tables".into())),
            ("\\d  crm.people;", Action::Answer("describe crm.people".into())),
            (".schema", Action::Answer("show tables".into())),
            ("\\releases", Action::Answer("show releases".into())),
            ("\\history orders", Action::Answer("describe history orders".into())),
            ("\\x", Action::Expand(Switch::Other)),
            ("\\x once", Action::ExpandOnce),
            ("\\g", Action::Again { expanded: false }),
            ("\\G", Action::Again { expanded: true }),
            ("\\watch 0.5", Action::Watch(Duration::from_millis(500))),
            ("\\set day '2026-01-31'", Action::Set("day".into(), "2026-01-31".into())),
            ("\\! ls -l", Action::System("ls -l".into())),
            ("\\d+ orders", Action::Answer("describe detail orders".into())),
            (".timer ON", Action::Time(Switch::On)),
            (".mode md", Action::Format(Some(Format::Markdown))),
            ("\\rows 20 10", Action::Rows(Some((30, 10)))),
            ("\\rows all", Action::Rows(None)),
            ("\\i 'my file.sql'", Action::Include("my file.sql".into())),
            ("\\o it's.csv", Action::Output(Some("it's.csv".into()))),
            ("\\o", Action::Output(None)),
            ("\\copy t to 'x.csv' (header);", Action::Answer("copy t to 'x.csv' (header)".into())),
            ("\\release 3", Action::Release(Wanted::Number(ReleaseNumber(3)))),
            ("\\release latest", Action::Release(Wanted::Newest)),
        ] {
            assert_eq!(parse(line), Ok(action), "{line}");
        }
    }

    #[test]
    fn a_wrong_command_says_what_would_be_right() {
        let told = |line| {
            let mistake = parse(line).unwrap_err();
            format!("{} ({})", mistake.message(), mistake.help_text().unwrap())
        };
        assert_eq!(told("\\relases"), "there is no command `\\relases` (did you mean `\\releases`?)");
        assert_eq!(told("\\z"), "there is no command `\\z` (`\\?` lists the commands)");
        assert_eq!(told("\\dt now"), "`\\dt` takes no arguments (write `\\dt`)");
        assert_eq!(told("\\history"), "which table's history? (write `\\history TABLE`)");
        assert_eq!(told("\\x maybe"), "`\\x` is `on` or `off`, not `maybe` (write `\\x [on|off|once]`)");
        assert_eq!(
            told("\\release one"),
            "`one` is not the number of a release (write `\\release [N|latest]`)"
        );
        assert!(told(".mode jsn").contains("did you mean `json`?"), "{}", told(".mode jsn"));
    }

    #[test]
    fn help_names_every_command_in_one_line() {
        let help = help();
        for command in COMMANDS {
            assert!(
                help.lines().any(|line| line.trim_start().starts_with(command.names[0])),
                "{}",
                command.names[0]
            );
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}
