//! What does `COPY INTO` do?
//!
//! The same as `elt land`: the same files, by the same ledger, published as one release. Here the words of Databricks
//! are translated into a [`LandOrder`]; what a file format needs is understood as [`LandOptions`](super::LandOptions)
//! understand it, and an option that means nothing here is refused by its name.

use std::sync::{Arc, Mutex};

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use super::{FileAccount, FileOutcome, Lakehouse, LandOrder, Landed};
use crate::base::{Diagnostic, Error, Result, Unwatched};
use crate::landing::{LandingError, Shape, within};
use crate::query::dialect::{CopiedAs, CopyInto, CopySelect, Places, Validate};
use crate::query::{Outcome, QueryError, Session};
use crate::table::TableError;

impl Lakehouse {
    /// Lands the files that a `COPY INTO` names, or tells what that would do. Returns what it tells.
    pub(super) async fn copy_into(&self, session: &Session, copy: &CopyInto) -> Result<Outcome, QueryError> {
        let mistake = Arc::new(Mutex::new(None));
        let shape = copy.select.as_ref().map(|select| -> Arc<dyn Shape> {
            Arc::new(Selected {
                session: session.clone(),
                select: select.clone(),
                places: copy.places.clone(),
                mistake: Arc::clone(&mistake),
            })
        });
        let copied = self.copy_shaped(session, copy, shape).await;
        copied.map_err(|error| match mistake.lock().expect("no holder panics").take() {
            Some(mistake) => mistake,
            None => Box::new(error).into(),
        })
    }

    async fn copy_shaped(
        &self,
        session: &Session,
        copy: &CopyInto,
        shape: Option<Arc<dyn Shape>>,
    ) -> Result<Outcome> {
        let order = LandOrder { shape, ..order(copy, session.default_schema())? };
        if !order.dry_run {
            self.tables().lake().check_writable().await.map_err(TableError::from)?;
        }
        let landed = Box::pin(self.land_files(&order, &Unwatched)).await?;
        Ok(if order.dry_run { validated(&landed) } else { copied(&landed) })
    }
}

/// Which files a `COPY INTO` means, and how they are taken.
fn order(copy: &CopyInto, default_schema: &str) -> Result<LandOrder> {
    let table = match copy.table.contains('.') {
        true => copy.table.clone(),
        false => format!("{default_schema}.{}", copy.table),
    };
    let mut options = Vec::new();
    options.extend(copy.format.iter().map(|format| ("format".to_owned(), format.clone())));
    for (name, value) in &copy.format_options {
        options.extend(format_option(name, value)?);
    }
    for (name, value) in &copy.copy_options {
        options.extend(copy_option(name, value)?);
    }
    if let (Places::Listed(columns), None) = (&copy.places, &copy.select) {
        options.push(("column_names".to_owned(), columns.join(",")));
    }
    Ok(LandOrder {
        table,
        files: within(&copy.from, &copy.files, copy.pattern.as_deref())?,
        options,
        by_position: copy.places == Places::ByPosition,
        dry_run: copy.validate.is_some(),
        first_rows: match copy.validate {
            Some(Validate::Rows(rows)) => Some(rows),
            _ => None,
        },
        ..LandOrder::default()
    })
}

/// What a SELECT makes of the rows of files.
#[derive(Debug)]
struct Selected {
    session: Session,
    select: CopySelect,
    places: Places,
    /// What is wrong with the statement, with its place in it.
    mistake: Arc<Mutex<Option<QueryError>>>,
}

#[async_trait]
impl Shape for Selected {
    fn as_they_are(&self, table: Option<&Schema>) -> Vec<(String, String)> {
        let bare = self.select.as_they_are();
        let known = table.map(Schema::fields);
        let place = |(at, column): (usize, Option<CopiedAs>)| {
            let CopiedAs { column, named } = column?;
            let into = match &self.places {
                Places::ByName => named,
                Places::ByPosition => known?.get(at)?.name().clone(),
                Places::Listed(columns) => columns.get(at)?.clone(),
            };
            Some((column, into))
        };
        let mut pairs: Vec<(String, String)> = bare.into_iter().enumerate().filter_map(place).collect();
        if self.select.takes_all() && self.places == Places::ByName {
            let asked = self.select.asked();
            let all = known.into_iter().flatten().map(|field| field.name());
            pairs.extend(all.filter(|name| !asked.contains(name)).map(|name| (name.clone(), name.clone())));
        }
        pairs
    }

    async fn rows(
        &self,
        files: SendableRecordBatchStream,
        own: &[String],
        table: Option<&Schema>,
    ) -> Result<SendableRecordBatchStream, LandingError> {
        let told = |error: QueryError| LandingError::Shape(error.into());
        let rows = match self.session.copied(&self.select, &self.places, files, own, table).await {
            Ok(rows) => rows,
            Err(QueryError::Sql(mistake)) => {
                *self.mistake.lock().expect("no holder panics") = Some(QueryError::Sql(mistake.clone()));
                return Err(told(mistake.into()));
            }
            Err(error) => return Err(told(error)),
        };
        let schema = rows.schema();
        let rows =
            rows.map_err(move |error| DataFusionError::External(Box::new(told(QueryError::from(error)))));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

type Options = Vec<(String, String)>;

/// An option of `FORMAT_OPTIONS` as landing's own.
fn format_option(name: &str, value: &str) -> Result<Options> {
    let own = |name: &str, value: &str| Ok(vec![(name.to_owned(), value.to_owned())]);
    let only = |right: &str, because: &str| match value.eq_ignore_ascii_case(right) {
        true => Ok(Options::new()),
        false => Err(refused(name, value, because)),
    };
    match name.to_lowercase().replace('_', "").as_str() {
        "multiline" => only("true", "a quoted field may always go over many lines; leave it out"),
        "escape" => only("\"", "a quote inside a field is written twice; export the file like that"),
        "mergeschema" => only("true", "all files are always looked at; leave it out"),
        "rescueddatacolumn" => only("_rescued_data", "what does not fit is in `_rescued_data`"),
        "mode" => match value.to_lowercase().as_str() {
            "permissive" => Ok(Options::new()),
            "dropmalformed" => own("contract_data_type", "discard_row"),
            "failfast" => {
                Ok([("contract_data_type", "freeze"), ("max_rejected", "0"), ("on_damaged", "fail")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec())
            }
            _ => Err(refused(name, value, "write PERMISSIVE, DROPMALFORMED or FAILFAST")),
        },
        "ignorecorruptfiles" => match value.to_lowercase().as_str() {
            "true" => own("on_damaged", "report"),
            "false" => own("on_damaged", "fail"),
            _ => Err(refused(name, value, "write true or false")),
        },
        _ => own(name, value),
    }
}

/// An option of `COPY_OPTIONS` as landing's own.
fn copy_option(name: &str, value: &str) -> Result<Options> {
    match (name.to_lowercase().replace('_', "").as_str(), value.to_lowercase().as_str()) {
        ("mergeschema", "true") => Ok(vec![("schema_evolution_mode".to_owned(), "addNewColumns".to_owned())]),
        ("mergeschema", "false") => {
            Ok(vec![("schema_evolution_mode".to_owned(), "failOnNewColumns".to_owned())])
        }
        ("mergeschema", _) => Err(refused(name, value, "write true or false")),
        _ => Ok(vec![(name.to_owned(), value.to_owned())]),
    }
}

fn refused(name: &str, value: &str, help: &str) -> Error {
    Diagnostic::error("elt::copy::option", format!("`{name}` cannot be `{value}`")).help(help).into()
}

/// The row that a `COPY INTO` answers: Databricks' three numbers, and ours.
fn copied(landed: &Landed) -> Outcome {
    let report = &landed.report;
    let sum = |of: fn(&FileAccount) -> u64| report.accounts().map(of).sum::<u64>();
    let count = |is: fn(&FileOutcome) -> bool| report.files.iter().filter(|file| is(file)).count() as u64;
    let inserted = sum(|account| account.loaded + account.rescued);
    let numbers = [
        inserted,
        inserted,
        count(|file| matches!(file, FileOutcome::Failed { .. })),
        sum(|account| account.rescued),
        sum(|account| account.rejected),
        report.accounts().count() as u64,
        count(|file| matches!(file, FileOutcome::Skipped { .. })),
        count(|file| matches!(file, FileOutcome::Changed { .. } | FileOutcome::Copy { .. })),
    ];
    let [affected, inserted, corrupt, rescued, rejected, loaded, known, left] =
        numbers.map(|number| Some(number.to_string()));
    let release = landed.release.as_ref().map(|release| release.number.to_string());
    let names = [
        "num_affected_rows",
        "num_inserted_rows",
        "num_skipped_corrupt_files",
        "num_rescued_rows",
        "num_rejected_rows",
        "num_loaded_files",
        "num_known_files",
        "num_left_out_files",
        "release",
    ];
    Outcome::table(
        names,
        &names,
        vec![[affected, inserted, corrupt, rescued, rejected, loaded, known, left, release]],
    )
}

/// The rows that a `VALIDATE` answers: one for each file.
fn validated(landed: &Landed) -> Outcome {
    let report = &landed.report;
    let row = |file: &FileOutcome| {
        let (account, message) = match file {
            FileOutcome::Loaded(account) | FileOutcome::Reloaded(account) => {
                let of_file = |reject: &&String| reject.starts_with(&format!("{}:", account.path));
                (Some(account), report.first_rejects.iter().find(of_file).cloned())
            }
            FileOutcome::Failed { error, .. } => (None, Some(error.clone())),
            FileOutcome::Copy { of, .. } => (None, Some(format!("same bytes as {of}"))),
            _ => (None, None),
        };
        let count = |of: fn(&FileAccount) -> u64| account.map(|account| of(account).to_string());
        [
            Some(file.path().to_owned()),
            Some(file.word().to_owned()),
            count(|account| account.read),
            count(|account| account.loaded),
            count(|account| account.rescued),
            count(|account| account.rejected),
            message,
        ]
    };
    Outcome::table(
        ["file", "status", "num_read", "num_loaded", "num_rescued", "num_rejected", "message"],
        &["num_read", "num_loaded", "num_rescued", "num_rejected"],
        report.files.iter().map(row).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_databricks_are_landing_s_own() {
        let told = |options: Result<Options>| match options {
            Ok(options) => {
                options.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        for (name, value, own) in [
            ("header", "true", "header=true"),
            ("multiLine", "TRUE", ""),
            ("multiLine", "false", "`multiLine` cannot be `false`"),
            ("escape", "\\", "`escape` cannot be `\\`"),
            ("mode", "FAILFAST", "contract_data_type=freeze max_rejected=0 on_damaged=fail"),
            ("mode", "loose", "`mode` cannot be `loose`"),
            ("ignoreCorruptFiles", "true", "on_damaged=report"),
        ] {
            assert_eq!(told(format_option(name, value)), own);
        }
        assert_eq!(told(copy_option("mergeSchema", "false")), "schema_evolution_mode=failOnNewColumns");
        assert_eq!(told(copy_option("force", "true")), "force=true");
        assert_eq!(told(copy_option("mergeSchema", "perhaps")), "`mergeSchema` cannot be `perhaps`");
    }
}
