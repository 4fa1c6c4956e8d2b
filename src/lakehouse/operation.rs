//! What does a macro do that is run by itself?
//!
//! It is rendered with the lake to ask and to write to. It belongs to no build, so each of its statements that
//! writes is published at once, as a statement of the shell would be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{Compiled, Lakehouse, Session};
use crate::base::{Diagnostic, Error, Message, ReleaseNumber, Result, TableName, Told};
use crate::build::{self, SessionLookup, SoFar, Stamp, answer};
use crate::compile::{self, Answer, AnswerColumn, Facts, Lookup, Manifest};
use crate::query::QueryError;

/// What an operation had to say.
#[derive(Debug, Default)]
pub struct Operated {
    /// What its macros logged and printed.
    pub messages: Vec<Message>,
    /// What they warned of.
    pub warnings: Vec<Diagnostic>,
    /// The releases that its statements became.
    pub releases: Vec<ReleaseNumber>,
}

/// A lakehouse, for the templates of an operation: what they write is there for what they ask next.
#[derive(Debug)]
struct Operating {
    lakehouse: Lakehouse,
    session: Mutex<Session>,
    runtime: Handle,
}

impl Operating {
    fn session(&self) -> Session {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(&self, sql: &str) -> std::result::Result<Answer, QueryError> {
        let mut told = Answer::default();
        for statement in compile::hook_statements(sql) {
            let (outcome, session) = Box::pin(self.lakehouse.execute(&self.session(), &statement)).await?;
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
            told = answer(outcome).await?;
        }
        Ok(told)
    }
}

impl Lookup for Operating {
    fn rows(&self, sql: &str) -> std::result::Result<Answer, String> {
        self.runtime.block_on(Box::pin(self.run(sql))).map_err(|error| error.to_string())
    }

    fn columns(&self, sql: &str) -> std::result::Result<Vec<AnswerColumn>, String> {
        let _entered = self.runtime.enter();
        SessionLookup::new(self.session()).columns(sql)
    }

    fn names(&self) -> Vec<(TableName, bool)> {
        self.session().scope().names()
    }

    fn can_write(&self) -> bool {
        true
    }
}

impl Lakehouse {
    /// Runs the macro `name` (or `package.name`) with these arguments.
    ///
    /// Statements that it published before it failed stay published.
    ///
    /// # Errors
    /// All mistakes of the project at once; that there is no such macro; what went wrong in it.
    pub async fn operate(&self, name: &str, arguments: &BTreeMap<String, Value>) -> Result<Operated> {
        let (pins, run) = (self.pins().await?, self.run_id());
        let facts = Facts { command: "run-operation".to_owned(), ..self.facts(&pins, &run) };
        let Compiled { project, manifest, warnings } = self.compile_with(&facts)?;
        let (stamp, begun) = (self.stamp_in(&project, &run, &facts.command), Instant::now());
        let before = pins.release;
        let session = self.session().await?;
        let lake =
            Operating { lakehouse: self.clone(), session: Mutex::new(session), runtime: Handle::current() };
        let lake: Arc<dyn Lookup> = Arc::new(lake);
        let asked = [("macro".to_owned(), name.into()), ("args".to_owned(), json!(arguments))];
        let asked_for = name;
        let (late, name, arguments) = (manifest.late(), name.to_owned(), arguments.clone());
        let done = tokio::task::spawn_blocking(move || late.operate(&name, &arguments, &lake)).await;
        let done = done.expect("rendering a template does not panic");
        let of = (&manifest, asked_for);
        self.note_operation((&project.target_path, stamp), of, &done, begun.elapsed(), asked);
        let messages = done.map_err(Error::project)?;
        let newest = self.pins().await?.release;
        let first = before.map_or(1, |number| number.0 + 1);
        let last = newest.map_or(0, |number| number.0);
        let releases = (first..=last).map(ReleaseNumber);
        Ok(Operated { messages, warnings, releases: releases.collect() })
    }

    /// Writes `run_results.json`: the macro as its one result, whatever came of it.
    fn note_operation(
        &self,
        (target, stamp): (&Path, Stamp),
        (manifest, name): (&Manifest, &str),
        done: &std::result::Result<Vec<Message>, Vec<Diagnostic>>,
        took: Duration,
        asked: [(String, Value); 2],
    ) {
        let told = match done {
            Ok(_) => Told { status: "success", message: None, failures: Some(0.0), rows: None },
            Err(found) => {
                let why = found.iter().find(|one| one.is_error()).map(Diagnostic::to_string);
                Told { status: "error", message: why, failures: Some(1.0), rows: None }
            }
        };
        let arguments = self.project_arguments().into_iter().chain(asked).collect();
        let stamp = Stamp { at: self.world.now(), arguments, ..stamp };
        let results = [SoFar { unique_id: macro_id(manifest, name), relation: String::new(), told, took }];
        let _ = self.write_project(target, manifest, &BTreeMap::new(), &stamp);
        // The operation is over; a folder that cannot be written to does not undo it.
        let _ = self.write_artifact(target, "run_results.json", &build::run_results_so_far(&results, &stamp));
    }
}

/// The id of the macro that `name` or `package.name` is: the project's own before others'.
fn macro_id(manifest: &Manifest, name: &str) -> String {
    let (package, plain) = name.split_once('.').unwrap_or((&manifest.project, name));
    let of_name = || manifest.written.macros.iter().filter(|one| one.name == plain);
    let found = of_name().find(|one| one.package == package).or_else(|| of_name().next());
    found.map_or_else(|| format!("macro.{package}.{plain}"), |one| one.id.clone())
}
