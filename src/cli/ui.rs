//! How is work shown while it goes on?
//!
//! On a terminal a spinner per running step, and a line for each that is done; elsewhere only the lines.

use std::collections::HashMap;
use std::io::{IsTerminal, Write as _};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use miette::{GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};

use super::args::{Level, Settled};
use super::log::{Log, Said};
use crate::base::{Ending, Error, Event, Message, Result, Step, Stop, Watch, World, event_name};

/// What is said to people, on standard error; and to programs, through the [`Log`].
pub(super) struct Ui {
    log: Log,
    /// How much is said to people; nothing where programs listen.
    level: Level,
    bars: Option<MultiProgress>,
    running: Mutex<HashMap<Step, ProgressBar>>,
    publishing: AtomicBool,
    /// Whether a part of the work is published.
    parts: AtomicBool,
    /// Whether standard output is a report's alone.
    reports: AtomicBool,
    /// Whether the shell has the process.
    shell: AtomicBool,
    /// Whether what templates print is told.
    prints: bool,
    colour: bool,
}

impl Ui {
    pub(super) fn new(world: &World, settled: &Settled, log: Log) -> Self {
        let smart = world.env.get("TERM").is_some_and(|term| term != "dumb");
        let terminal = std::io::stderr().is_terminal() && smart;
        let plain = world.env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let level = if log.is_json() { Level::None } else { settled.level };
        Self {
            bars: (terminal && level <= Level::Info).then(MultiProgress::new),
            running: Mutex::default(),
            publishing: AtomicBool::new(false),
            parts: AtomicBool::new(false),
            reports: AtomicBool::new(false),
            shell: AtomicBool::new(false),
            prints: settled.print,
            colour: settled.colours.unwrap_or(terminal && !plain),
            log,
            level,
        }
    }

    /// Whether standard error is a terminal whose lines can be drawn over.
    pub(super) fn is_smart(&self) -> bool {
        self.bars.is_some()
    }

    /// What programs read.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether standard error takes colour.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether work has come to where it must not be interrupted.
    pub(super) fn is_publishing(&self) -> bool {
        self.publishing.load(Ordering::SeqCst)
    }

    /// Whether a part of the work is published already.
    pub(super) fn has_published(&self) -> bool {
        self.parts.load(Ordering::SeqCst)
    }

    /// Takes note that publishing is over, and work may be interrupted again.
    pub(super) fn published(&self) {
        self.publishing.store(false, Ordering::SeqCst);
    }

    /// Leaves SIGTERM alone from now on: it ends the process, whatever is at work. A shell waits for its user most of the
    /// time, when nobody would hear of it.
    pub(super) fn in_shell(&self) {
        self.shell.store(true, Ordering::SeqCst);
    }

    /// Waits until somebody wants the work to end.
    pub(super) async fn stopped(&self) -> Stop {
        crate::repl::stopped(!self.shell.load(Ordering::SeqCst)).await
    }

    /// Keeps standard output for a report that programs read.
    pub(super) fn keep_output(&self) {
        self.reports.store(true, Ordering::SeqCst);
    }

    /// What was asked for, on standard output: as it is, or as an event where there are events.
    pub(super) fn print(&self, text: &str) -> Result<()> {
        match self.log.is_json() {
            true => self.log.print(text),
            false => super::commands::print_text(text)?,
        }
        Ok(())
    }

    /// A report for programs, in the same way.
    pub(super) fn print_json(&self, report: &serde_json::Value) -> Result<()> {
        self.print(&serde_json::to_string_pretty(report).expect("reports are plain data"))
    }

    /// What templates said.
    pub(super) fn said(&self, messages: &[Message]) {
        messages.iter().cloned().for_each(|message| self.on(Event::Said(message)));
    }

    /// What a template said: what it logged to whoever watches, what it printed to whoever reads the output.
    fn tell(&self, message: &Message) {
        match message {
            Message::Logged(text) => self.write(&format!("note: {text}"), Level::Info),
            Message::Printed(text) if self.reports.load(Ordering::SeqCst) => self.write(text, Level::Error),
            Message::Printed(_) if self.log.is_json() => {}
            Message::Printed(text) => {
                let written = match &self.bars {
                    Some(bars) => bars.suspend(|| super::commands::print_text(text)),
                    None => super::commands::print_text(text),
                };
                // Nobody is left to tell that nobody listens.
                drop(written);
            }
        }
    }

    /// One line, or several.
    pub(super) fn line(&self, text: &str) {
        self.log.note(text.trim_start_matches('\n'), Level::Info);
        self.write(text, Level::Info);
    }

    /// One line that is for whoever sits in front of it, and for no log.
    pub(super) fn secret_line(&self, text: &str) {
        match self.log.is_json() {
            true => drop(writeln!(std::io::stderr(), "{text}")),
            false => self.write(text, Level::Info),
        }
    }

    /// One line that is in the log already.
    pub(super) fn show_line(&self, text: &str, level: Level) {
        self.write(text, level);
    }

    /// The same of what went wrong.
    pub(super) fn bad_line(&self, text: &str) {
        self.write(text, Level::Error);
    }

    fn write(&self, text: &str, level: Level) {
        if level < self.level {
            return;
        }
        let written = match &self.bars {
            Some(bars) if self.spins() => bars.println(text),
            // Where nothing spins, `println` leaves the line open, for the shell's prompt to write over.
            Some(bars) => bars.suspend(|| writeln!(std::io::stderr(), "{text}")),
            None => writeln!(std::io::stderr(), "{text}"),
        };
        // Nobody is left to tell that nobody listens.
        drop(written);
    }

    fn spins(&self) -> bool {
        !self.running.lock().expect("no holder panics").is_empty()
    }

    /// Takes away what still spins, before the last words.
    pub(super) fn settle(&self) {
        for (_, bar) in self.running.lock().expect("no holder panics").drain() {
            bar.finish_and_clear();
        }
    }

    /// Everything that an error has to say.
    pub(super) fn error(&self, error: &Error) {
        self.settle();
        for diagnostic in error.diagnostics() {
            self.diagnostic(diagnostic);
        }
    }

    /// A diagnostic with its place in the source, if it has one.
    pub(super) fn diagnostic(&self, diagnostic: &dyn miette::Diagnostic) {
        let level = match diagnostic.severity() {
            Some(miette::Severity::Warning | miette::Severity::Advice) => Level::Warn,
            _ => Level::Error,
        };
        self.log.say(&said(diagnostic, level));
        if level < self.level {
            return;
        }
        let styles = if self.colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
        let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
        let width = self.bars.as_ref().and_then(|_| crate::repl::terminal_width());
        let wrapped = width.unwrap_or(100).min(100);
        let handler = GraphicalReportHandler::new_themed(theme).with_width(wrapped).with_links(false);
        let narrowed = crate::base::Narrowed::to(diagnostic, width.unwrap_or(crate::base::Narrowed::LINE));
        let mut text = String::new();
        if handler.render_report(&mut text, &narrowed).is_err() {
            text = diagnostic.to_string();
        }
        self.write(text.trim_end(), level);
    }

    /// `text` in a colour, where there is colour.
    pub(super) fn paint(&self, text: &str, ending: Ending) -> String {
        let code = match ending {
            Ending::Done => "32",
            Ending::Warned => "33",
            Ending::Failed => "31;1",
            Ending::Skipped => "2",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn finished(&self, step: &Step, ending: Ending, detail: &str, took: Duration) {
        if let Some(bar) = self.running.lock().expect("no holder panics").remove(step) {
            bar.finish_and_clear();
        }
        let word = match (step.kind.as_str(), ending) {
            (_, Ending::Skipped) => "skipped",
            ("land", Ending::Failed) => "not landed",
            ("land", _) => "landed",
            ("package", _) => "installed",
            ("test" | "unit test", Ending::Done) => "passed",
            ("test" | "unit test", Ending::Warned) => "warned",
            (_, Ending::Failed) => "FAILED",
            _ => "built",
        };
        let first = detail.lines().next().unwrap_or_default();
        let name = format!("{} {}", step.kind, step.name);
        let line = format!("{:<10}  {name:<58} {first}", self.paint(&format!("{word:<10}"), ending));
        let level = if ending == Ending::Failed { Level::Error } else { Level::Info };
        self.write(format!("{line}  {}", time_words(took)).trim_end(), level);
    }
}

/// A diagnostic as an event of dbt.
fn said(diagnostic: &dyn miette::Diagnostic, level: Level) -> Said<'static> {
    let code = diagnostic.code().map(|code| code.to_string()).unwrap_or_default();
    let help = diagnostic.help().map(|help| format!(" ({help})")).unwrap_or_default();
    let message = format!("{diagnostic}{help}");
    let quoted = || diagnostic.to_string().split('\'').nth(1).unwrap_or_default().to_owned();
    let (name, number, data) = match event_name(&code) {
        _ if level == Level::Error => ("MainEncounteredError", "Z002", json!({"exc": message, "code": code})),
        Some(name @ "NoNodesForSelectionCriteria") => (name, "M030", json!({"spec_raw": quoted()})),
        Some(name @ "NothingToDo") => (name, "Q035", json!({})),
        Some(name @ "JinjaLogWarning") => (name, "I061", json!({"msg": message})),
        _ => ("Note", "Z050", json!({"msg": message, "code": code})),
    };
    Said { name, code: number, level, message, data }
}

impl Watch for Ui {
    fn on(&self, event: Event) {
        if matches!(event, Event::Said(Message::Printed(_))) && !self.prints {
            return;
        }
        self.log.on(&event);
        match event {
            Event::Begun(_) => {}
            Event::Started(step) => {
                let Some(bars) = &self.bars else { return };
                let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = style {
                    bar.set_style(style);
                }
                bar.set_message(format!("{} {}", step.kind, step.name));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.lock().expect("no holder panics").insert(step, bar);
            }
            Event::Finished { step, ending, detail, took, told: _ } => {
                self.finished(&step, ending, &detail, took)
            }
            Event::Said(message) => self.tell(&message),
            Event::Note(text) => self.write(&format!("note: {text}"), Level::Info),
            Event::Published => {
                self.parts.store(true, Ordering::SeqCst);
                self.published();
            }
            Event::NotPublished => self.published(),
            Event::Publishing => self.publishing.store(true, Ordering::SeqCst),
        }
    }

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        Box::pin(self.stopped())
    }
}

/// A duration as people read it; nothing for less than a millisecond.
pub(super) fn time_words(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds {
        s if s < 0.001 => String::new(),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike};

    use super::*;

    /// On a terminal of 6 lines.
    fn ui(terminal: &InMemoryTerm) -> Ui {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
        let world = crate::cli::log::quiet_world();
        let settled = Settled::default();
        Ui {
            log: Log::new(&world, &settled, std::path::Path::new("."), "id"),
            level: Level::Info,
            bars: Some(MultiProgress::with_draw_target(target)),
            running: Mutex::default(),
            publishing: AtomicBool::new(false),
            parts: AtomicBool::new(false),
            reports: AtomicBool::new(false),
            shell: AtomicBool::new(false),
            prints: true,
            colour: false,
        }
    }

    fn step(kind: &str, name: &str) -> Step {
        Step { kind: kind.to_owned(), name: name.to_owned(), node: None }
    }

    /// What is on the screen, spinners and times taken off.
    fn screen(terminal: &InMemoryTerm) -> Vec<String> {
        let contents = terminal.contents();
        let words = |line: &str| {
            let words = line.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic));
            words.filter(|word| !word.ends_with('s') || word.len() > 2).collect::<Vec<_>>().join(" ")
        };
        contents.lines().map(words).collect()
    }

    #[test]
    fn a_step_spins_below_the_lines_of_those_that_are_done() {
        let terminal = InMemoryTerm::new(6, 100);
        let ui = ui(&terminal);
        ui.on(Event::Started(step("table", "fct_flights")));
        ui.on(Event::Started(step("test", "unique")));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(screen(&terminal), ["table fct_flights", "test unique"]);
        ui.on(Event::Finished {
            step: step("test", "unique"),
            ending: Ending::Done,
            detail: "no rows".to_owned(),
            took: Duration::ZERO,
            told: None,
        });
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(screen(&terminal), ["passed test unique no rows", "table fct_flights"]);
        ui.settle();
        assert_eq!(screen(&terminal), ["passed test unique no rows"]);
        assert_eq!(terminal.height(), 6);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let words: Vec<String> =
            [0.0002, 0.0124, 1.26, 75.2].map(|s| time_words(Duration::from_secs_f64(s))).into();
        assert_eq!(words, ["", "12 ms", "1.3 s", "1 min 15 s"]);
    }
}
