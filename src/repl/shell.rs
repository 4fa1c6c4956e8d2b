//! How does a conversation at a terminal go?

use std::io;

use super::editor::{LineEditor, Typed, history_path};
use super::explain::explain;
use super::input::{is_command_within, is_complete};
use super::interrupt::interrupted;
use super::known::{Shared, learn};
use super::scan::{Kind, scan};
use super::sitting::{Flow, Sees, ShellSettings, Sitting};
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
pub async fn shell(lakehouse: &Lakehouse, settings: ShellSettings) -> Result<()> {
    let color = settings.show.color;
    let mut out = io::stdout();
    let mut sitting = Sitting::begin(lakehouse, settings, Sees::Newest, Threads::own(), &mut out).await?;
    let known = Shared::default();
    learn(&known, sitting.session());
    let mut editor = LineEditor::open(history_path(&lakehouse.world().env), Shared::clone(&known), color)?;
    eprintln!("elt {}. `\\?` lists the commands, Ctrl-D leaves.", env!("CARGO_PKG_VERSION"));
    let mut typed = String::new();
    loop {
        let (prompt, styled) =
            if typed.is_empty() { prompt(lakehouse, &sitting, color) } else { more(color) };
        match editor.line(prompt, styled, &typed).await? {
            Typed::Left => return Ok(()),
            Typed::Cleared => typed.clear(),
            Typed::Line(line) => {
                // The history keeps what was typed, and not what `\\gx` makes of it.
                let sent_off = sent(&typed, &line).map(|_| format!("{typed}{line}"));
                let text = match entered(&mut typed, line) {
                    Some(text) if !text.trim().is_empty() => text,
                    _ => continue,
                };
                editor.remember(sent_off.as_deref().unwrap_or(&text));
                sitting.settings.show.width = editor.width();
                let release = sitting.release();
                if run(&mut sitting, &SourceText::new("statement", &text)).await == Flow::Leave {
                    return Ok(());
                }
                if sitting.release() != release {
                    learn(&known, sitting.session());
                }
            }
        }
    }
}

/// Adds a line to what was typed; returns what is to be run now, if that is finished.
///
/// A command in the middle of a statement is run at once, and the statement waits for it.
fn entered(typed: &mut String, line: String) -> Option<String> {
    if let Some(text) = sent(typed, &line) {
        typed.clear();
        return Some(text);
    }
    if is_command_within(typed, &line) {
        return Some(line);
    }
    typed.push_str(&line);
    typed.push('\n');
    is_complete(typed).then(|| std::mem::take(typed))
}

/// A statement that a command at its end sends off: `\g`, `\gx`, `\G`, `\watch`.
fn sent(typed: &str, line: &str) -> Option<String> {
    let whole = format!("{typed}{line}");
    let bits = scan(&whole);
    let solid: Vec<_> = bits.iter().filter(|bit| bit.kind != Kind::Space).collect();
    let at = solid.iter().rposition(|bit| bit.text == "\\")?;
    let word = solid.get(at + 1).filter(|word| word.start == solid[at].end())?;
    let sql = whole[..solid[at].start].trim_end().trim_end_matches(';');
    if sql.trim().is_empty() || sql.trim_start().starts_with(['\\', '.']) {
        return None;
    }
    match (word.text, &solid[at + 2..]) {
        ("g", []) => Some(format!("{sql}\n;")),
        ("gx" | "G", []) => Some(format!("\\x once\n{sql}\n;")),
        ("watch", []) => Some(format!("{sql}\n;\n\\watch")),
        ("watch", [seconds]) => Some(format!("{sql}\n;\n\\watch {}", seconds.text)),
        _ => None,
    }
}

/// Runs what was typed, until it is done or Ctrl-C is pressed, and tells what went wrong.
async fn run(sitting: &mut Sitting<'_>, source: &SourceText) -> Flow {
    let answered = tokio::select! {
        biased;
        () = interrupted() => None,
        answered = Box::pin(sitting.run(source)) => Some(answered),
    };
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
fn prompt(lakehouse: &Lakehouse, sitting: &Sitting<'_>, color: bool) -> (String, String) {
    let Some(release) = sitting.release() else { return bold("elt", "> ", color) };
    let folder = lakehouse.root().file_name().map(|name| name.to_string_lossy().into_owned());
    let pinned = if sitting.sees() == Sees::Pinned { " pinned" } else { "" };
    bold(folder.as_deref().unwrap_or("elt"), &format!("@release {release}{pinned}> "), color)
}

fn more(color: bool) -> (String, String) {
    bold("", "...> ", color)
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
        let mut typed = String::new();
        let mut told =
            |line: &str| entered(&mut typed, line.to_owned()).map(|text| text.trim_end().to_owned());
        assert_eq!(told("select 1"), None);
        assert_eq!(told("\\d orders").as_deref(), Some("\\d orders"));
        assert_eq!(told("  , 'a"), None);
        assert_eq!(told("\\q';").as_deref(), Some("select 1\n  , 'a\n\\q';"));
        assert_eq!(told("\\dt").as_deref(), Some("\\dt"));
        assert_eq!(told("").as_deref(), Some(""));
    }

    #[test]
    fn a_command_at_the_end_sends_a_statement_off() {
        let mut typed = String::new();
        let mut told = |line: &str| entered(&mut typed, line.to_owned());
        assert_eq!(told("select 1 \\g").as_deref(), Some("select 1\n;"));
        assert_eq!(told("select 1"), None);
        assert_eq!(told("\\gx").as_deref(), Some("\\x once\nselect 1\n;"));
        assert_eq!(told("select 1 \\watch 0.5").as_deref(), Some("select 1\n;\n\\watch 0.5"));
        assert_eq!(told("\\g").as_deref(), Some("\\g"), "what was run last");
        assert_eq!(told("select '\\g"), None);
    }
}
