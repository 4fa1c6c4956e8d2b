//! Who wants to know how far the work is?

use std::time::Duration;

/// Something that happened while a verb was at work.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
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
    },
    /// Something worth knowing that is no step.
    Note(String),
    /// Publishing begins; from here on the work is not to be interrupted.
    Publishing,
}

/// One piece of work that a person would want a line about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// `land`, `table`, `view`, `incremental`, `test`, …
    pub kind: String,
    /// What it is done to.
    pub name: String,
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
