//! Which snapshots does a project keep?
//!
//! dbt writes them in two ways: a `{% snapshot name %}` block in a file, whose body is the query, or an
//! entry of `snapshots:` in a properties file with a `relation:`. Both come out as a [`SnapshotFile`].

use std::sync::Arc;

use crate::base::{SourceText, Span};

use super::config::Config;
use super::data_test::DataTest;
use super::model::Column;

/// A snapshot, with what properties files say of it.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Its name.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// The file it is written in.
    pub source_text: SourceText,
    /// The text of its query, as a template; its bytes begin at `starts_at` of the file.
    pub template: String,
    /// Where in the file the query begins.
    pub starts_at: usize,
    /// `[package, folder…, file, name]`.
    pub fqn: Vec<String>,
    /// What it is, in words.
    pub description: String,
    /// The columns that properties describe, in their order.
    pub columns: Arc<[Column]>,
    /// The settings of `dbt_project.yml` and of properties.
    pub config: Config,
    /// The tests on the whole snapshot.
    pub tests: Vec<DataTest>,
    /// Where properties describe it.
    pub described_at: Option<Span>,
    /// Where it is written.
    pub at: Span,
}

/// A `{% snapshot %}` block of a file: its name, and its query with the place where that begins.
pub(super) struct Block<'a> {
    pub(super) name: &'a str,
    pub(super) body: &'a str,
    pub(super) starts_at: usize,
    pub(super) at: std::ops::Range<usize>,
}

/// Takes the snapshot blocks out of a file.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some((open, name)) = tag(text, from, "snapshot") {
        let Some((close, _)) = tag(text, open.end, "endsnapshot") else { break };
        all.push(Block { name, body: &text[open.end..close.start], starts_at: open.end, at: open });
        from = close.end;
    }
    all
}

/// The next `{% word … %}` from `from` on that stands in no comment, with its argument.
fn tag<'a>(text: &'a str, from: usize, word: &str) -> Option<(std::ops::Range<usize>, &'a str)> {
    let mut at = from;
    while let Some(start) = text[at..].find('{').map(|found| at + found) {
        let rest = &text[start..];
        if rest.starts_with("{#") {
            at = start + rest.find("#}").map_or(rest.len(), |end| end + 2);
            continue;
        }
        if rest.starts_with("{%")
            && let Some(end) = rest.find("%}").map(|end| start + end + 2)
        {
            let inside = text[start + 2..end - 2].trim_matches(['-', '+', ' ', '\t', '\n', '\r']);
            let (first, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
            if first == word {
                return Some((start..end, argument.trim()));
            }
            at = end;
            continue;
        }
        at = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_out_with_their_places() {
        let text = "{# {% snapshot no %} #}\n{% snapshot a -%}\nselect 1\n{%- endsnapshot %} {% snapshot b %}x{% endsnapshot %}";
        let seen: Vec<_> = blocks(text).iter().map(|b| (b.name, b.body.trim(), b.starts_at)).collect();
        assert_eq!(seen[0], ("a", "select 1", 41));
        assert_eq!((seen[1].0, seen[1].1), ("b", "x"));
    }
}
