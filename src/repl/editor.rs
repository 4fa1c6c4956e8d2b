//! Where do typed lines come from, and where are they remembered?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, Helper};

use super::command;
use super::complete::complete;
use super::highlight::highlight;
use super::known::Shared;
use super::render::Format;
use super::shell::{Entered, entered};

use crate::base::{Diagnostic, Error, ErrorKind, Result, state_folder};

/// For so long Tab waits for columns that are being learned: nobody notices.
const MOMENT: Duration = Duration::from_millis(80);

/// Statements that the history keeps.
const REMEMBERED: usize = 10_000;

/// What came from the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, or several that were pasted.
    Line(String),
    /// Ctrl-C: what was typed so far is not wanted.
    Cleared,
    /// Ctrl-D: the end.
    Left,
}

/// The line editor of a terminal, with a history that outlives it.
pub(super) struct LineEditor {
    /// Away while it reads, on a thread that may block.
    editor: Option<Editor<Typing, FileHistory>>,
    history: Option<PathBuf>,
}

/// What helps while a line is typed.
struct Typing {
    known: Shared,
    color: bool,
    hinter: HistoryHinter,
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let formats = Format::ALL.map(Format::name);
        let mut is_first = true;
        let begun = Instant::now();
        let (start, offers) = loop {
            let Ok(known) = self.known.read() else { return Ok((cursor, Vec::new())) };
            let mut wanted = Vec::new();
            let (start, offers) = complete(line, cursor, &known, &command::names(), &formats, &mut wanted);
            if wanted.is_empty() || begun.elapsed() > MOMENT {
                break (start, offers);
            }
            if std::mem::take(&mut is_first) {
                known.want(&wanted);
            }
            drop(known);
            std::thread::sleep(Duration::from_millis(5));
        };
        let pair = |offer: super::complete::Offer| Pair { display: offer.shown, replacement: offer.text };
        Ok((start, offers.into_iter().map(pair).collect()))
    }
}

impl Hinter for Typing {
    type Hint = String;

    /// The rest of the last statement that began like this, in grey; the right arrow takes it.
    fn hint(&self, line: &str, cursor: usize, context: &Context<'_>) -> Option<String> {
        if line.trim().is_empty() || line.contains('\n') {
            return None;
        }
        let hint = self.hinter.hint(line, cursor, context)?;
        hint.lines().next().map(str::to_owned).filter(|hint| !hint.is_empty())
    }
}

impl Highlighter for Typing {
    fn highlight<'l>(&self, line: &'l str, cursor: usize) -> Cow<'l, str> {
        if self.color { highlight(line, cursor) } else { Cow::Borrowed(line) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color { Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")) } else { Cow::Borrowed(hint) }
    }

    fn highlight_char(&self, _line: &str, _cursor: usize, _kind: CmdKind) -> bool {
        self.color
    }
}

impl Validator for Typing {
    /// Enter ends a statement that is finished, and a line of one that is not.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match entered(context.input()) {
            Entered::Unfinished => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Helper for Typing {}

impl LineEditor {
    /// Opens the terminal. A history that cannot be read is left alone.
    pub(super) fn open(history: Option<PathBuf>, known: Shared, color: bool) -> Result<Self> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)
            .and_then(|config| config.history_ignore_dups(true));
        let config = config.map_err(no_terminal)?.history_ignore_space(true);
        let colors = if color { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = config.completion_type(CompletionType::List).color_mode(colors).build();
        let entries = FileHistory::with_config(&config);
        let mut editor = Editor::with_history(config, entries).map_err(no_terminal)?;
        editor.set_helper(Some(Typing { known, color, hinter: HistoryHinter::new() }));
        let history =
            history.filter(|path| path.parent().is_none_or(|folder| std::fs::create_dir_all(folder).is_ok()));
        if let Some(path) = &history {
            let _ = editor.load_history(path); // none yet
        }
        Ok(Self { editor: Some(editor), history })
    }

    /// Reads what is typed after `prompt`; `styled` is the same prompt with colours, `begun` what stands there already.
    pub(super) async fn line(&mut self, prompt: String, styled: String, begun: &str) -> Result<Typed> {
        let mut editor = self.editor.take().expect("one line is read at a time");
        let begun = begun.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let typed = editor.readline_with_initial(&(prompt, styled), (&begun, ""));
            (editor, typed)
        });
        let (editor, typed) = reading.await.map_err(|_| no_terminal(ReadlineError::Eof))?;
        self.editor = Some(editor);
        match typed {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Cleared),
            Err(ReadlineError::Eof) => Ok(Typed::Left),
            Err(error) => Err(no_terminal(error)),
        }
    }

    /// Puts a text into the history, and at once into its file (mode 0600).
    ///
    /// A file that cannot be written is told of once, and then left alone.
    pub(super) fn remember(&mut self, text: &str) {
        let Some(editor) = &mut self.editor else { return };
        let kept = editor.add_history_entry(text.trim_end());
        if let Some(path) = &self.history
            && let Err(error) = kept.and_then(|_| editor.append_history(path))
        {
            eprintln!("the history is not kept in {}: {error}", path.display());
            self.history = None;
        }
    }

    /// The terminal's width and height, as they are now.
    pub(super) fn size(&mut self) -> (Option<usize>, Option<usize>) {
        let size = self.editor.as_mut().and_then(size_of);
        (size.map(|(width, _)| width), size.map(|(_, height)| height))
    }

    /// What was typed before, newest last.
    pub(super) fn typed(&self) -> Vec<String> {
        self.editor.iter().flat_map(|editor| editor.history().iter().cloned()).collect()
    }
}

/// How many columns the terminal at the standard output has; nothing if that is no terminal.
pub fn terminal_width() -> Option<usize> {
    size_of(&mut Editor::<(), FileHistory>::new().ok()?).map(|(width, _)| width)
}

fn size_of<H: Helper>(editor: &mut Editor<H, FileHistory>) -> Option<(usize, usize)> {
    let (width, height) = editor.dimensions()?;
    Some((usize::from(width), usize::from(height))).filter(|(width, height)| *width > 0 && *height > 0)
}

fn no_terminal(error: ReadlineError) -> Error {
    let what = format!("the terminal cannot be read: {error}");
    Error::new(ErrorKind::Unavailable, Diagnostic::error("elt::shell::terminal", what))
}

/// Where the history is kept: `$ELT_HISTORY`, or `elt/history` where a user's state belongs.
///
/// Nothing if `$ELT_HISTORY` is empty, or nobody says where home is.
pub(super) fn history_path(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    match env.get("ELT_HISTORY") {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(state_folder(env)?.join("history")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_where_the_environment_says() {
        let path = |pairs: &[(&str, &str)]| {
            let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            history_path(&env).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(path(&[home]).as_deref(), Some("/home/ada/.local/state/elt/history"));
        assert_eq!(path(&[home, ("XDG_STATE_HOME", "/state")]).as_deref(), Some("/state/elt/history"));
        assert_eq!(
            path(&[home, ("XDG_STATE_HOME", "relative")]).as_deref(),
            Some("/home/ada/.local/state/elt/history")
        );
        assert_eq!(path(&[home, ("ELT_HISTORY", "here.txt")]).as_deref(), Some("here.txt"));
        assert_eq!(path(&[home, ("ELT_HISTORY", "")]), None);
        assert_eq!(path(&[]), None);
    }

    #[test]
    fn statements_of_many_lines_are_remembered_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/elt/history");
        let mut editor = LineEditor::open(Some(path.clone()), Shared::default(), false).unwrap();
        editor.remember("select 1,\n  '\\n';\n");
        editor.remember("\\dt");
        let again = LineEditor::open(Some(path.clone()), Shared::default(), false).unwrap().editor.unwrap();
        let entries: Vec<&String> = again.history().iter().collect();
        assert_eq!(entries, ["select 1,\n  '\\n';", "\\dt"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
