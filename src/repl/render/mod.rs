//! How is an answer shown?
//!
//! As a box for people, or as text that the next program reads. [`show`] takes the rows as they are
//! found, lets one `Renderer` turn each batch into text, and writes that text before it asks for more.
//!
//! Not here: where the text goes, and what is said about it (`sitting`).

mod binary;
mod cell;
pub(super) mod chart;
mod csv;
mod html;
mod insert;
mod json;
mod layout;
mod line;
mod markdown;
mod plan;
mod table;

pub(super) use chart::Picture;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::progress::Meter;
use super::threads::Threads;
use crate::base::{Error, did_you_mean, grouped};
use crate::lakehouse::{Outcome, QueryError};

/// The shape in which rows are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// A box with names and types; fits the terminal.
    #[default]
    Table,
    /// One line for each column of each row.
    Line,
    /// RFC 4180 with a header. NULL is empty; an empty text is `""`.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// A pipe table.
    Markdown,
    /// Like CSV, with tabs.
    Tsv,
    /// A table of a web page.
    Html,
    /// One INSERT for each row.
    Insert,
    /// A Parquet file, for programs.
    Parquet,
    /// An Arrow file, for programs.
    Arrow,
}

impl Format {
    /// Every format, as help lists them.
    pub const ALL: [Self; 11] = [
        Self::Table,
        Self::Line,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Jsonl,
        Self::Markdown,
        Self::Html,
        Self::Insert,
        Self::Parquet,
        Self::Arrow,
    ];

    /// Whether it is bytes that no person reads.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Line => "line",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "markdown",
            Self::Tsv => "tsv",
            Self::Html => "html",
            Self::Insert => "insert",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text names no [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{wanted}` is not a format; {help}")]
pub struct UnknownFormat {
    wanted: String,
    help: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads a format's name, or the name that DuckDB or psql give it.
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Ok(match text.trim().to_lowercase().as_str() {
            "table" | "box" | "duckbox" | "aligned" => Self::Table,
            "line" | "expanded" | "vertical" => Self::Line,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "jsonl" | "jsonlines" | "ndjson" => Self::Jsonl,
            "markdown" | "md" => Self::Markdown,
            "tsv" | "tabs" => Self::Tsv,
            "html" => Self::Html,
            "insert" => Self::Insert,
            "parquet" => Self::Parquet,
            "arrow" | "ipc" | "feather" => Self::Arrow,
            other => {
                let names = Self::ALL.map(Self::name);
                let all = || format!("the formats are {}", names.join(", "));
                return Err(UnknownFormat {
                    wanted: text.to_owned(),
                    help: did_you_mean(other, names).unwrap_or_else(all),
                });
            }
        })
    }
}

/// How much of an answer is shown, and with which means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowOptions {
    /// The terminal's width in columns. Without one nothing is shortened or left out.
    pub width: Option<usize>,
    /// Rows that [`Format::Table`] and [`Format::Line`] show at most; all if nothing. The others show all.
    pub max_rows: Option<usize>,
    /// Of `max_rows`, how many a table takes from the end of the answer rather than from its beginning.
    pub last_rows: usize,
    /// What stands for NULL in tables, lines and Markdown.
    pub null: String,
    /// What stands for NULL in CSV and TSV.
    pub csv_null: String,
    /// Whether the output understands colours.
    pub color: bool,
    /// Whether CSV and TSV begin with the names of the columns.
    pub header: bool,
    /// Whether a table that is wider than the terminal becomes lines.
    pub expand_wide: bool,
    /// Whether to tell on standard error how far a query is that takes longer than two seconds.
    pub progress: bool,
    /// Whether the output is a terminal, which takes no bytes of files.
    pub to_terminal: bool,
    /// The table that [`Format::Insert`] names, as SQL writes it.
    pub insert_into: String,
}

impl ShowOptions {
    /// For a terminal: what fits, and the first 40 rows.
    pub fn terminal(width: Option<usize>, color: bool) -> Self {
        Self { width, max_rows: Some(40), color, to_terminal: true, ..Self::default() }
    }
}

impl Default for ShowOptions {
    /// For a file or a pipe: everything, without colour.
    fn default() -> Self {
        Self {
            width: None,
            max_rows: None,
            last_rows: 0,
            null: "NULL".to_owned(),
            csv_null: String::new(),
            color: false,
            header: true,
            expand_wide: false,
            progress: false,
            to_terminal: false,
            insert_into: "answer".to_owned(),
        }
    }
}

/// What was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Shown {
    /// Rows of the answer, shown or not.
    pub rows: u64,
    /// Whether it was written to its end. Not if the reader went away, as `head` does.
    pub whole: bool,
}

/// An answer could not be shown to its end.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The query failed while it ran.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The output does not take more.
    #[error("the answer could not be written: {0}")]
    Write(#[source] io::Error),
    /// A terminal does not take this format.
    #[error("{0} is for files, and this is a terminal")]
    Terminal(Format),
    /// A format has no way to write a type.
    #[error("the answer cannot be written as {format}: {because}")]
    Value {
        /// The format.
        format: Format,
        /// What is in the way.
        #[source]
        because: ArrowError,
    },
}

impl From<ShowError> for Error {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::Query(error) => error.into(),
            ShowError::Write(_) => Self::user(
                "elt::show::write",
                error.to_string(),
                "check the place it is written to: is it full, or closed?",
            ),
            ShowError::Terminal(format) => {
                let help = format!(
                    "send it to a file: `\\o rows.{format}`, or `elt sql --format {format} … > rows.{format}`"
                );
                Self::user("elt::show::terminal", error.to_string(), &help)
            }
            ShowError::Value { .. } => Self::user(
                "elt::show::value",
                error.to_string(),
                "cast the column to varchar, or choose another format",
            ),
        }
    }
}

/// Shows an answer as it arrives.
///
/// Memory is that of one batch; for a table, of the rows it shows and at most one batch more. All rows
/// are read and counted even where only the first are shown. An answer without columns shows nothing.
/// Dropping the future cancels the query. Must be called in a tokio runtime.
///
/// # Errors
/// [`ShowError::Query`] if the query fails part-way: CSV, JSON and Markdown have then been written up to
/// there, a table has not. A reader that goes away is no error; see [`Shown::whole`].
pub async fn show(
    outcome: Outcome,
    format: Format,
    options: &ShowOptions,
    out: &mut (dyn Write + Send),
) -> Result<Shown, ShowError> {
    show_from(&Threads::shared(), outcome, format, options, out).await
}

/// The values of the first row of a batch, as CSV has them; nothing for NULL.
pub(super) fn texts(batch: &RecordBatch) -> Result<Vec<Option<String>>, ShowError> {
    let cells = cell::Cells::of(batch);
    let mut cells = cells.map_err(|because| ShowError::Value { format: Format::Csv, because })?;
    Ok(cells.row(0).collect())
}

/// The same, with rows that certain threads find.
pub(super) async fn show_from(
    threads: &Threads,
    outcome: Outcome,
    format: Format,
    options: &ShowOptions,
    out: &mut (dyn Write + Send),
) -> Result<Shown, ShowError> {
    let schema = Arc::clone(outcome.schema());
    let progress = outcome.progress().filter(|_| options.progress).cloned();
    let rows = Watched { rows: Box::pin(on_its_own(threads, outcome)), meter: Meter::of(progress, options) };
    show_rows(&schema, rows, format, options, out).await
}

/// The rows of an answer, found on a task of their own. Dropping the stream stops the task.
///
/// A query may compute for seconds without a pause; whoever waits for its rows here can be told to stop
/// waiting at any time, and the task then ends at its next pause.
fn on_its_own(
    threads: &Threads,
    mut outcome: Outcome,
) -> impl Stream<Item = Result<RecordBatch, QueryError>> + use<> {
    let (found, rows) = mpsc::channel(1);
    let task = threads.spawn(async move {
        while let Some(batch) = outcome.next().await {
            if found.send(batch).await.is_err() {
                break;
            }
        }
    });
    futures::stream::unfold((rows, task), |(mut rows, mut task)| async move {
        if let Some(batch) = rows.recv().await {
            return Some((batch, (rows, task)));
        }
        // The end of the channel is the end of the answer only if the task ended well.
        if let Some(Err(error)) = task.join_next().await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        None
    })
}

/// Rows, and who tells how far they are.
struct Watched<S> {
    rows: S,
    meter: Meter,
}

impl<S: Stream<Item = Result<RecordBatch, QueryError>> + Unpin> Watched<S> {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        loop {
            tokio::select! {
                biased;
                batch = self.rows.next() => {
                    self.meter.tick();
                    return batch;
                }
                () = self.meter.pause() => self.meter.tick(),
            }
        }
    }
}

async fn show_rows(
    schema: &SchemaRef,
    mut batches: Watched<impl Stream<Item = Result<RecordBatch, QueryError>> + Unpin>,
    format: Format,
    options: &ShowOptions,
    out: &mut (dyn Write + Send),
) -> Result<Shown, ShowError> {
    if format.is_binary() {
        if options.to_terminal {
            return Err(ShowError::Terminal(format));
        }
        return binary::show(schema, &mut batches, format, out).await;
    }
    let mut renderer = renderer(schema, format, options);
    let cannot = |because| ShowError::Value { format, because };
    let (mut page, mut rows) = (String::new(), 0);
    renderer.begin(&mut page);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += count(batch.num_rows());
        renderer.rows(&batch, &mut page).map_err(cannot)?;
        if !page.is_empty() {
            batches.meter.clear();
        }
        if !written(out, &mut page)? {
            return Ok(Shown { rows, whole: false });
        }
    }
    batches.meter.clear();
    renderer.end(&mut page);
    let whole = written(out, &mut page)? && flushed(out)?;
    Ok(Shown { rows, whole })
}

fn renderer<'a>(
    schema: &SchemaRef,
    format: Format,
    options: &'a ShowOptions,
) -> Box<dyn Renderer + Send + 'a> {
    match format {
        _ if schema.fields().is_empty() => Box::new(Silence),
        Format::Table | Format::Line if plan::is_plan(schema) => Box::new(plan::Plan::default()),
        Format::Table => Box::new(table::Table::new(schema, options)),
        Format::Line => Box::new(line::Lines::new(schema, options)),
        Format::Csv => Box::new(csv::Csv::new(schema, ',', options)),
        Format::Tsv => Box::new(csv::Csv::new(schema, '\t', options)),
        Format::Html => Box::new(html::Html::new(schema, options)),
        Format::Insert => Box::new(insert::Inserts::new(schema, &options.insert_into)),
        Format::Json => Box::new(json::Json::array(schema)),
        Format::Jsonl => Box::new(json::Json::lines(schema)),
        Format::Markdown => Box::new(markdown::Markdown::new(schema, options)),
        Format::Parquet | Format::Arrow => Box::new(Silence), // `binary` writes them
    }
}

/// Turns batches into text, in order: `begin`, any number of `rows`, `end`.
trait Renderer {
    /// What comes before the first row.
    fn begin(&mut self, _page: &mut String) {}
    /// The rows of a batch, or nothing yet.
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError>;
    /// What comes after the last row.
    fn end(&mut self, _page: &mut String) {}
}

/// What `SET` has to show.
struct Silence;

impl Renderer for Silence {
    fn rows(&mut self, _batch: &RecordBatch, _page: &mut String) -> Result<(), ArrowError> {
        Ok(())
    }
}

/// Writes the page and empties it. Says whether anybody still reads.
fn written(out: &mut (dyn Write + Send), page: &mut String) -> Result<bool, ShowError> {
    let result = still_read(out.write_all(page.as_bytes()));
    page.clear();
    result
}

fn flushed(out: &mut (dyn Write + Send)) -> Result<bool, ShowError> {
    still_read(out.flush())
}

fn still_read(result: io::Result<()>) -> Result<bool, ShowError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(ShowError::Write(error)),
    }
}

/// `1 row`, `40,123,004 rows`
fn rows_words(rows: u64) -> String {
    format!("{} {}", grouped(rows), if rows == 1 { "row" } else { "rows" })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// `text` between the codes for faint print, where there is colour.
fn dim(text: &str, color: bool) -> String {
    if color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    /// What a format makes of batches.
    pub(super) fn shown(batches: &[RecordBatch], format: Format, options: &ShowOptions) -> String {
        let mut page = String::new();
        let mut renderer = renderer(&batches[0].schema(), format, options);
        renderer.begin(&mut page);
        for batch in batches {
            renderer.rows(batch, &mut page).unwrap();
        }
        renderer.end(&mut page);
        page
    }

    fn numbers(from: i64, to: i64) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new((from..to).collect::<Int64Array>()) as _)]).unwrap()
    }

    fn unwatched<S>(rows: S) -> Watched<S> {
        Watched { rows, meter: Meter::of(None, &ShowOptions::default()) }
    }

    /// Takes `left` bytes, then says that nobody reads any more.
    struct Head {
        left: usize,
    }

    impl Write for Head {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_work_quietly() {
        let schema = numbers(0, 0).schema();
        let batches = futures::stream::iter((0..).map(|at| Ok(numbers(at, at + 1000))));
        let mut out = Head { left: 5000 };
        let shown = show_rows(&schema, unwatched(batches), Format::Csv, &ShowOptions::default(), &mut out)
            .await
            .unwrap();
        assert!(!shown.whole && shown.rows < 10_000, "{shown:?}");
    }

    #[tokio::test]
    async fn every_row_is_counted_and_only_the_first_are_shown() {
        let schema = numbers(0, 0).schema();
        let batches = futures::stream::iter((0..300).map(|at| Ok(numbers(at * 7, at * 7 + 7))));
        let (mut out, options) = (Vec::new(), ShowOptions::terminal(None, false));
        let shown = show_rows(&schema, unwatched(batches), Format::Table, &options, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(shown, Shown { rows: 2100, whole: true });
        assert!(text.ends_with("2,100 rows (first 40 shown)\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with('│')).count(), 2 + 40 + 1, "{text}");
    }

    #[test]
    fn formats_are_read_by_their_names() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!("NDJSON".parse(), Ok(Format::Jsonl));
        let unknown = "makdown".parse::<Format>().unwrap_err();
        assert_eq!(unknown.to_string(), "`makdown` is not a format; did you mean `markdown`?");
    }
}
