//! `elt build --diff`: what is to be published is shown, and somebody is asked

use std::io::{IsTerminal as _, Write as _};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::diff::releases_told;
use crate::cli::args::ReportFormat;
use crate::cli::ui::Ui;
use crate::lakehouse::{ReleaseDifference, Reviewer};

/// Rows of each table that are shown one by one.
const ROWS: usize = 5;

/// Shows the difference, and asks whoever is there.
pub(super) struct Review<'a> {
    yes: bool,
    format: ReportFormat,
    ui: &'a Ui,
}

impl<'a> Review<'a> {
    pub(super) fn new(yes: bool, format: ReportFormat, ui: &'a Ui) -> Self {
        Self { yes, format, ui }
    }

    /// Whether there is nobody to ask.
    pub(super) fn asks_nobody(&self) -> bool {
        self.format == ReportFormat::Json || !std::io::stdin().is_terminal()
    }
}

impl Reviewer for Review<'_> {
    fn is_wanted<'a>(&'a self, difference: &'a ReleaseDifference) -> BoxFuture<'a, bool> {
        async move {
            self.ui.settle();
            if self.format == ReportFormat::Text {
                let title = match difference.from {
                    0 => "what readers would see first".to_owned(),
                    release => format!("release {release} to what would be published"),
                };
                // Nobody is left to tell that nobody listens.
                drop(self.ui.print(&releases_told(difference, &title)));
            }
            if self.yes || self.asks_nobody() {
                return self.yes;
            }
            let answer = tokio::task::spawn_blocking(|| {
                let mut told = std::io::stderr();
                let mut answer = String::new();
                write!(told, "publish it? [y/N] ").and_then(|()| told.flush()).ok()?;
                std::io::stdin().read_line(&mut answer).ok()?;
                Some(answer)
            });
            let answer = answer.await.ok().flatten().unwrap_or_default();
            matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
        }
        .boxed()
    }

    fn limit(&self) -> usize {
        ROWS
    }
}
