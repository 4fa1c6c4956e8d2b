//! What does a shell, or a script, remember from one entry to the next?

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::command::{self, Action, Wanted};
use super::explain::{at_piece, placed};
use super::input::{Entry, read};
use super::render::{Format, ShowError, ShowOptions, show_from};
use super::threads::Threads;
use super::variables::Variables;
use crate::base::{Diagnostic, Error, ErrorKind, ReleaseNumber, Result, SourceText};
use crate::lakehouse::{Lakehouse, Outcome, Piece, QueryError, Session, SqlMistake};

/// Files that include files that include files: deeper than this, they go round in circles.
const DEEPEST: usize = 16;

/// How a shell or a script begins.
#[derive(Clone, Debug, Default)]
pub struct ShellSettings {
    /// How answers are shown.
    pub format: Format,
    /// How much of them, and with which means.
    pub show: ShowOptions,
    /// Whether to tell how long each answer took.
    pub timing: bool,
    /// The release to read; the newest if nothing.
    pub release: Option<ReleaseNumber>,
}

/// Whether what is seen changes while nobody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    /// Each statement reads the newest release.
    Newest,
    /// All statements read the same release.
    Pinned,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Flow {
    Stay,
    Leave,
}

/// A lakehouse, somebody who asks, and what was agreed on so far.
pub(super) struct Sitting<'a> {
    lakehouse: &'a Lakehouse,
    session: Session,
    sees: Sees,
    /// Whether somebody chose the release.
    chosen: bool,
    threads: Threads,
    pub(super) settings: ShellSettings,
    out: &'a mut (dyn Write + Send),
    file: Option<(PathBuf, BufWriter<File>)>,
    depth: usize,
    /// What was answered last, for `\\g` and `\\watch`.
    last: Option<String>,
    /// Whether the next answer has one line for each column.
    once: bool,
    variables: Variables,
}

impl<'a> Sitting<'a> {
    /// Begins with a session of the release that is asked for.
    pub(super) async fn begin(
        lakehouse: &'a Lakehouse,
        settings: ShellSettings,
        sees: Sees,
        threads: Threads,
        out: &'a mut (dyn Write + Send),
    ) -> Result<Self> {
        let (session, sees) = match settings.release {
            Some(number) => (lakehouse.session_at(number).await?, Sees::Pinned),
            None => (lakehouse.session().await?, sees),
        };
        let chosen = settings.release.is_some();
        Ok(Self {
            lakehouse,
            session,
            sees,
            chosen,
            threads,
            settings,
            out,
            file: None,
            depth: 0,
            last: None,
            once: false,
            variables: Variables::default(),
        })
    }

    /// The release that is read.
    pub(super) fn release(&self) -> Option<ReleaseNumber> {
        self.session.scope().pins().release
    }

    /// The session that statements are answered in.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Whether it stays the same when a newer one comes.
    pub(super) fn sees(&self) -> Sees {
        self.sees
    }

    /// Runs a text from its first entry to its last, or to the first mistake.
    ///
    /// Dropping the future cancels the entry at work; what was agreed on before it stays.
    pub(super) async fn run(&mut self, source: &SourceText) -> Result<Flow> {
        for entry in read(&source.text).all() {
            let flow = match &entry {
                Entry::Statement(piece) => self.answer(source, piece).await?,
                Entry::Command(piece) => self.obey(source, piece).await?,
            };
            if flow == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
        Ok(Flow::Stay)
    }

    /// After the future of [`Self::run`] was dropped: leaves what does not stop behind.
    pub(super) fn cancelled(&mut self) {
        self.threads.renew();
        self.depth = 0;
    }

    /// Answers a statement and shows the answer.
    async fn answer(&mut self, source: &SourceText, piece: &Piece) -> Result<Flow> {
        self.follow().await?;
        self.last = Some(piece.sql.clone());
        if let Some(sql) = self.variables.fill(&piece.sql) {
            let source = SourceText::new(&source.path, &sql);
            return self.answered(&source, &Piece { bytes: 0..sql.len(), sql }).await;
        }
        self.answered(source, piece).await
    }

    async fn answered(&mut self, source: &SourceText, piece: &Piece) -> Result<Flow> {
        let begun = Instant::now();
        let outcome = self.outcome(&piece.sql).await.map_err(|error| placed(error, source, piece))?;
        let shown = self.show(outcome).await.map_err(|error| match error {
            ShowError::Query(error) => placed(error, source, piece),
            other => other.into(),
        })?;
        if self.settings.timing {
            eprintln!("Time: {}", duration_words(begun.elapsed()));
        }
        Ok(if shown { Flow::Stay } else { Flow::Leave })
    }

    /// Answers a statement; after one that wrote, what it published is what is read.
    async fn outcome(&mut self, sql: &str) -> Result<Outcome, QueryError> {
        if !self.session.writes(sql)? {
            return planned(&self.threads, &self.session, sql).await;
        }
        if let (true, Some(release)) = (self.chosen, self.release()) {
            return Err(SqlMistake::reads_only(release).into());
        }
        let (lakehouse, session, sql) = (self.lakehouse.clone(), self.session.clone(), sql.to_owned());
        let (outcome, session) =
            on_its_own(&self.threads, async move { lakehouse.execute(&session, &sql).await }).await?;
        self.session = session;
        Ok(outcome)
    }

    /// Says whether anybody still reads.
    async fn show(&mut self, outcome: Outcome) -> Result<bool, ShowError> {
        let settings = &self.settings;
        let format = if std::mem::take(&mut self.once) { Format::Line } else { settings.format };
        let shown = match &mut self.file {
            Some((_, file)) => {
                let options = ShowOptions { null: settings.show.null.clone(), ..ShowOptions::default() };
                show_from(&self.threads, outcome, format, &options, file).await?
            }
            None => show_from(&self.threads, outcome, format, &settings.show, self.out).await?,
        };
        Ok(shown.whole)
    }

    /// Goes on with the newest release, and tells if it is another.
    async fn follow(&mut self) -> Result<()> {
        if self.sees == Sees::Pinned {
            return Ok(());
        }
        let was = self.release();
        let newest = self.lakehouse.session().await?;
        // The same session as long as possible: it also holds what `SET` has set.
        if newest.scope().pins().release != was {
            self.session = newest;
            match (was, self.release()) {
                (Some(was), Some(now)) => {
                    eprintln!("release {now} is out: reading it now, no longer release {was}")
                }
                (_, Some(now)) => eprintln!("release {now} is out: reading it now"),
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Does what a command asks for.
    async fn obey(&mut self, source: &SourceText, piece: &Piece) -> Result<Flow> {
        let action = command::parse(&piece.sql).map_err(|mistake| at_piece(mistake, source, piece))?;
        let settings = &mut self.settings;
        match action {
            Action::Leave => return Ok(Flow::Leave),
            Action::Say(text) => eprintln!("{text}"),
            Action::Answer(sql) => {
                let statement = SourceText::new(&source.path, &sql);
                let whole = Piece { bytes: 0..sql.len(), sql };
                return self.answer(&statement, &whole).await;
            }
            Action::Format(Some(format)) => settings.format = format,
            Action::Format(None) => eprintln!("the format is: {}", settings.format),
            Action::ExpandOnce => self.once = true,
            Action::Again { expanded } => {
                self.once = expanded;
                return self.again().await;
            }
            Action::Watch(pause) => return self.watch(pause).await,
            Action::Edit(path) => return self.edit(path).await,
            Action::Variables => eprint!("{}", self.variables),
            Action::Set(name, value) => self.variables.set(name, value),
            Action::Unset(name) => self.variables.unset(&name),
            Action::System(line) => system(line).await?,
            Action::Expand(switch) => {
                let on = switch.turn(settings.format == Format::Line);
                settings.format = if on { Format::Line } else { Format::Table };
                eprintln!("one line for each column: {}", on_off(on));
            }
            Action::Time(switch) => {
                settings.timing = switch.turn(settings.timing);
                eprintln!("timing: {}", on_off(settings.timing));
            }
            Action::Rows(rows) => {
                settings.show.max_rows = rows.map(|(most, _)| most);
                settings.show.last_rows = rows.map_or(0, |(_, last)| last);
            }
            Action::Include(path) => return self.include(path).await,
            Action::Output(path) => self.redirect(path)?,
            Action::Release(wanted) => self.turn_to(wanted).await?,
        }
        Ok(Flow::Stay)
    }

    /// Answers once more what was answered last.
    async fn again(&mut self) -> Result<Flow> {
        let Some(sql) = self.last.clone() else {
            let help = "type a statement first, then `\\g`";
            return Err(Error::user("elt::shell::nothing", "there is no statement yet".to_owned(), help));
        };
        let source = SourceText::new("statement", &sql);
        Box::pin(self.answer(&source, &Piece { bytes: 0..sql.len(), sql })).await
    }

    /// Answers it again and again, with pauses, until Ctrl-C.
    async fn watch(&mut self, pause: Duration) -> Result<Flow> {
        loop {
            tokio::time::sleep(pause).await;
            if self.again().await? == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
    }

    /// Opens an editor on a file, or on the last statement, and runs what was saved.
    async fn edit(&mut self, path: Option<PathBuf>) -> Result<Flow> {
        let world = self.lakehouse.world();
        let named = |name: &str| world.env.get(name).filter(|value| !value.is_empty());
        let editor = named("VISUAL").or_else(|| named("EDITOR")).map_or("vi", String::as_str);
        let own = path.is_none();
        let path = path.unwrap_or_else(|| std::env::temp_dir().join(format!("elt_{}.sql", world.pid)));
        if own {
            let text = self.last.as_ref().map_or_else(String::new, |sql| format!("{sql};\n"));
            std::fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
        }
        system(format!("{editor} '{}'", path.display())).await?;
        let text = std::fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error));
        if own {
            drop(std::fs::remove_file(&path));
        }
        let source = SourceText::new("statement", &text?);
        Box::pin(self.run(&source)).await
    }

    /// Runs a file. Boxed, because a file may include another.
    fn include(&mut self, path: PathBuf) -> BoxFuture<'_, Result<Flow>> {
        Box::pin(async move {
            let text = std::fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
            if self.depth == DEEPEST {
                let what = format!("{} is included by itself", path.display());
                return Err(Error::user(
                    "elt::shell::include",
                    what,
                    "take the `\\i` out of one of the files",
                ));
            }
            self.depth += 1;
            let flow = self.run(&SourceText::new(&path.to_string_lossy(), &text)).await;
            self.depth -= 1;
            flow
        })
    }

    /// Sends answers to a file, made anew, or to the screen again.
    fn redirect(&mut self, path: Option<PathBuf>) -> Result<()> {
        self.file = match path {
            None => None,
            Some(path) => {
                let file = File::create(&path).map_err(|error| cannot("write", &path, &error))?;
                eprintln!("answers go to: {}", path.display());
                Some((path, BufWriter::new(file)))
            }
        };
        Ok(())
    }

    async fn turn_to(&mut self, wanted: Wanted) -> Result<()> {
        match wanted {
            Wanted::Told => {}
            Wanted::Newest => {
                self.chosen = false;
                (self.session, self.sees) = (self.lakehouse.session().await?, Sees::Newest);
            }
            Wanted::Number(number) => {
                self.chosen = true;
                (self.session, self.sees) = (self.lakehouse.session_at(number).await?, Sees::Pinned);
            }
        }
        match (self.release(), self.sees) {
            (None, _) => eprintln!("the lake has no release yet"),
            (Some(release), Sees::Newest) => eprintln!("reading release {release}, the newest"),
            (Some(release), Sees::Pinned) => eprintln!("reading release {release} until `\\release latest`"),
        }
        Ok(())
    }
}

/// Plans a statement on a task of its own, so that long planning can be cancelled too.
async fn planned(threads: &Threads, session: &Session, sql: &str) -> Result<Outcome, QueryError> {
    let (session, sql) = (session.clone(), sql.to_owned());
    on_its_own(threads, async move { session.execute(&sql).await }).await
}

async fn on_its_own<T: Send + 'static>(
    threads: &Threads,
    work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
) -> Result<T, QueryError> {
    let mut task = threads.spawn(work);
    match task.join_next().await.expect("one task was spawned") {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Runs a line of the system's own shell.
async fn system(line: String) -> Result<()> {
    let run = move || std::process::Command::new("sh").arg("-c").arg(&line).status();
    let ended =
        tokio::task::spawn_blocking(run).await.map_err(|error| std::io::Error::other(error.to_string()));
    match ended.and_then(|status| status) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            eprintln!("{status}");
            Ok(())
        }
        Err(error) => Err(cannot("run", Path::new("sh"), &error)),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot {what} {}: {error}", path.display());
    Error::new(ErrorKind::User, Diagnostic::error("elt::shell::file", message))
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// `0.8 ms`, `12 ms`, `3.41 s`, `2 min 5 s`
fn duration_words(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..100.0 => format!("{seconds:.2} s"),
        _ => format!("{} min {} s", took.as_secs() / 60, took.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_as_many_digits_as_they_deserve() {
        let words = [800, 12_400, 999_000, 3_412_000, 125_000_000]
            .map(|micros| duration_words(Duration::from_micros(micros)));
        assert_eq!(words, ["0.8 ms", "12 ms", "999 ms", "3.41 s", "2 min 5 s"]);
    }
}
