//! How long may a node take, how often is it tried, and who waits for it in vain?
//!
//! Nothing of this is seen in what comes out, so it is no part of a fingerprint.

use std::time::Duration;

use crate::base::{Diagnostic, did_you_mean, parse_duration};
use crate::project::Config;

/// More than so many tries again help nobody.
const MOST_RETRIES: u32 = 20;

/// How the making of a node goes on when it does not go well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// `timeout`: how long one try may take; nothing means as long as it takes.
    pub timeout: Option<Duration>,
    /// `retries`: how often it is tried again when storage did not answer or it took too long.
    pub retries: u32,
    /// `on_error`: what becomes of the models below it.
    pub on_error: OnError,
}

/// What becomes of the models below one that could not be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// They are skipped.
    #[default]
    SkipChildren,
    /// They are made from what readers see of it: its rows of before.
    Continue,
}

/// Reads the settings. What is wrong is added to `found`, and nothing taken in its place.
pub(super) fn read(config: &Config, found: &mut Vec<Diagnostic>) -> Running {
    let mut wrong = |key: &str, help: String| {
        if let Some(setting) = config.get(key) {
            let value = config.text(key).unwrap_or_default();
            let diagnostic = Diagnostic::error("elt::config", format!("`{value}` is no value of `{key}`"));
            found.push(diagnostic.at(&setting.at, "not known").help(help));
        }
    };
    let mut running = Running::default();
    if let Some(text) = config.text("timeout") {
        running.timeout = parse_duration(&text);
        if running.timeout.is_none() {
            wrong("timeout", "write seconds, as 90, or a number with its unit: 30s, 10m, 2h".to_owned());
        }
    }
    if let Some(text) = config.text("retries") {
        match text.parse::<u32>() {
            Ok(retries) if retries <= MOST_RETRIES => running.retries = retries,
            _ => wrong("retries", format!("write a whole number from 0 to {MOST_RETRIES}")),
        }
    }
    if let Some(text) = config.text("on_error") {
        match text.as_str() {
            "skip_children" => {}
            "continue" => running.on_error = OnError::Continue,
            other => {
                let likely = did_you_mean(other, ["skip_children", "continue"]);
                wrong("on_error", likely.unwrap_or_else(|| "use one of: skip_children, continue".to_owned()));
            }
        }
    }
    running
}
