//! Is every row of a file accounted for?
//!
//! A [`FileAccount`] adds up what [`read`](super::read::read) hands over. What was read is counted where records
//! are split (or in a Parquet footer), what became of it where rows are built; so the two can
//! disagree, and [`check`](FileAccount::check) says so.

use serde::{Deserialize, Serialize};

use super::error::LandingError;
use super::read::Parsed;

/// What became of the rows of one file. Each row is in exactly one of the last three counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAccount {
    /// The file, as [`FileStamp`](super::discover::FileStamp) records it.
    pub path: String,
    /// Records seen in the file: not the header, not blank lines.
    pub read: u64,
    /// Rows that fitted wholly.
    pub loaded: u64,
    /// Rows that are in the table with something in `_rescued_data`.
    pub rescued: u64,
    /// Records that became no row.
    pub rejected: u64,
    /// Values, not rows, that were left out because the options say so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discarded: u64,
    /// What is wrong with the first rejected record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// The line on which it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error_line: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it asks about by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl FileAccount {
    /// An account of the file recorded as `path`, with nothing in it.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Adds one batch and its rejected records.
    pub fn add(&mut self, parsed: &Parsed) {
        let rows = parsed.batch.num_rows() as u64;
        self.read += parsed.read;
        self.loaded += rows.saturating_sub(parsed.rescued);
        self.rescued += parsed.rescued;
        self.rejected += parsed.rejected.len() as u64;
        self.discarded += parsed.discarded;
        if let (None, Some(first)) = (&self.first_error, parsed.rejected.first()) {
            self.first_error = Some(first.message.clone());
            self.first_error_line = Some(first.line);
        }
    }

    /// Checks that what was read is what was loaded, rescued or rejected. Call it when the file is at its end.
    ///
    /// # Errors
    /// [`LandingError::Unbalanced`] with all four counts; nothing of the file should then be loaded.
    pub fn check(&self) -> Result<(), LandingError> {
        let Self { path, read, loaded, rescued, rejected, .. } = self.clone();
        if loaded + rescued + rejected == read {
            Ok(())
        } else {
            Err(LandingError::Unbalanced { path, read, loaded, rescued, rejected })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_row_and_an_invented_row_are_both_noticed() {
        for (read, balanced) in [(11, false), (12, true), (13, false)] {
            let account = FileAccount {
                path: "a.csv".into(),
                read,
                loaded: 9,
                rescued: 2,
                rejected: 1,
                ..FileAccount::default()
            };
            assert_eq!(account.check().is_ok(), balanced, "{account:?}");
        }
        let lost = FileAccount {
            path: "a.csv".into(),
            read: 13,
            loaded: 9,
            rescued: 2,
            rejected: 1,
            ..FileAccount::default()
        };
        assert_eq!(
            lost.check().unwrap_err().to_string(),
            "a.csv does not add up: read 13, but loaded 9 + rescued 2 + rejected 1 = 12"
        );
    }
}
