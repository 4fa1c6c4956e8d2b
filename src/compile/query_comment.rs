//! What stands before each statement that a node sends?
//!
//! dbt puts `query-comment` of `dbt_project.yml` into every statement, so that a warehouse's list of queries tells where
//! they come from. Here the statements of a run are listed in `<target>/run`, and carry it there. Nothing is put
//! there by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::jinja::NEEDS_LAKE;
use super::lookup::Lookup;
use super::node::NodeId;
use super::render::{Templates, is_incremental_run};
use crate::base::Diagnostic;

/// The rendered comment of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    text: String,
    append: bool,
}

impl Comment {
    /// The statement with the comment before it, or after it if the project says `append: true`.
    pub fn with(&self, sql: &str) -> String {
        let sql = sql.trim().trim_end_matches(';');
        match self.append {
            true => format!("{sql}\n/* {} */", self.text),
            false => format!("/* {} */\n{sql}", self.text),
        }
    }
}

impl Templates {
    /// Renders the comment for a node, with `connection_name` besides the names that its own template has.
    pub(super) fn comment(
        &self,
        id: &NodeId,
        lake: Option<&Arc<dyn Lookup>>,
    ) -> Result<Option<Comment>, Diagnostic> {
        let Some(written) = &self.query_comment else { return Ok(None) };
        let draft = self.draft(id);
        let mut subject = draft.subject();
        subject.given = BTreeMap::from([("connection_name".to_owned(), id.as_str().into())]);
        let phase = self.phase(draft, None, is_incremental_run(&draft.kind), lake);
        let scope = self.jinja.scope(subject, phase);
        let text = self.jinja.text(&written.text.as_str().into(), &scope, &written.at)?;
        let text = text.trim();
        if text.contains("*/") {
            let words = format!("the comment of `{id}` has `*/` in it, which ends comments");
            return Err(Diagnostic::error("elt::query_comment", words)
                .at(&written.at, "rendered from this")
                .help("write what it says without `*/`"));
        }
        Ok((!text.is_empty()).then(|| Comment { text: text.to_owned(), append: written.append }))
    }

    /// Looks at the comment as the first node has it, as far as it can be rendered without a lake.
    pub(super) fn check_comment(&self, found: &mut Vec<Diagnostic>) {
        let first = self.drafts.keys().next();
        match first.map(|id| self.comment(id, None)) {
            Some(Err(diagnostic)) if !matches!(diagnostic.stable_code(), NEEDS_LAKE | "elt::raised") => {
                found.push(diagnostic);
            }
            _ => {}
        }
    }
}
