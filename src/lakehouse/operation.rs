//! What does a macro do that is run by itself?
//!
//! It is rendered with the lake to ask and to write to. It belongs to no build, so each of its statements that
//! writes is published at once, as a statement of the shell would be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::runtime::Handle;

use super::{Compiled, Lakehouse, Session};
use crate::base::{Diagnostic, Error, Message, ReleaseNumber, Result, TableName};
use crate::build::{SessionLookup, answer};
use crate::compile::{self, Answer, AnswerColumn, Facts, Lookup};
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
        let Compiled { manifest, warnings, .. } = self.compile_with(&facts)?;
        let before = pins.release;
        let session = self.session().await?;
        let lake =
            Operating { lakehouse: self.clone(), session: Mutex::new(session), runtime: Handle::current() };
        let lake: Arc<dyn Lookup> = Arc::new(lake);
        let (late, name, arguments) = (manifest.late(), name.to_owned(), arguments.clone());
        let done = tokio::task::spawn_blocking(move || late.operate(&name, &arguments, &lake)).await;
        let done = done.expect("rendering a template does not panic");
        let messages = done.map_err(Error::project)?;
        let newest = self.pins().await?.release;
        let first = before.map_or(1, |number| number.0 + 1);
        let last = newest.map_or(0, |number| number.0);
        let releases = (first..=last).map(ReleaseNumber);
        Ok(Operated { messages, warnings, releases: releases.collect() })
    }
}
