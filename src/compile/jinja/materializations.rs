//! Which materializations does a file define?
//!
//! dbt lets projects say by statements of their own how a model is made. elt makes changes that are tested before anybody
//! sees them, so such a block is not carried out; what is known of it here is for saying so, and for the manifest.

use std::ops::Range;

use super::blocks::Owner;
use super::pieces::{inside, word};
use super::prepare::top_commas;
use crate::base::{SourceText, Span};

/// A `{% materialization %}` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MaterializationBlock {
    /// What it is called: `view`, `insert_by_period`.
    pub(crate) name: String,
    /// The adapter that it is for; `default` if it is for all.
    pub(crate) adapter: String,
    /// The package it belongs to.
    pub(crate) package: String,
    pub(super) source: SourceText,
    /// Its name in the file.
    at: Range<usize>,
    /// What it is written as.
    pub(super) written: String,
}

impl MaterializationBlock {
    /// Reads the block between two tags. Nothing if the header names no materialization.
    pub(super) fn read(
        source: &SourceText,
        open: &Range<usize>,
        close: &Range<usize>,
        owner: &Owner,
    ) -> Option<Self> {
        let header = inside(&source.text, open);
        let keyword = word(&source.text, open);
        let start = header.start + source.text[header.clone()].find(keyword)? + keyword.len();
        let rest = source.text.get(start..header.end)?;
        let ends = top_commas(rest).into_iter().chain([rest.len()]);
        let parts: Vec<&str> = ends
            .scan(0, |from, end| {
                let part = &rest[*from..end];
                *from = (end + 1).min(rest.len());
                Some(part)
            })
            .collect();
        let name = parts.first()?.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let at = start + (parts[0].len() - parts[0].trim_start().len());
        let adapter = parts.iter().skip(1).find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key.trim() == "adapter").then(|| value.trim().trim_matches(['\'', '"']).to_owned())
        });
        Some(Self {
            name: name.to_owned(),
            adapter: adapter.unwrap_or_else(|| "default".to_owned()),
            package: owner.package.clone(),
            source: source.clone(),
            at: at..at + name.len(),
            written: source.text[open.start..close.end].to_owned(),
        })
    }

    /// Where it is written.
    pub(crate) fn span(&self) -> Span {
        self.source.span(self.at.clone())
    }

    /// dbt's name for the macro that it is.
    pub(super) fn macro_name(&self) -> String {
        format!("materialization_{}_{}", self.name, self.adapter)
    }
}
