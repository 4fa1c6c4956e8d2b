//! What does a command do?
//!
//! `command` says what is asked for; here it is done, with the sitting's own means or by a verb of the command line.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use super::command::{self, Action, Wanted};
use super::explain::{at_piece, of_command};
use super::output::{Place, Target, cannot};
use super::render::{Format, Picture};
use super::sitting::{Flow, OnError, Sees, Sitting, system};
use super::sql_text::sql_text;
use crate::base::{Error, Result, SourceText};
use crate::lakehouse::Piece;

/// Files that include files that include files: deeper than this, they go round in circles.
const DEEPEST: usize = 16;

impl Sitting<'_, '_> {
    /// Does what a command asks for.
    pub(super) async fn obey(&mut self, source: &SourceText, piece: &Piece) -> Result<Flow> {
        let action = command::parse(&piece.sql).map_err(|mistake| at_piece(mistake, source, piece))?;
        // Mistakes in what a command runs have a place of their own.
        let runs = matches!(
            action,
            Action::Answer(_)
                | Action::Again { .. }
                | Action::Keep(_)
                | Action::DescribeLast
                | Action::Last
                | Action::Chart(..)
                | Action::Watch(_)
                | Action::Edit(_)
                | Action::Include(_)
        );
        let done = self.act(action, source, piece).await;
        if runs { done } else { done.map_err(|error| of_command(error, source, piece)) }
    }

    async fn act(&mut self, action: Action, source: &SourceText, piece: &Piece) -> Result<Flow> {
        let settings = &mut self.settings;
        match action {
            Action::Leave => return Ok(Flow::Leave),
            Action::Say(text) => eprintln!("{text}"),
            Action::Answer(sql) => return Box::pin(self.answer_for(&sql, source, piece)).await,
            Action::Format(Some(format)) => {
                settings.format = format;
                settings.show.expand_wide = false;
            }
            Action::InsertInto(table) => {
                settings.format = Format::Insert;
                settings.show.expand_wide = false;
                settings.show.insert_into = table;
            }
            Action::Format(None) => eprintln!("the format is: {}", settings.format),
            Action::ExpandOnce => self.once = true,
            Action::ExpandAuto => {
                settings.format = Format::Table;
                settings.show.expand_wide = true;
                eprintln!("one line for each column: where a table is too wide");
            }
            Action::Again { expanded, to } => {
                self.once = expanded;
                let next = to.map(Target::open).transpose();
                self.next = next.map_err(|error| of_command(error, source, piece))?;
                return self.again().await;
            }
            Action::Last => return self.all_of_last().await,
            Action::Chart(picture, columns) => return self.draw(picture, columns).await,
            Action::ChartNext(picture, columns) => self.picture = Some((picture, columns)),
            Action::ShowLast => eprintln!("{};", self.last()?.trim_end()),
            Action::WriteLast(path) => {
                let text = format!("{};\n", self.last()?.trim_end());
                std::fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
            }
            Action::History(wanted) => self.tell_history(&wanted)?,
            Action::Verb(words) => return self.do_verb(words).await,
            Action::Go(folder) => self.go(folder)?,
            Action::Echo(text) => self.echo(&text)?,
            Action::Tell => self.tell(),
            Action::Watch(pause) => return self.watch(pause).await,
            Action::Edit(path) => return self.edit(path).await,
            Action::Variables => eprint!("{}", self.variables),
            Action::Set(name, value) => self.variables.set(name, value),
            Action::Unset(name) => self.variables.unset(&name),
            Action::KeepNext(prefix) => self.kept = Some(prefix),
            Action::Keep(prefix) => {
                self.kept = Some(prefix);
                return self.again().await;
            }
            Action::DescribeLast => {
                let last = self.last()?;
                let text = SourceText::new("statement", &last);
                let (sql, piece) = (format!("describe {last}"), Piece { bytes: 0..last.len(), sql: last });
                return Box::pin(self.answer_for(&sql, &text, &piece)).await;
            }
            Action::System(line) => system(line).await?,
            Action::Expand(switch) => {
                let on = switch.turn(settings.format == Format::Line);
                settings.format = if on { Format::Line } else { Format::Table };
                settings.show.expand_wide = false;
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
            Action::Include(path) => {
                let text = self.included(&path).map_err(|error| of_command(error, source, piece))?;
                return self.include(text).await;
            }
            Action::Output(place) => self.redirect(place)?,
            Action::Once(place) => self.next = Some(Target::open(place)?),
            Action::Width(width) => self.width = width,
            Action::Null(text) => {
                settings.show.csv_null.clone_from(&text);
                settings.show.null = text;
            }
            Action::Header(switch) => {
                settings.show.header = switch.turn(settings.show.header);
                eprintln!("names above CSV and TSV: {}", on_off(settings.show.header));
            }
            Action::Pager(switch, program) => {
                self.paging.is_on = switch.turn(self.paging.is_on);
                self.paging.program = program.or(self.paging.program.take());
                eprintln!("pager: {}", self.paging);
            }
            Action::Progress(switch) => {
                settings.show.progress = switch.turn(settings.show.progress);
                eprintln!("progress: {}", on_off(settings.show.progress));
            }
            Action::EchoAll(switch) => settings.echo = switch.turn(settings.echo),
            Action::Bail(switch) => {
                let stops = switch.turn(settings.on_error == OnError::Stop);
                settings.on_error = if stops { OnError::Stop } else { OnError::Continue };
            }
            Action::Release(wanted) => self.turn_to(wanted).await?,
        }
        Ok(Flow::Stay)
    }

    fn last(&self) -> Result<String> {
        self.last.clone().ok_or_else(|| {
            let help = "type a statement first, then `\\g`";
            Error::user("elt::shell::nothing", "there is no statement yet".to_owned(), help)
        })
    }

    /// Answers once more what was answered last.
    async fn again(&mut self) -> Result<Flow> {
        let sql = self.last().inspect_err(|_| self.kept = None)?;
        let source = SourceText::new("statement", &sql);
        Box::pin(self.answer(&source, &Piece { bytes: 0..sql.len(), sql })).await
    }

    /// Asks once more what was shown last, be it of a command.
    async fn shown_again(&mut self) -> Result<Flow> {
        let Some(sql) = self.shown.clone() else { return self.again().await };
        let source = SourceText::new("statement", &sql);
        let piece = Piece { bytes: 0..sql.len(), sql: sql.clone() };
        Box::pin(self.answer_for(&sql, &source, &piece)).await
    }

    /// The last answer with all its rows.
    async fn all_of_last(&mut self) -> Result<Flow> {
        let show = self.settings.show.clone();
        (self.settings.show.max_rows, self.settings.show.last_rows) = (None, 0);
        let flow = self.shown_again().await;
        (self.settings.show.max_rows, self.settings.show.last_rows) = (show.max_rows, show.last_rows);
        flow
    }

    /// Draws the answer to the last statement, which is asked for once more.
    async fn draw(&mut self, picture: Picture, columns: Vec<String>) -> Result<Flow> {
        let sql = self.shown.clone().map_or_else(|| self.last(), Ok)?;
        if self.session.writes(&self.variables.fill(&sql).unwrap_or(sql))? {
            let what = "the last statement writes, and is not run again to be drawn".to_owned();
            return Err(Error::user("elt::shell::chart", what, "write the query first, then `\\chart`"));
        }
        self.picture = Some((picture, columns));
        self.shown_again().await
    }

    /// Writes a text where answers go.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        let out = match &mut self.target {
            Some(target) => target.answer(Format::Table)?,
            None => &mut *self.out,
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(cannot("write", std::path::Path::new("the output"), &error))
            }
            _ => Ok(()),
        }
    }

    fn echo(&mut self, text: &str) -> Result<()> {
        let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
        let bare = quoted('\'').or_else(|| quoted('"')).unwrap_or(text);
        let text = self.variables.fill(bare).unwrap_or_else(|| bare.to_owned());
        self.write(&format!("{text}\n"))
    }

    fn tell_history(&mut self, wanted: &str) -> Result<()> {
        let wanted = wanted.to_lowercase();
        let found = self.typed.iter().filter(|text| text.to_lowercase().contains(&wanted));
        let text: String = found.map(|text| format!("{}\n", text.trim_end())).collect();
        self.write(&text)
    }

    /// Runs a command of the command line. What it published is what is read then.
    async fn do_verb(&mut self, words: Vec<String>) -> Result<Flow> {
        let Some(verbs) = self.verbs else {
            let what = format!("`{}` cannot be run from here", words.join(" "));
            return Err(Error::user("elt::shell::verb", what, "run it with the program `elt`"));
        };
        self.in_verb.store(true, Ordering::SeqCst);
        let done = verbs(words).await;
        self.in_verb.store(false, Ordering::SeqCst);
        if !self.chosen
            && let Some(newer) = self.lakehouse.newer(&self.session).await?
        {
            self.session = newer;
        }
        done.map(|()| Flow::Stay)
    }

    fn go(&mut self, folder: Option<PathBuf>) -> Result<()> {
        let home = self.lakehouse.world().env.get("HOME").map(PathBuf::from);
        if let Some(folder) = folder.or(home) {
            std::env::set_current_dir(&folder).map_err(|error| cannot("go to", &folder, &error))?;
            eprintln!("now in: {}", folder.display());
        }
        Ok(())
    }

    /// Where this is, and what is set.
    fn tell(&self) {
        let (settings, lake) = (&self.settings, self.lakehouse.tables().lake());
        let place =
            lake.folder().map_or_else(|| "in a bucket".to_owned(), |folder| folder.display().to_string());
        let release = match (self.release(), self.sees) {
            (None, _) => "none yet".to_owned(),
            (Some(release), Sees::Newest) => format!("{release}, the newest"),
            (Some(release), Sees::Pinned) => format!("{release}, until `\\release latest`"),
        };
        let rows = settings.show.max_rows.map_or_else(|| "all".to_owned(), |rows| rows.to_string());
        let expand = if settings.show.expand_wide { " (\\x auto)" } else { "" };
        for (name, value) in [
            ("elt", env!("CARGO_PKG_VERSION").to_owned()),
            ("project", self.lakehouse.root().display().to_string()),
            ("lake", place),
            ("release", release),
            ("schema", self.session.default_schema().to_owned()),
            ("format", format!("{}{expand}", settings.format)),
            ("rows", rows),
            ("null", settings.show.null.clone()),
            ("output", self.target.as_ref().map_or_else(|| "screen".to_owned(), ToString::to_string)),
            ("pager", self.paging.to_string()),
            ("timing", on_off(settings.timing).to_owned()),
            ("progress", on_off(settings.show.progress).to_owned()),
            ("on error", if settings.on_error == OnError::Stop { "stop" } else { "continue" }.to_owned()),
        ] {
            eprintln!("{name:>10}: {value}");
        }
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
        let saved = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let before = saved(&path);
        let edited = system(format!("{editor} '{}'", path.display())).await;
        let (after, text) = (saved(&path), std::fs::read_to_string(&path));
        if own {
            drop(std::fs::remove_file(&path));
        }
        edited?;
        if before == after {
            eprintln!("nothing was saved, and nothing is run");
            return Ok(Flow::Stay);
        }
        let source = SourceText::new("statement", &text.map_err(|error| cannot("read", &path, &error))?);
        Box::pin(self.run(&source)).await
    }

    /// The text of a file that is to be run.
    fn included(&self, path: &Path) -> Result<SourceText> {
        let name = path.to_string_lossy();
        let text = sql_text(&name, std::fs::read(path).map_err(|error| cannot("read", path, &error))?)?;
        if self.depth == DEEPEST {
            let what = format!("{} is included by itself", path.display());
            return Err(Error::user("elt::shell::include", what, "take the `\\i` out of one of the files"));
        }
        Ok(SourceText::new(&name, &text))
    }

    /// Runs the text of a file. Boxed, because a file may include another.
    fn include(&mut self, text: SourceText) -> LocalBoxFuture<'_, Result<Flow>> {
        Box::pin(async move {
            self.depth += 1;
            let flow = self.run(&text).await;
            self.depth -= 1;
            flow
        })
    }

    /// Sends answers to a file, made anew, or to a program, or to the screen again.
    fn redirect(&mut self, place: Option<Place>) -> Result<()> {
        if let Some(before) = self.target.take() {
            before.close()?;
        }
        if let Some(place) = place {
            let target = Target::open(place)?;
            let format = target.format.map_or_else(String::new, |format| format!(" ({format})"));
            eprintln!("answers go to{format}: {target}");
            self.target = Some(target);
        }
        Ok(())
    }

    async fn turn_to(&mut self, wanted: Wanted) -> Result<()> {
        match wanted {
            Wanted::Told => {}
            Wanted::Newest => {
                self.chosen = false;
                if let Some(newer) = self.lakehouse.newer(&self.session).await? {
                    self.session = newer;
                }
                self.sees = Sees::Newest;
            }
            Wanted::Number(number) => {
                self.chosen = true;
                let pins = self.lakehouse.session_at(number).await?.scope().pins().clone();
                (self.session, self.sees) = (self.session.of(pins), Sees::Pinned);
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

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
