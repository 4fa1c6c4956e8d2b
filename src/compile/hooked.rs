//! What are the statements around the making of a node?
//!
//! Hooks that ask nothing are rendered with the project. One that reads the lake, or raises an error, is *late*, and with it
//! all of its side: they are rendered when it is their turn, those after a node with the node as it was made.

use std::sync::Arc;

use super::draft::Draft;
use super::hook::{self, Permitted};
use super::jinja::{Phase, Scope, Subject, recorded};
use super::lookup::Lookup;
use super::node::{Hooks, NodeId};
use super::render::{Pass, Templates, is_deferred, is_incremental_run, no_selection, refused};
use crate::base::{Diagnostic, Message};

/// One rendered hook: its statements, and whether one of them writes.
struct Rendered {
    statements: Vec<String>,
    writes: bool,
    scope: Arc<Scope>,
}

impl Templates {
    /// Renders the hooks, and judges them. `is_incremental` is what `is_incremental()` says in them.
    pub(super) fn hooks(&self, draft: &Draft, is_incremental: bool, pass: &mut Pass) -> Hooks {
        let mut hooks = Hooks::default();
        for is_after in [false, true] {
            let texts = draft.hooks.iter().filter(|(_, after)| *after == is_after).map(|(text, _)| text);
            let side: Vec<_> = texts.map(|text| self.hook(draft, text, is_incremental, None)).collect();
            let is_late = |one: &Result<Rendered, Diagnostic>| {
                one.as_ref().is_err_and(|diagnostic| is_deferred(diagnostic, None))
            };
            if side.iter().any(is_late) {
                *(if is_after { &mut hooks.late_after } else { &mut hooks.late_before }) = side.len();
                continue;
            }
            for one in side {
                match one {
                    Ok(rendered) => {
                        hooks.write |= rendered.writes;
                        let statements = if is_after { &mut hooks.after } else { &mut hooks.before };
                        statements.extend(rendered.statements);
                        hooks.drops_it |= recorded(&rendered.scope).drops_itself;
                        self.take_down(draft, &rendered.scope, true, pass);
                    }
                    Err(diagnostic) => pass.found.push(diagnostic),
                }
            }
        }
        hooks
    }

    /// Renders one hook of a node on one side, by its place there; see [`Late`](super::Late).
    pub(super) fn late_hook(
        &self,
        id: &NodeId,
        (is_after, at): (bool, usize),
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Vec<String>, Vec<Message>), Vec<Diagnostic>> {
        let draft = self.draft(id);
        let mut side = draft.hooks.iter().filter(|(_, after)| *after == is_after);
        let Some((text, _)) = side.nth(at) else { return Ok(Default::default()) };
        let is_incremental = is_incremental_run(&draft.kind);
        let rendered = self.hook(draft, text, is_incremental, Some(lake)).map_err(|one| vec![one])?;
        let seen = recorded(&rendered.scope);
        if seen.drops_itself {
            let what = "a hook that drops its own node beside one that reads the lake";
            let help = "write what reads the lake as a hook of the other side, or of another node";
            let wrong = Diagnostic::error("elt::not_supported", format!("not supported: {what}"));
            return Err(vec![wrong.at(&draft.at, "of this node").help(help)]);
        }
        let warned = seen.warnings.into_iter().map(|text| Message::Logged(format!("warning: {text}")));
        Ok((rendered.statements, seen.messages.into_iter().chain(warned).collect()))
    }

    fn hook(
        &self,
        draft: &Draft,
        text: &str,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
    ) -> Result<Rendered, Diagnostic> {
        let subject = Subject { is_hook: true, ..draft.subject() };
        let phase: Phase = self.phase(draft, None, is_incremental, lake);
        let scope = self.jinja.scope(subject, phase);
        let sql = self.jinja.text(&text.into(), &scope, &draft.at)?;
        if let Some(diagnostic) = no_selection(draft, &scope, lake) {
            return Err(diagnostic);
        }
        let mut rendered = Rendered { statements: Vec::new(), writes: false, scope };
        for sql in recorded(&rendered.scope).writes.into_iter().chain([sql]) {
            match hook::judge(&sql) {
                Permitted::Nothing => {}
                judged @ (Permitted::Reads | Permitted::Writes) => {
                    rendered.writes |= judged == Permitted::Writes;
                    rendered.statements.push(sql);
                }
                Permitted::Refused(words) => return Err(refused(&words, &draft.name, &draft.at)),
            }
        }
        Ok(rendered)
    }
}
