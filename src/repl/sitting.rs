//! What does a shell, or a script, remember from one entry to the next?

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::LocalBoxFuture;

use super::bound::{Access, Bound, Open, only_reads};
use super::explain::{explain, placed};
use super::input::{Entry, read};
use super::output::{Target, cannot};
use super::pager::{Pager, Paging};
use super::progress::Meter;
use super::render::{Format, Picture, ShowError, ShowOptions, Shown, chart, show_from, texts};
use super::shell::sent_off;
use super::threads::Threads;
use super::variables::{Filled, Variables};
use crate::base::{Error, ErrorKind, ReleaseNumber, Result, SourceText};
use crate::lakehouse::{Lakehouse, Outcome, Piece, QueryError, Session, SqlMistake, Statement};

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
    /// Whether each statement is shown before its answer, on standard error.
    pub echo: bool,
    /// What a mistake means for what comes after it.
    pub on_error: OnError,
    /// What `:name` stands for, by its name.
    pub variables: Vec<(String, String)>,
}

/// What becomes of a script after a mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It ends.
    #[default]
    Stop,
    /// The mistake is told, the next statement is run, and the script fails at its end.
    Continue,
}

/// Does what a command line says, with the words after the program's name.
pub type Verbs<'a> = &'a (dyn Fn(Vec<String>) -> LocalBoxFuture<'a, Result<()>> + 'a);

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
pub(super) struct Sitting<'a, 'v> {
    pub(super) lakehouse: Lakehouse,
    pub(super) session: Session,
    pub(super) sees: Sees,
    /// Whether somebody chose the release.
    pub(super) chosen: bool,
    pub(super) threads: Threads,
    pub(super) settings: ShellSettings,
    pub(super) out: &'a mut (dyn Write + Send),
    /// Where answers go instead of to `out`.
    pub(super) target: Option<Target>,
    /// Where the next answer goes.
    pub(super) next: Option<Target>,
    pub(super) paging: Paging,
    /// Lines of the terminal; none where nobody reads page by page.
    pub(super) height: Option<usize>,
    /// The width that somebody asked for.
    pub(super) width: Option<usize>,
    pub(super) depth: usize,
    /// What was answered last, for `\\g` and `\\watch`.
    pub(super) last: Option<String>,
    /// What was shown last, which may be what a command asked, for `\\last` and `\\chart`.
    pub(super) shown: Option<String>,
    /// Whether the next answer has one line for each column.
    pub(super) once: bool,
    /// How the next answer is drawn, and by which columns.
    pub(super) picture: Option<(Picture, Vec<String>)>,
    pub(super) variables: Variables,
    /// What the variables begin with that the next answer's only row becomes.
    pub(super) kept: Option<String>,
    /// The commands of the command line.
    pub(super) verbs: Option<Verbs<'v>>,
    /// Whether one of them is at work, which hears Ctrl-C itself.
    pub(super) in_verb: Arc<AtomicBool>,
    /// Mistakes that were told and passed over.
    pub(super) mistakes: usize,
    /// An answer that is a whole file went to `out`.
    is_full: bool,
    /// What was typed before, newest last.
    pub(super) typed: Vec<String>,
    /// The transaction that statements are part of.
    pub(super) open: Option<Open>,
}

impl<'a> Sitting<'a, '_> {
    /// Begins with a session of the release that is asked for.
    pub(super) async fn begin(
        lakehouse: &Lakehouse,
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
        let paging = Paging::of(&lakehouse.world().env);
        let mut variables = Variables::default();
        settings.variables.iter().for_each(|(name, value)| variables.set(name.clone(), value.clone()));
        Ok(Self {
            lakehouse: lakehouse.clone(),
            session,
            sees,
            chosen,
            threads,
            settings,
            out,
            target: None,
            next: None,
            paging,
            height: None,
            width: None,
            depth: 0,
            last: None,
            shown: None,
            once: false,
            picture: None,
            variables,
            kept: None,
            verbs: None,
            in_verb: Arc::default(),
            mistakes: 0,
            is_full: false,
            typed: Vec::new(),
            open: None,
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
            let done = match &entry {
                Entry::Statement(piece) => match sent_off(&source.text, piece.bytes.clone()) {
                    Some(parts) => Box::pin(self.run_parts(source, parts)).await,
                    None => self.answer(source, piece).await,
                },
                Entry::Command(piece) => Box::pin(self.obey(source, piece)).await,
            };
            match done {
                Ok(Flow::Leave) => return Ok(Flow::Leave),
                Ok(Flow::Stay) => {}
                Err(error) if self.settings.on_error == OnError::Continue => {
                    self.mistakes += 1;
                    eprint!("{}", explain(&error, self.settings.show.color, self.settings.show.width));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Stay)
    }

    async fn run_parts(&mut self, source: &SourceText, parts: [String; 2]) -> Result<Flow> {
        for part in &parts {
            if self.run(&SourceText::new(&source.path, part)).await? == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
        Ok(Flow::Stay)
    }

    /// After the future of [`Self::run`] was dropped: leaves what does not stop behind.
    pub(super) fn cancelled(&mut self) {
        self.threads.renew();
        self.depth = 0;
        self.next = None;
        self.kept = None;
        self.session.watch(false);
        self.in_verb.store(false, Ordering::SeqCst);
    }

    /// Answers a statement and shows the answer.
    pub(super) async fn answer(&mut self, source: &SourceText, piece: &Piece) -> Result<Flow> {
        self.last = Some(piece.sql.clone());
        Box::pin(self.answer_for(&piece.sql, source, piece)).await
    }

    /// Answers the statement that stands for a piece: the piece itself, or what a command asks. After a command `\g` runs again
    /// what was run before it.
    pub(super) async fn answer_for(&mut self, sql: &str, source: &SourceText, piece: &Piece) -> Result<Flow> {
        self.follow().await?;
        self.shown = Some(sql.to_owned());
        if self.settings.echo {
            eprintln!("{};", sql.trim_end());
        }
        let begun = Instant::now();
        let filled = self.variables.filled(sql);
        let run = filled.as_ref().map_or(sql, |filled| filled.sql.as_str());
        let as_typed =
            |error: QueryError| placed(at_typed(error, run, filled.as_ref(), sql, piece), source, piece);
        let application = if self.height.is_some() { "shell" } else { "sql" };
        let asked = self.session.asked(run, &self.lakehouse.world().user, application);
        let outcome = match self.outcome(run).await {
            Ok(outcome) => asked.answered(outcome),
            Err(error) => {
                asked.failed(&error);
                self.kept = None;
                return Err(as_typed(error));
            }
        };
        let shown = self.show(outcome).await.map_err(|error| match error {
            NotShown::Show(ShowError::Query(error)) => as_typed(error),
            NotShown::Show(other) => other.into(),
            NotShown::Else(error) => error,
        })?;
        if self.settings.timing {
            eprintln!("Time: {}", duration_words(begun.elapsed()));
        }
        Ok(if shown { Flow::Stay } else { Flow::Leave })
    }

    /// Answers a statement; after one that wrote, what it published is what is read.
    async fn outcome(&mut self, sql: &str) -> Result<Outcome, QueryError> {
        if let Some(bound) = Bound::read(sql) {
            return Box::pin(self.bound(bound)).await;
        }
        let statement = self.session.read(sql)?;
        let (lakehouse, session) = (self.lakehouse.clone(), self.session.clone());
        // Rights stand beside the lake, not in it.
        if matches!(statement, Statement::Roles(_)) {
            let sql = sql.to_owned();
            let told = async move { lakehouse.execute_statement(&session, statement, &sql).await };
            return Ok(on_its_own(&self.threads, told).await?.0);
        }
        if !statement.writes() {
            let used = matches!(statement, Statement::Use { .. }).then(|| statement.clone());
            // On a task of its own, so that long planning can be cancelled too.
            let planned = async move { session.answer(statement).await };
            let outcome = self.watched(planned).await?;
            if let Some(used) = used {
                self.session = self.session.after(&used)?;
            }
            return Ok(outcome);
        }
        if let (true, Some(release)) = (self.chosen, self.release()) {
            return Err(SqlMistake::reads_only(release).into());
        }
        // Whoever writes to a lake that is not there wants one.
        if let Some(made) = self.lakehouse.with_lake().map_err(Box::new)? {
            self.session = self.session.on(made.tables().clone(), self.session.scope().pins().clone());
            self.lakehouse = made;
        }
        if let Some(open) = &self.open {
            if open.access == Access::ReadOnly {
                return Err(only_reads());
            }
            let within = open.transaction.clone();
            return Box::pin(self.write_within(within, sql.to_owned())).await;
        }
        let (lakehouse, session) = (self.lakehouse.clone(), self.session.clone());
        let sql = sql.to_owned();
        let done = async move { lakehouse.execute_statement(&session, statement, &sql).await };
        let (outcome, session) = self.watched(done).await?;
        self.session = session;
        Ok(outcome)
    }

    /// Works on a task of its own, and tells how far that is if it takes long.
    pub(super) async fn watched<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.session.watch(true);
        let mut meter = Meter::of(None, &self.settings.show);
        let mut done = Box::pin(on_its_own(&self.threads, work));
        loop {
            tokio::select! {
                biased;
                done = &mut done => {
                    self.session.watch(false);
                    return done;
                }
                () = meter.pause() => {
                    meter.see(self.session.running());
                    meter.tick();
                }
            }
        }
    }

    /// Keeps the values of an answer's only row as variables, each by the name of its column.
    async fn keep(&mut self, outcome: Outcome, prefix: &str) -> Result<(), NotShown> {
        let (schema, batches) = gathered(&self.threads, outcome).await.map_err(ShowError::from)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows != 1 {
            let what = format!("`\\gset` keeps the values of one row, and the answer has {rows}");
            return Err(Error::user(
                "elt::shell::gset",
                what,
                "select one row: `… limit 1`, or an aggregate",
            )
            .into());
        }
        for batch in batches.iter().filter(|batch| batch.num_rows() == 1) {
            let values = texts(batch)?;
            for (field, value) in schema.fields().iter().zip(values) {
                let name = format!("{prefix}{}", field.name());
                if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    let what = format!("`{name}` cannot name a variable: letters, digits and `_`");
                    return Err(
                        Error::user("elt::shell::gset", what, "give the column a name: `… as n`").into()
                    );
                }
                match value {
                    Some(value) => self.variables.set(name, value),
                    None => self.variables.unset(&name),
                }
            }
        }
        Ok(())
    }

    /// Refuses to leave what was never published without a word.
    ///
    /// # Errors
    /// A transaction is open that wrote something.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.open.take().map(|open| open.transaction.statements()) {
            None | Some(0) => Ok(()),
            Some(statements) => Err(Error::user(
                "elt::sql::in_transaction",
                format!("a transaction was never ended: nothing of its {} is published", counted(statements)),
                "end it by `commit`, or by `rollback` if that is what is meant",
            )),
        }
    }

    /// Says whether anybody still reads.
    async fn show(&mut self, outcome: Outcome) -> Result<bool, NotShown> {
        if let Some(prefix) = self.kept.take() {
            self.keep(outcome, &prefix).await?;
            return Ok(true);
        }
        if let Some((picture, columns)) = self.picture.take() {
            let (schema, batches) = gathered(&self.threads, outcome).await.map_err(ShowError::from)?;
            let width = self.width.or(self.settings.show.width);
            let options = ShowOptions { width, ..ShowOptions::default() };
            let page = chart::draw(picture, &schema, &batches, &columns, &options)
                .map_err(|mistake| Error::new(ErrorKind::User, mistake))?;
            self.write(&page)?;
            return Ok(true);
        }
        let settings = &self.settings;
        let format = if std::mem::take(&mut self.once) { Format::Line } else { settings.format };
        let mut next = self.next.take();
        if let Some(target) = next.as_mut().or(self.target.as_mut()) {
            let format = target.format.unwrap_or(format);
            let options = ShowOptions {
                null: settings.show.null.clone(),
                csv_null: settings.show.csv_null.clone(),
                header: settings.show.header,
                progress: settings.show.progress,
                ..ShowOptions::default()
            };
            let out = target.answer(format)?;
            let shown = show_from(&self.threads, outcome, format, &options, out).await;
            if shown.is_err()
                && let Some(target) = next.as_mut().or(self.target.as_mut())
            {
                target.abandon(format)?;
            }
            let shown = shown?;
            if let Some(next) = next {
                next.close()?;
            }
            return Ok(shown.whole || self.height.is_some());
        }
        if format.is_binary() && std::mem::replace(&mut self.is_full, true) && !settings.show.to_terminal {
            let what = format!("one {format} file is written already, and a second cannot follow it");
            let help = "run one query at a time, or send each to a file of its own: `\\o FILE`";
            return Err(Error::user("elt::shell::full", what, help).into());
        }
        let mut show = settings.show.clone();
        show.width = self.width.or(show.width);
        let Some((height, screen)) = self.height.filter(|_| self.paging.is_on).zip(settings.show.width)
        else {
            return Ok(show_from(&self.threads, outcome, format, &show, self.out).await?.whole);
        };
        let mut pager = Pager::new(self.out, &self.paging, height, screen);
        let shown = show_from(&self.threads, outcome, format, &show, &mut pager).await;
        let finished = pager.finish();
        let Shown { .. } = shown?;
        match finished {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(ShowError::Write(error).into())
            }
            _ => Ok(true), // who leaves the pager stays in the shell
        }
    }

    /// Goes on with the newest release, and tells if it is another.
    pub(super) async fn follow(&mut self) -> Result<()> {
        if self.sees == Sees::Pinned || self.open.is_some() {
            return Ok(());
        }
        let was = self.release();
        // The same session as long as possible, and then one that has what it was given.
        if let Some(newer) = self.lakehouse.newer(&self.session).await? {
            self.session = newer;
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
}

/// The error of a statement where the word was typed that it is about: in a variable's place, or in what a command was given.
fn at_typed(error: QueryError, run: &str, filled: Option<&Filled>, sql: &str, piece: &Piece) -> QueryError {
    let QueryError::Sql(mistake) = error else { return error };
    let mistake = mistake.located(run);
    let Some((line, column)) = mistake.place() else { return mistake.into() };
    let byte = SourceText::new("", run).word_at(line, column).bytes.start;
    let byte = filled.map_or(byte, |filled| filled.typed(byte));
    if piece.sql == sql {
        let place = match filled {
            Some(_) => Some(line_and_column(sql, byte)),
            None => Some((line, column)),
        };
        return mistake.moved(place).into();
    }
    // A command's statement ends as the command does.
    let (typed, sql) = (piece.sql.trim_end().trim_end_matches(';').trim_end(), sql.trim_end());
    let same = typed.bytes().rev().zip(sql.bytes().rev()).take_while(|(one, other)| one == other).count();
    let from_end = sql.len().saturating_sub(byte);
    let place = (from_end > 0 && from_end <= same).then(|| line_and_column(typed, typed.len() - from_end));
    mistake.moved(place).into()
}

/// Line and column of a byte, counted from 1.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let head = text.get(..byte).unwrap_or(text);
    let line = head.matches('\n').count() + 1;
    let column = head.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn counted(statements: usize) -> String {
    if statements == 1 { "statement".to_owned() } else { format!("{statements} statements") }
}

pub(super) async fn on_its_own<T: Send + 'static>(
    threads: &Threads,
    work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
) -> Result<T, QueryError> {
    let mut task = threads.spawn(work);
    match task.join_next().await.expect("one task was spawned") {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The rows of an answer, up to what a picture can show.
async fn gathered(
    threads: &Threads,
    mut outcome: Outcome,
) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
    on_its_own(threads, async move {
        let (schema, mut batches, mut rows) = (Arc::clone(outcome.schema()), Vec::new(), 0);
        while let Some(batch) = outcome.next().await.transpose()? {
            rows += batch.num_rows();
            batches.push(batch);
            if rows >= chart::POINTS {
                break;
            }
        }
        Ok((schema, batches))
    })
    .await
}

/// An answer was not shown.
enum NotShown {
    Show(ShowError),
    Else(Error),
}

impl From<ShowError> for NotShown {
    fn from(error: ShowError) -> Self {
        Self::Show(error)
    }
}

impl From<Error> for NotShown {
    fn from(error: Error) -> Self {
        Self::Else(error)
    }
}

/// Runs a line of the system's own shell.
pub(super) async fn system(line: String) -> Result<()> {
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
    fn a_mistake_is_told_where_it_was_typed() {
        let mistake = |line, column| {
            QueryError::from(SqlMistake::refused("something", "nothing").moved(Some((line, column))))
        };
        let place = |error: QueryError| match error {
            QueryError::Sql(mistake) => mistake.place(),
            _ => None,
        };
        let piece = |sql: &str| Piece { bytes: 0..sql.len(), sql: sql.to_owned() };
        let mut variables = Variables::default();
        variables.set("n".to_owned(), "12345".to_owned());
        let sql = "select :n,\n nope";
        let filled = variables.filled(sql).unwrap();
        let told = at_typed(mistake(2, 2), &filled.sql, Some(&filled), sql, &piece(sql));
        assert_eq!(place(told), Some((2, 2)));
        let told = at_typed(
            mistake(1, 13),
            "select 12345, nope",
            None,
            "select 12345, nope",
            &piece("select 12345, nope"),
        );
        assert_eq!(place(told), Some((1, 13)));
        let told = at_typed(mistake(1, 10), "describe nope", None, "describe nope", &piece("\\d nope"));
        assert_eq!(place(told), Some((1, 4)));
        let told = at_typed(mistake(1, 1), "describe nope", None, "describe nope", &piece("\\d nope"));
        assert_eq!(place(told), None);
    }

    #[test]
    fn times_have_as_many_digits_as_they_deserve() {
        let words = [800, 12_400, 999_000, 3_412_000, 125_000_000]
            .map(|micros| duration_words(Duration::from_micros(micros)));
        assert_eq!(words, ["0.8 ms", "12 ms", "999 ms", "3.41 s", "2 min 5 s"]);
    }
}
