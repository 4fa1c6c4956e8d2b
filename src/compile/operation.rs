//! What does a template do that belongs to no node?
//!
//! A macro that is run by itself, and the hooks of a whole run. Every name of the project means something to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::document::RunHook;
use super::hook::{self, Permitted};
use super::jinja::{Argument, Phase, Recorded, Subject, recorded};
use super::lookup::Lookup;
use super::meaning::{Seen, seen};
use super::render::{Templates, refused};
use crate::base::{Diagnostic, Message, SourceText, did_you_mean};
use crate::project::Hook;

impl Templates {
    fn anywhere(&self, lake: Option<&Arc<dyn Lookup>>) -> Phase {
        Phase::Compile {
            refs: seen(&self.all_names.refs, &Seen::All),
            sources: seen(&self.all_names.sources, &Seen::All),
            is_incremental: false,
            lake: lake.cloned(),
        }
    }

    /// Renders one hook of the whole run, with the names of `given` besides its own.
    pub(super) fn run_hook(
        &self,
        hook: &Hook,
        given: &BTreeMap<String, Value>,
        lake: Option<&Arc<dyn Lookup>>,
    ) -> Result<(String, Recorded), Diagnostic> {
        let subject = Subject {
            name: "on-run".into(),
            package: hook.package.clone(),
            resource_type: "operation",
            given: given.clone(),
            is_hook: true,
            ..Subject::default()
        };
        let scope = self.jinja.scope(subject, self.anywhere(lake));
        let sql = self.jinja.text(&hook.sql.as_str().into(), &scope, &hook.at)?;
        Ok((sql, recorded(&scope)))
    }

    fn hooks_of_run(&self, which: RunHook) -> &[Hook] {
        match which {
            RunHook::Start => &self.run_hooks.0,
            RunHook::End => &self.run_hooks.1,
        }
    }

    /// The ids of the hooks before or after a run: each with its number in its package.
    pub(super) fn run_hook_ids(&self, which: RunHook) -> Vec<String> {
        let hooks = self.hooks_of_run(which);
        let side = if which == RunHook::Start { "start" } else { "end" };
        let id = |(at, hook): (usize, &Hook)| {
            let package = &hook.package;
            let before = hooks[..at].iter().filter(|one| one.package == *package).count();
            format!("operation.{package}.{package}-on-run-{side}-{before}")
        };
        hooks.iter().enumerate().map(id).collect()
    }

    /// Renders one of the hooks before or after a run; see [`Late`](super::Late).
    pub(super) fn run_hook_rendered(
        &self,
        (which, at): (RunHook, usize),
        given: &BTreeMap<String, Value>,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Vec<String>, Vec<Message>), Diagnostic> {
        let Some(hook) = self.hooks_of_run(which).get(at) else { return Ok(Default::default()) };
        let (sql, seen) = self.run_hook(hook, given, Some(lake))?;
        let mut statements = Vec::new();
        for sql in seen.writes.into_iter().chain([sql]) {
            match hook::judge(&sql) {
                Permitted::Nothing => {}
                Permitted::Reads | Permitted::Writes => statements.push(sql),
                Permitted::Refused(words) => return Err(refused(&words, &self.project, &hook.at)),
            }
        }
        Ok((statements, seen.messages))
    }

    /// Runs a macro by itself; see [`Late`](super::Late).
    pub(super) fn operate(
        &self,
        name: &str,
        arguments: &BTreeMap<String, serde_json::Value>,
        lake: &Arc<dyn Lookup>,
    ) -> Result<Vec<Message>, Vec<Diagnostic>> {
        let (package, plain) = match name.split_once('.') {
            Some((package, plain)) => (Some(package), plain),
            None => (None, name),
        };
        if let Err(nearest) = self.jinja.find_macro(package, plain) {
            let missing = Diagnostic::error("elt::macro_not_found", format!("there is no macro `{name}`"))
                .help("define it: `{% macro name(argument) %} … {% endmacro %}` in a file under macros/")
                .maybe_help(nearest.and_then(|near| did_you_mean(plain, [near.as_str()])));
            return Err(vec![missing]);
        }
        let subject = Subject {
            id: format!("operation.{}.{plain}", self.project),
            package: package.unwrap_or(&self.project).to_owned(),
            name: plain.to_owned(),
            resource_type: "operation",
            ..Subject::default()
        };
        let scope = self.jinja.scope(subject, self.anywhere(Some(lake)));
        let arguments: Vec<(String, Argument)> =
            arguments.iter().map(|(key, value)| (key.clone(), Argument::Json(value.clone()))).collect();
        let at = SourceText::new("run-operation", name).span(0..name.len());
        let called = self.jinja.call(package, plain, &arguments, &scope, &at);
        let seen = recorded(&scope);
        let warned = seen.warnings.into_iter().map(|text| Message::Logged(format!("warning: {text}")));
        called.map_err(|diagnostic| vec![diagnostic])?;
        Ok(seen.messages.into_iter().chain(warned).collect())
    }
}
