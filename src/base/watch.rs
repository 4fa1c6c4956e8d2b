//! Who wants to know how far the work is, and who may call it off?

use std::pin::Pin;
use std::time::Duration;

use super::Stop;

/// Something that happened while a verb was at work.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A run of steps begins.
    Begun(Box<RunFacts>),
    /// A step begins.
    Started(Step),
    /// A step is done, well or badly.
    Finished {
        /// The step.
        step: Step,
        /// How it ended.
        ending: Ending,
        /// What there is to say of it, in a few words: `81,234 rows`.
        detail: String,
        /// How long it took.
        took: Duration,
        /// The same as dbt has it, if it is a step on a node.
        told: Option<Told>,
    },
    /// Something worth knowing that is no step.
    Note(String),
    /// Something that a template said.
    Said(Message),
    /// Publishing begins; from here on the work is not to be interrupted.
    Publishing,
    /// Something is published, and the work goes on; it may be interrupted again.
    Published,
    /// It could not be published; the work comes to its end, and may be interrupted again.
    NotPublished,
}

/// Something that a template said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// By `log(…, info=true)`: for whoever watches.
    Logged(String),
    /// By `print(…)`: for whoever reads what the command writes.
    Printed(String),
}

impl Message {
    /// What was said.
    pub fn text(&self) -> &str {
        let (Self::Logged(text) | Self::Printed(text)) = self;
        text
    }
}

/// One piece of work that a person would want a line about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// `land`, `table`, `view`, `incremental`, `test`, …
    pub kind: String,
    /// What it is done to.
    pub name: String,
    /// The id of the node it is done to, if it is one.
    pub node: Option<String>,
}

/// What is known of a run before its first step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFacts {
    /// What the project holds: `5 models, 22 data tests, 3 seeds`.
    pub found: String,
    /// The name of the target.
    pub target: String,
    /// Steps at once.
    pub threads: usize,
    /// The nodes that something is done to, in order.
    pub nodes: Vec<NodeFacts>,
}

/// A node as log lines name it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeFacts {
    /// `model.shop.orders`
    pub unique_id: String,
    /// `orders`
    pub name: String,
    /// dbt's word for what it is.
    pub resource_type: &'static str,
    /// dbt's word for how it is made.
    pub materialized: &'static str,
    /// Its file, relative to the folder it is looked for in.
    pub path: String,
    /// Its file, relative to the project.
    pub file: String,
    /// The schema of its table.
    pub schema: String,
    /// The name of its table.
    pub alias: String,
    /// Its table, quoted, if it is one.
    pub relation_name: String,
    /// The hash of its text.
    pub checksum: String,
    /// Its `meta`, as JSON.
    pub meta: String,
    /// The node that a test is on.
    pub attached: String,
    /// The file of its compiled SQL, if it has one.
    pub compiled: String,
}

/// How a step on a node ended, in dbt's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// `success`, `pass`, `fail`, `error`, `skipped` …
    pub status: &'static str,
    /// dbt's sentence for it.
    pub message: Option<String>,
    /// How many rows break a test.
    pub failures: Option<f64>,
    /// How many rows were written.
    pub rows: Option<u64>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Done,
    /// Well, with something to look at.
    Warned,
    /// Badly.
    Failed,
    /// It was not begun.
    Skipped,
}

/// Watches work go on. Called from many tasks; must not block.
pub trait Watch: Send + Sync {
    /// Takes note of an event.
    fn on(&self, event: Event);

    /// Comes when the work is to be given up; never, if nobody can ask for that.
    ///
    /// Whoever works asks each time anew: what came before the asking does not count.
    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn on(&self, _event: Event) {}
}

/// A count as people read it: `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown: Vec<String> = [0, 999, 1000, 1_234_567].map(grouped).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
