//! What does a backslash command mean?
//!
//! Each command is a row of `table`: its names, its arguments, its help, and a function of `arguments` that reads
//! them. The function does nothing: it says what to do, as an [`Action`].

mod arguments;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use super::output::Place;
use super::render::{Format, Picture};
use crate::base::{Diagnostic, ReleaseNumber, did_you_mean};
use table::{COMMANDS, ELSEWHERE};

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
    /// Show answers as statements that insert them into this table.
    InsertInto(String),
    /// One line for each column, or the table again.
    Expand(Switch),
    /// One line for each column in the next answer.
    ExpandOnce,
    /// One line for each column of answers that are too wide.
    ExpandAuto,
    /// Answer the last statement again.
    Again {
        /// With one line for each column.
        expanded: bool,
        /// Into a file or a program.
        to: Option<Place>,
    },
    /// Answer the last statement again, and show all its rows.
    Last,
    /// Draw the last answer, by these columns.
    Chart(Picture, Vec<String>),
    /// Draw the next answer, by these columns.
    ChartNext(Picture, Vec<String>),
    /// Show the last statement.
    ShowLast,
    /// Write the last statement to a file.
    WriteLast(PathBuf),
    /// List what was typed before, if it has this in it.
    History(String),
    /// Run a command of the command line.
    Verb(Vec<String>),
    /// Go to another folder.
    Go(Option<PathBuf>),
    /// Write a line where answers go.
    Echo(String),
    /// Tell where this is, and what is set.
    Tell,
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
    /// Answer the last statement again, and keep its only row as variables that begin so.
    Keep(String),
    /// Keep the next answer so.
    KeepNext(String),
    /// Tell the columns of the last statement.
    DescribeLast,
    /// Run a line of the system's shell.
    System(String),
    /// Tell how long each answer took, or no longer.
    Time(Switch),
    /// Show so many rows of a table, and how many of them from the end; all if nothing.
    Rows(Option<(usize, usize)>),
    /// Run the statements and commands of a file.
    Include(PathBuf),
    /// Write answers to a file or a program; to the screen again if nothing is given.
    Output(Option<Place>),
    /// Write the next answer there.
    Once(Place),
    /// Tables are no wider than this; as the terminal, if nothing.
    Width(Option<usize>),
    /// What stands for NULL.
    Null(String),
    /// Whether CSV and TSV have names.
    Header(Switch),
    /// Whether long answers go to a pager, and to which.
    Pager(Switch, Option<String>),
    /// Whether to tell how far slow queries are.
    Progress(Switch),
    /// Whether to show each statement before its answer.
    EchoAll(Switch),
    /// Whether a script ends at its first mistake.
    Bail(Switch),
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

/// Commands that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    General,
    Lake,
    Work,
    Query,
    Answers,
}

impl Group {
    const ALL: [(Self, &'static str); 5] = [
        (Self::General, "General"),
        (Self::Lake, "What there is"),
        (Self::Work, "Work, as `elt COMMAND` does it"),
        (Self::Query, "Statements"),
        (Self::Answers, "Answers"),
    ];
}

struct Command {
    group: Group,
    /// All names, the first as help shows it.
    names: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
    /// Reads what follows the name.
    read: fn(&str) -> Meaning,
}

/// Says what a command asks for. `line` begins with its name.
///
/// # Errors
/// There is no such command, or its arguments make no sense.
pub(super) fn parse(line: &str) -> Meaning {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let exact = |command: &&Command| command.names.contains(&name);
    let any_case = |command: &&Command| command.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_of_others = ELSEWHERE.iter().any(|(names, _)| names.contains(&name));
    let found = COMMANDS.iter().find(exact);
    let found = found.or_else(|| COMMANDS.iter().find(any_case).filter(|_| !is_of_others));
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
    let known = ELSEWHERE.iter().find(|(names, _)| names.contains(&name));
    if let Some((_, instead)) = known {
        return Diagnostic::error("elt::shell::no_such_command", format!("there is no `{name}` here"))
            .help(*instead);
    }
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

/// One command with all its names.
fn one(command: &Command) -> String {
    let call = format!("{} {}", command.names[0], command.arguments);
    let others = match &command.names[1..] {
        [] => String::new(),
        others => format!("\n  also: {}", others.join(", ")),
    };
    format!("{}\n  {}{others}", call.trim_end(), command.help)
}

fn help() -> String {
    let mut text = "A statement of SQL ends with `;`, a command with its line.".to_owned();
    for (group, title) in Group::ALL {
        text += &format!("\n\n{title}");
        for command in COMMANDS.iter().filter(|command| command.group == group) {
            let call = format!("{} {}", command.names[0], command.arguments);
            text += &format!("\n  {call:<26} {}", command.help);
        }
    }
    text + "\n\nDot commands of DuckDB and SQLite are understood too: .tables, .mode, .timer …\n\
            Tab completes; the right arrow takes the grey hint; Ctrl-R searches the history.\n\
            Ctrl-C clears the line or cancels the query."
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
            ("\\g", Action::Again { expanded: false, to: None }),
            ("\\G", Action::Again { expanded: true, to: None }),
            ("\\watch 0.5", Action::Watch(Duration::from_millis(500))),
            ("\\set day '2026-01-31'", Action::Set("day".into(), "2026-01-31".into())),
            ("\\! ls -l", Action::System("ls -l".into())),
            ("\\d+ orders", Action::Answer("describe detail orders".into())),
            ("\\dt+ x*", parse("\\d+ x*").unwrap()),
            (".timer ON", Action::Time(Switch::On)),
            (".mode md", Action::Format(Some(Format::Markdown))),
            (".mode insert shop.orders", Action::InsertInto("shop.orders".into())),
            ("\\rows 20 10", Action::Rows(Some((30, 10)))),
            ("\\rows all", Action::Rows(None)),
            ("\\i 'my file.sql'", Action::Include("my file.sql".into())),
            ("\\o it's.csv", Action::Output(Some(Place::File("it's.csv".into())))),
            ("\\o", Action::Output(None)),
            ("\\o | sort", Action::Output(Some(Place::Program("sort".into())))),
            ("\\dt ord*", Action::Answer("show tables like 'ord%'".into())),
            ("\\chart bar city n", Action::Chart(Picture::Bars, vec!["city".into(), "n".into()])),
            ("\\build -s 'a b'", Action::Verb(vec!["build".into(), "-s".into(), "a b".into()])),
            ("\\x auto", Action::ExpandAuto),
            ("\\pset null -", Action::Null("-".into())),
            (".maxwidth 0", Action::Width(None)),
            (".import 'a.csv' crm.people", Action::Answer("copy into crm.people from 'a.csv'".into())),
            ("\\pager less -S", Action::Pager(Switch::On, Some("less -S".into()))),
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
        assert_eq!(told("\\y"), "there is no command `\\y` (`\\?` lists the commands)");
        assert!(told(".dump t").starts_with("there is no `.dump` here (`copy t to"), "{}", told(".dump t"));
        assert_eq!(told("\\history"), "which table's history? (write `\\history TABLE`)");
        assert_eq!(told("\\x maybe"), "`\\x` is `on` or `off`, not `maybe` (write `\\x [on|off|auto|once]`)");
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
        for (names, instead) in ELSEWHERE {
            assert!(!instead.is_empty() && names.iter().all(|name| parse(name).is_err()), "{names:?}");
        }
    }
}
