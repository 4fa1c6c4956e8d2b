//! How does DataFusion find what a scope holds?

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;

use super::dialect::{self, Reader, Reference};
use super::expand::expand;
use super::files::FileSchema;
use super::own::{Own, TEMPORARY, TemporarySchema};
use super::scope::Meaning;
use super::system::{self, SystemSchema};

use super::{Files, QueryError, Scope, SqlMistake, cases};
use crate::base::{ReleaseNumber, TableName, did_you_mean};
use crate::release::View;

/// Gives the session's present state, while the session lives.
pub(super) type StateOf = Arc<OnceLock<Box<dyn Fn() -> Option<SessionState> + Send + Sync>>>;

/// The only catalog of a session: a scope, and files by name.
#[derive(Clone)]
pub(super) struct LakeCatalog {
    pub(super) scope: Arc<Scope>,
    pub(super) default_schema: String,
    /// Whether files by name are part of it.
    pub(super) files: Files,
    /// What the session keeps for itself.
    pub(super) own: Own,
    pub(super) state: StateOf,
}

impl std::fmt::Debug for LakeCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeCatalog").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.scope.schemas();
        for more in [self.default_schema.as_str(), system::SCHEMA] {
            if !names.iter().any(|known| known == more) {
                names.push(more.to_owned());
            }
        }
        if !self.own.names().is_empty() {
            names.push(TEMPORARY.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if let Some(reader) = Reader::read(name) {
            return Some(Arc::new(FileSchema {
                state: Arc::clone(&self.state),
                tables: self.scope.tables().clone(),
                reader,
                files: self.files,
            }));
        }
        if name == TEMPORARY {
            return Some(Arc::new(TemporarySchema { catalog: self.clone() }));
        }
        if name == dialect::REFERENCES {
            return Some(Arc::new(ReferenceSchema { catalog: self.clone() }));
        }
        // Names of tables and schemas have no case, quoted or not.
        let own = [self.scope.schemas(), vec![self.default_schema.clone()]].concat();
        let known = own.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let own = known
            .map(|schema| Arc::new(LakeSchema { catalog: self.clone(), schema }) as Arc<dyn SchemaProvider>);
        if name.eq_ignore_ascii_case(system::SCHEMA) {
            return Some(Arc::new(SystemSchema { catalog: self.clone(), beside: own }));
        }
        own
    }
}

/// One schema of a scope.
#[derive(Debug)]
struct LakeSchema {
    catalog: LakeCatalog,
    schema: String,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let names = self.catalog.scope.names();
        names
            .into_iter()
            .filter(|(name, _)| name.schema() == self.schema)
            .map(|(name, _)| name.table().to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let reference = Reference::read(name);
        let Ok(name) = TableName::new(&self.schema, &reference.table) else { return Ok(None) };
        if reference.places {
            return Ok(self.catalog.scope.places(&name).await?);
        }
        match reference.changes {
            Some((Some(from), to)) => return Ok(self.catalog.scope.changes(&name, from, to).await?),
            Some((None, _)) => return Ok(self.catalog.scope.changes_since(&name).await?),
            None => {}
        }
        match self.catalog.scope.meaning(&name, reference.as_of.as_ref()).await? {
            None => Ok(None),
            Some(Meaning::Table(table)) => Ok(Some(table)),
            Some(Meaning::View(view, release)) => {
                let plan = self.catalog.plan_view(&name, &view, release).await?;
                Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql)))))
            }
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let names = self.catalog.scope.names();
        let found = names.iter().find(|(known, _)| known.schema() == self.schema && known.table() == name);
        Ok(found.map(|(_, is_view)| if *is_view { TableType::View } else { TableType::Base }))
    }

    fn table_exist(&self, name: &str) -> bool {
        let reference = Reference::read(name);
        TableName::new(&self.schema, &reference.table).is_ok_and(|name| self.catalog.scope.has(&name))
    }
}

/// What `ref` and `source` name.
#[derive(Debug)]
struct ReferenceSchema {
    catalog: LakeCatalog,
}

impl ReferenceSchema {
    /// `crm.people` is a table as it stands; a model is in the schema of names without one, or in the only schema that
    /// has one of its name.
    fn find(&self, wanted: &str) -> Option<TableName> {
        let scope = &self.catalog.scope;
        if let Some((schema, table)) = wanted.split_once('.') {
            return TableName::new(schema, table).ok().filter(|name| scope.has(name));
        }
        let own = TableName::new(&self.catalog.default_schema, wanted).ok().filter(|name| scope.has(name));
        own.or_else(|| {
            let names = scope.names();
            let mut found = names.into_iter().map(|(name, _)| name).filter(|name| name.table() == wanted);
            found.next().filter(|_| found.next().is_none())
        })
    }

    fn missing(&self, wanted: &str) -> QueryError {
        let what = match wanted.contains('.') {
            true => format!("there is no source `{wanted}`"),
            false => format!("there is no model `{wanted}`"),
        };
        let names = self.catalog.scope.names();
        let bare = wanted.rsplit('.').next().unwrap_or(wanted);
        let help = did_you_mean(bare, names.iter().map(|(name, _)| name.table()));
        let mistake = SqlMistake::new("elt::sql::no_such_table", what);
        mistake.help(help.unwrap_or_else(|| "it may not be published yet: run `elt build`".to_owned())).into()
    }
}

#[async_trait]
impl SchemaProvider for ReferenceSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (wanted, version) =
            name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
        let found = self.find(wanted).ok_or_else(|| self.missing(wanted))?;
        let schema = LakeSchema { catalog: self.catalog.clone(), schema: found.schema().to_owned() };
        let table = version
            .map_or_else(|| found.table().to_owned(), |version| format!("{}@{version}", found.table()));
        schema.table(&table).await
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

impl LakeCatalog {
    pub(super) async fn plan_view(
        &self,
        name: &TableName,
        view: &View,
        release: Option<ReleaseNumber>,
    ) -> Result<LogicalPlan> {
        let in_view =
            |error: QueryError| DataFusionError::from(error).context(format!("in the view `{name}`"));
        let mut statement = dialect::parse_query(&view.sql).map_err(|mistake| in_view(mistake.into()))?;
        dialect::honour(&mut statement).map_err(|mistake| in_view(mistake.into()))?;
        let state = self.state.get().and_then(|state| state());
        let state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        loop {
            let mut spelt = statement.clone();
            let planned = async {
                Box::pin(expand(&state, &mut spelt, release)).await?;
                dialect::prepare(&mut spelt, release)?;
                let spelt = EngineStatement::Statement(Box::new(spelt));
                Ok::<_, QueryError>(Box::pin(state.statement_to_plan(spelt)).await?)
            };
            match Box::pin(planned).await {
                Err(QueryError::Sql(mistake)) if cases::corrected(&mut statement, &mistake) => {}
                planned => {
                    let plan = planned.map_err(in_view)?;
                    self.scope.stands_on_plan(&plan);
                    return Ok(plan);
                }
            }
        }
    }
}
