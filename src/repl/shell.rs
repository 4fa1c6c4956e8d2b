//! How does a conversation at a terminal go?

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::editor::{LineEditor, Typed, history_path};
use super::explain::explain;
use super::input::{is_command_within, is_complete};
use super::interrupt::interrupted;
use super::known::{Shared, learn};
use super::scan::{Kind, scan};
use super::sitting::{Flow, Sees, ShellSettings, Sitting, Verbs};
use super::threads::Threads;
use crate::base::{Result, SourceText};
use crate::lakehouse::Lakehouse;

/// Talks with a person at a terminal until they leave.
///
/// Each statement reads the newest release, unless one was asked for. Ctrl-C at the prompt clears what
/// was typed; during a query it cancels the query. Mistakes are told, and the conversation goes on.
///
/// # Errors
/// The lake cannot be opened, or the terminal cannot be read.
pub async fn shell(lakehouse: &Lakehouse, settings: ShellSettings, verbs: Option<Verbs<'_>>) -> Result<()> {
    let color = settings.show.color;
    let mut out = io::stdout();
    let is_seen = settings.show.to_terminal;
    let mut sitting = Sitting::begin(lakehouse, settings, Sees::Newest, Threads::own(), &mut out).await?;
    sitting.verbs = verbs;
    let known = Shared::default();
    learn(&known, sitting.session());
    let mut editor = LineEditor::open(history_path(&lakehouse.world().env), Shared::clone(&known), color)?;
    sitting.typed = editor.typed();
    eprintln!("elt {}. `\\?` lists the commands, Ctrl-D leaves.", env!("CARGO_PKG_VERSION"));
    let mut waiting = String::new();
    loop {
        let (prompt, styled) = prompt(lakehouse, &sitting, color);
        let line = match editor.line(prompt, styled, &std::mem::take(&mut waiting)).await? {
            Typed::Left => return sitting.end(),
            Typed::Cleared => continue,
            Typed::Line(line) => line,
        };
        // The history keeps what was typed, and not what `\\gx` makes of it.
        let (text, remembered) = match entered(&line) {
            Entered::Aside { command, rest } => {
                waiting = rest;
                (command.clone(), command)
            }
            Entered::Run(text) => (text, line),
            Entered::OfText { command, text } => {
                if command.starts_with("\\p") {
                    waiting = format!("{text}\n");
                }
                sitting.last = Some(text);
                (command, line)
            }
            Entered::Unfinished => (line.clone(), line),
        };
        if text.trim().is_empty() {
            continue;
        }
        editor.remember(&remembered);
        sitting.typed.push(remembered);
        let (width, height) = editor.size();
        sitting.settings.show.width = width.filter(|_| is_seen);
        sitting.height = height.filter(|_| is_seen);
        let release = sitting.release();
        if run(&mut sitting, &SourceText::new("statement", &text)).await == Flow::Leave {
            return sitting.end();
        }
        if sitting.release() != release || sitting.session().has_news() {
            learn(&known, sitting.session());
        }
    }
}

/// What Enter makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It goes on in the next line.
    Unfinished,
    /// This is to be run.
    Run(String),
    /// A command in the middle of a statement: it is run at once, and the statement waits for it.
    Aside { command: String, rest: String },
    /// A command about the statement that it stands in, or below: `\e` takes it to the editor, `\p` shows it.
    OfText { command: String, text: String },
}

/// Looks whether a text is finished.
pub(super) fn entered(text: &str) -> Entered {
    if let Some(text) = sent(text) {
        return Entered::Run(text);
    }
    if let Some((sql, command)) = of_text(text) {
        return Entered::OfText { command, text: sql };
    }
    if let Some((before, line)) = text.rsplit_once('\n')
        && !before.trim().is_empty()
        && is_command_within(before, line)
        && !is_complete(before)
    {
        return Entered::Aside { command: line.to_owned(), rest: format!("{before}\n") };
    }
    if is_complete(text) { Entered::Run(text.to_owned()) } else { Entered::Unfinished }
}

/// A statement among others that a command at the end of a line sends off, and what follows it; both stand on the lines on
/// which they stand in `text`.
pub(super) fn sent_off(text: &str, statement: Range<usize>) -> Option<[String; 2]> {
    let whole = &text[statement.clone()];
    let command = scan(whole).into_iter().find(|bit| bit.text == "\\")?.start;
    let end = whole[command..].find('\n').map_or(whole.len(), |length| command + length);
    let blank = |bytes: &str| bytes.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let first = blank(&text[..statement.start]) + &sent(&whole[..end])?;
    let rest = blank(&text[..statement.start + end]) + &whole[end..] + ";";
    Some([first, if whole[end..].trim().is_empty() { String::new() } else { rest }])
}

/// A statement that a command at its end sends off: `\g`, `\gx`, `\G`, `\gset`, `\gdesc`, `\watch`, `\chart`.
fn sent(whole: &str) -> Option<String> {
    let (at, word, after) = command_at_the_end(whole)?;
    let sql = whole[..at].trim_end().trim_end_matches(';');
    match (word, after) {
        ("g", "") => Some(format!("{sql}\n;")),
        ("g", place) => Some(format!(".once {place}\n{sql}\n;")),
        ("gx" | "G", "") => Some(format!("\\x once\n{sql}\n;")),
        ("gx" | "G", place) => Some(format!(".once {place}\n\\x once\n{sql}\n;")),
        ("gset", prefix) => Some(format!("\\gset !{prefix}\n{sql}\n;")),
        ("gdesc", "") => Some(format!("describe {sql}\n;")),
        ("watch", "") => Some(format!("{sql}\n;\n\\watch")),
        ("watch", seconds) => Some(format!("{sql}\n;\n\\watch {seconds}")),
        // Psql's, each with what does the same here.
        ("gexec" | "crosstabview" | "bind" | "parse", _) => Some(format!("\\{word}")),
        ("chart", picture) if !picture.is_empty() => Some(format!("\\chart next {picture}\n{sql}\n;")),
        _ => None,
    }
}

/// An unfinished statement, and the command at its end that is about it.
fn of_text(whole: &str) -> Option<(String, String)> {
    let (at, word, after) = command_at_the_end(whole)?;
    let sql = whole[..at].trim_end();
    let is_one = matches!(word, "e" | "edit" | "p") && after.is_empty() && !sql.ends_with(';');
    is_one.then(|| (sql.to_owned(), format!("\\{}", if word == "p" { "p" } else { "e" })))
}

/// Where the command stands that ends a text of SQL, its word, and what follows it.
fn command_at_the_end(whole: &str) -> Option<(usize, &str, &str)> {
    let bits = scan(whole);
    let solid: Vec<_> = bits.iter().filter(|bit| bit.kind != Kind::Space).collect();
    let at = solid.iter().rposition(|bit| bit.text == "\\")?;
    let word = solid.get(at + 1).filter(|word| word.start == solid[at].end())?;
    let (sql, after) = (whole[..solid[at].start].trim(), whole[word.end()..].trim());
    let is_of_sql = !sql.trim_end_matches(';').trim().is_empty() && !sql.starts_with(['\\', '.']);
    (is_of_sql && !after.contains('\n')).then(|| (solid[at].start, word.text, after))
}

/// Runs what was typed, until it is done or Ctrl-C is pressed, and tells what went wrong.
async fn run(sitting: &mut Sitting<'_, '_>, source: &SourceText) -> Flow {
    let in_verb = Arc::clone(&sitting.in_verb);
    let mut running = Box::pin(sitting.run(source));
    let answered = loop {
        tokio::select! {
            biased;
            // A command of the command line hears it too, and knows when it may stop.
            () = interrupted() => if !in_verb.load(Ordering::SeqCst) { break None },
            answered = &mut running => break Some(answered),
        }
    };
    drop(running);
    match answered {
        Some(Ok(flow)) => return flow,
        Some(Err(error)) => {
            eprint!("{}", explain(&error, sitting.settings.show.color, sitting.settings.show.width))
        }
        None => {
            sitting.cancelled();
            eprintln!("cancelled");
        }
    }
    Flow::Stay
}

/// `shop@release 3> `, plain and with colours.
fn prompt(lakehouse: &Lakehouse, sitting: &Sitting<'_, '_>, color: bool) -> (String, String) {
    let Some(release) = sitting.release() else {
        return bold("elt", if sitting.open.is_some() { "*> " } else { "> " }, color);
    };
    // A lake of its own is known by its own name; the one in the project's folder by that of the project.
    let lake = lakehouse.tables().lake().folder().filter(|lake| !lake.starts_with(lakehouse.root()));
    let place = lake.unwrap_or_else(|| lakehouse.root());
    let folder = place.file_name().map(|name| name.to_string_lossy().into_owned());
    let pinned = if sitting.sees() == Sees::Pinned { " pinned" } else { "" };
    let open = if sitting.open.is_some() { "*" } else { "" };
    bold(folder.as_deref().unwrap_or("elt"), &format!("@release {release}{pinned}{open}> "), color)
}

fn bold(name: &str, rest: &str, color: bool) -> (String, String) {
    let plain = format!("{name}{rest}");
    let styled = if color { format!("\x1b[1;32m{name}\x1b[0m\x1b[32m{rest}\x1b[0m") } else { plain.clone() };
    (plain, styled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_for_their_end_and_commands_do_not() {
        let run = |text: &str| Entered::Run(text.to_owned());
        assert_eq!(entered("select 1"), Entered::Unfinished);
        let aside = Entered::Aside { command: "\\d orders".into(), rest: "select 1\n".into() };
        assert_eq!(entered("select 1\n\\d orders"), aside);
        let of_text =
            |command: &str| Entered::OfText { command: command.to_owned(), text: "select 1".to_owned() };
        assert_eq!(entered("select 1 \\e"), of_text("\\e"));
        assert_eq!(entered("select 1\n\\edit"), of_text("\\e"));
        assert_eq!(entered("select 1\n\\p"), of_text("\\p"));
        assert_eq!(entered("\\e"), run("\\e"), "what was run last");
        assert_eq!(entered("select 1; \\e"), run("select 1; \\e"), "run first");
        assert_eq!(entered("select 1\n, 'a"), Entered::Unfinished);
        assert_eq!(entered("select 1\n, 'a\n\\q';"), run("select 1\n, 'a\n\\q';"));
        assert_eq!(entered("\\dt"), run("\\dt"));
        assert_eq!(entered("select 1;\n\\dt"), run("select 1;\n\\dt"));
        assert_eq!(entered(""), run(""));
    }

    #[test]
    fn a_command_at_the_end_sends_a_statement_off() {
        let told = |text: &str| match entered(text) {
            Entered::Run(text) => Some(text),
            _ => None,
        };
        assert_eq!(told("select 1 \\g").as_deref(), Some("select 1\n;"));
        assert_eq!(told("select 1 \\g out.csv").as_deref(), Some(".once out.csv\nselect 1\n;"));
        assert_eq!(told("select 1\n\\gx").as_deref(), Some("\\x once\nselect 1\n;"));
        assert_eq!(told("select 1 \\watch 0.5").as_deref(), Some("select 1\n;\n\\watch 0.5"));
        assert_eq!(told("select 1 as a \\gset x_").as_deref(), Some("\\gset !x_\nselect 1 as a\n;"));
        assert_eq!(told("select 1 as a\n\\gdesc").as_deref(), Some("describe select 1 as a\n;"));
        assert_eq!(told("select 1 \\gexec").as_deref(), Some("\\gexec"));
        assert_eq!(told("select 1;\\chart hist").as_deref(), Some("\\chart next hist\nselect 1\n;"));
        assert_eq!(told("\\g").as_deref(), Some("\\g"), "what was run last");
        assert_eq!(told("select '\\g"), None);
        let text = "select 1;\nselect 2 \\gx\nselect '\\g'";
        let [first, rest] = sent_off(text, 10..text.len()).unwrap();
        assert_eq!(first, "         \n\\x once\nselect 2\n;");
        assert_eq!(rest, "         \n            \nselect '\\g';");
    }
}
