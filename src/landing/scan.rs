//! How are files queried where they lie?
//!
//! A [`FileScan`] is a table for the query engine: the rows that landing would make of some files, with its readers and its rules
//! of what is a null, a date or a number, under the names that the files give their columns. Nothing is written. Values
//! of columns that nobody asks for are not looked at. A row that landing would reject, and a value that does not fit its
//! column, end the query with file and line: a query has nowhere to put them, and does not lose them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::discover::{FileStamp, discover, partition};
use super::fetch::fetch;
use super::format::Format;
use super::infer::{Look, infer};
use super::land::{blocking, found};
use super::options::{LandOptions, OnMisfit, OnNewColumn};
use super::read::Parsed;
use super::reading::each_parsed;
use super::{FileAccount, LandingError, format};
use crate::base::World;

/// Files that are small enough together to be looked at wholly before a query of them runs.
const LOOKED_AT_WHOLLY: u64 = 32 * 1024 * 1024;

/// Files that were found, before they are opened.
#[derive(Clone, Debug, Default)]
pub struct Found {
    files: Vec<FileStamp>,
}

/// Some files as a table.
#[derive(Debug)]
pub struct FileScan {
    rows: Arc<Rows>,
    schema: SchemaRef,
}

/// What reading the files takes.
#[derive(Debug)]
struct Rows {
    shown: String,
    files: Vec<FileStamp>,
    /// The columns of the files.
    columns: SchemaRef,
    options: LandOptions,
    /// Whether records that cannot be rows are passed over.
    tolerant: bool,
}

impl Found {
    /// The files that patterns mean, as [`discover`](super::discover::discover) and [`fetch`](super::fetch) find them.
    ///
    /// # Errors
    /// Theirs.
    pub async fn by(root: &Path, patterns: &[String], world: &World) -> Result<Self, LandingError> {
        Ok(Self { files: found(root, patterns, world).await?.into_values().collect() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether all of them are Parquet.
    ///
    /// # Errors
    /// Those of [`format::of`].
    pub fn is_parquet(&self, options: &LandOptions) -> Result<bool, LandingError> {
        for file in &self.files {
            if file.format(&options.read)?.0 != Format::Parquet {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where they are, if all of them are on this machine.
    pub fn on_disk(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.on_disk.as_path())
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// Their names and where they are; nothing if one of them is not on this machine.
    pub fn here(&self) -> Option<Vec<(String, PathBuf)>> {
        let place =
            |file: &FileStamp| file.elsewhere.is_none().then(|| (file.path.clone(), file.on_disk.clone()));
        self.files.iter().map(place).collect()
    }

    /// What the folders of the files say that are named `column=value`, if all of them have the same columns: each with
    /// whether all its values are whole numbers.
    pub fn partitions(&self) -> Vec<(String, bool)> {
        let Some(first) = self.files.first() else { return Vec::new() };
        let names =
            |file: &FileStamp| file.partitions.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let columns = names(first);
        if self.files.iter().any(|file| names(file) != columns) {
            return Vec::new();
        }
        let is_number = |value: &Option<String>| {
            let number =
                |value: &String| value.parse::<i64>().is_ok_and(|number| number.to_string() == *value);
            value.as_ref().is_none_or(number)
        };
        let numbers = |at: usize| self.files.iter().all(|file| is_number(&file.partitions[at].1));
        columns.into_iter().enumerate().map(|(at, name)| (name, numbers(at))).collect()
    }

    /// The folder whose folders `column=value` hold the files and no others, for a reader that knows such folders, and
    /// neither nulls nor escapes in their names; nothing if there is none.
    ///
    /// # Errors
    /// [`LandingError::Unreadable`] if it cannot be listed.
    pub async fn base(&self) -> Result<Option<PathBuf>, LandingError> {
        let above = |file: &FileStamp| -> Option<PathBuf> {
            let plain = |(_, value): &(String, Option<String>)| {
                value.as_ref().is_some_and(|value| !value.contains('%'))
            };
            let folders = file.on_disk.ancestors().skip(1);
            let named = folders.take(file.partitions.len()).all(|folder| {
                let name =
                    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                !name.contains('%') && partition(&name).is_some()
            });
            let base = file.on_disk.ancestors().nth(file.partitions.len() + 1)?;
            (named && file.partitions.iter().all(plain)).then(|| base.to_owned())
        };
        let Some(base) = self.files.first().and_then(above) else { return Ok(None) };
        if self.files.iter().any(|file| above(file).as_ref() != Some(&base)) {
            return Ok(None);
        }
        let listed = base.clone();
        let all = blocking(move || discover(&listed, &[String::new()])).await?;
        Ok((all.len() == self.files.len()).then_some(base))
    }
}

/// How files are to be queried, beyond how their bytes are understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What the files are called in plans and messages.
    pub shown: String,
    /// A column that says which file a row is from.
    pub file_name: Option<String>,
    /// Whether all of the files is looked at to find their types, however large they are.
    pub look_wholly: bool,
    /// Whether the hints of the options are all columns there are.
    pub only_hints: bool,
    /// Whether columns are called as landing calls them.
    pub as_landed: bool,
    /// Whether records that cannot be rows, and rows with values that do not fit, are passed over.
    pub tolerant: bool,
}

impl FileScan {
    /// Opens files. Their types come from all of them if they are small, else from their beginnings.
    ///
    /// # Errors
    /// What keeps a file from being read ([`read`](super::read::read)), and what a source's files can be asked
    /// back about ([`LandingError::TwoReadings`]).
    pub async fn open(found: Found, mut options: LandOptions, asked: Asked) -> Result<Self, LandingError> {
        options.read.as_written = !asked.as_landed;
        options.read.declared = options.hints.iter().map(|(name, _)| options.read.name_of(name)).collect();
        options.provenance = false;
        format::check(&options.read)?;
        let mut files = Vec::with_capacity(found.files.len());
        for file in found.files {
            files.push(fetch(file).await?);
        }
        let size: u64 = files.iter().map(|file| file.size).sum();
        let look = match asked.look_wholly || size <= LOOKED_AT_WHOLLY {
            true => Look::All,
            false => Look::Beginning,
        };
        let (how, of) = (options.clone(), files.clone());
        let inferred = blocking(move || infer(&of, &how, &[], look)).await?;
        options.read.orders.extend(inferred.orders);
        options.read.comma_elsewhere |= inferred.decimal_comma;
        let mut columns = inferred.schema;
        if asked.only_hints {
            let hinted = options.hints.iter().filter_map(|(name, _)| columns.column_with_name(name));
            columns = Arc::new(Schema::new(hinted.map(|(_, field)| field.clone()).collect::<Vec<_>>()));
        }
        let (on_misfit, on_new) = match (asked.tolerant, asked.only_hints) {
            (true, _) => (OnMisfit::Reject, OnNewColumn::Discard),
            (false, true) => (OnMisfit::Fail, OnNewColumn::Discard),
            (false, false) => (OnMisfit::Fail, OnNewColumn::Fail),
        };
        (options.types, options.columns) = (on_misfit, on_new);
        let mut fields: Vec<Arc<Field>> = columns.fields().iter().cloned().collect();
        if let Some(name) = &asked.file_name {
            fields.push(Arc::new(Field::new(name, DataType::Utf8, false)));
        }
        let schema = Arc::new(Schema::new(fields));
        let rows = Rows { shown: asked.shown, files, columns, options, tolerant: asked.tolerant };
        Ok(Self { rows: Arc::new(rows), schema })
    }

    /// Whether there is not one column.
    pub fn is_empty(&self) -> bool {
        self.schema.fields().is_empty()
    }
}

#[async_trait]
impl TableProvider for FileScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let asked = projection.cloned().unwrap_or(all);
        Ok(Arc::new(FileExec::new(Arc::clone(&self.rows), &self.schema, asked)?))
    }
}

/// Reads files.
#[derive(Debug)]
struct FileExec {
    rows: Arc<Rows>,
    /// Which columns go out; one behind those of the files is the file's name.
    asked: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FileExec {
    fn new(rows: Arc<Rows>, schema: &SchemaRef, asked: Vec<usize>) -> Result<Self> {
        let schema = Arc::new(schema.project(&asked)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Self { rows, asked, schema, properties, metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl Rows {
    /// Reads the columns `asked` for, and gives each batch to `take` until that returns false. Blocks.
    fn read(
        &self,
        asked: &[usize],
        schema: &SchemaRef,
        mut take: impl FnMut(RecordBatch) -> bool,
    ) -> Result<(), LandingError> {
        let mut options = self.options.clone();
        // Which rows are passed over does not depend on what is asked for.
        if !self.tolerant {
            let fields = self.columns.fields().iter().enumerate();
            let others = fields.filter(|(at, _)| !asked.contains(at));
            options.read.unasked = others.map(|(_, field)| field.name().clone()).collect();
        }
        let mut accounts: Vec<FileAccount> =
            self.files.iter().map(|file| FileAccount::new(&file.path)).collect();
        let (mut ended, mut stopped) = (Ok(()), false);
        each_parsed(&self.files, &self.columns, &options, |at, parsed| {
            let file = &self.files[at];
            let mut hand_over = |parsed: &Parsed| {
                accounts[at].add(parsed);
                self.passed_over(file, parsed, &accounts[at])?;
                let batch = picked(&parsed.batch, asked, schema, &file.path)
                    .map_err(|source| LandingError::Internal { path: file.path.clone(), source })?;
                Ok(batch.num_rows() == 0 || take(batch))
            };
            for parsed in parsed.iter().flatten() {
                match hand_over(parsed) {
                    Ok(true) => {}
                    Ok(false) => {
                        stopped = true;
                        return false;
                    }
                    Err(error) => {
                        ended = Err(error);
                        return false;
                    }
                }
            }
            if let Err(error) = parsed {
                ended = Err(error);
            }
            ended.is_ok()
        });
        ended?;
        if stopped { Ok(()) } else { accounts.iter().try_for_each(FileAccount::check) }
    }

    /// Refuses what landing would reject, unless it is to be passed over.
    fn passed_over(
        &self,
        file: &FileStamp,
        parsed: &Parsed,
        account: &FileAccount,
    ) -> Result<(), LandingError> {
        match parsed.rejected.first() {
            Some(first) if !self.tolerant => Err(LandingError::TooManyRejected {
                rejected: account.rejected,
                read: account.read,
                allowed: "0 are".to_owned(),
                first: format!("{}:{}: {}", file.path, first.line, first.message),
            }),
            _ => Ok(()),
        }
    }
}

/// The columns of a batch that are asked for.
fn picked(
    batch: &RecordBatch,
    asked: &[usize],
    schema: &SchemaRef,
    path: &str,
) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let rows = batch.num_rows();
    // Behind the columns of the files stand two that landing adds.
    let own = batch.num_columns() - 2;
    let column = |at: &usize| -> ArrayRef {
        match *at < own {
            true => Arc::clone(batch.column(*at)),
            false => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(path, rows))),
        }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), asked.iter().map(column).collect(), &options)
}

impl DisplayAs for FileExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "FileExec: {}", self.rows.shown)?;
        if columns.is_empty() { Ok(()) } else { write!(f, " ({})", columns.join(", ")) }
    }
}

impl ExecutionPlan for FileExec {
    fn name(&self) -> &'static str {
        "FileExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (rows, asked, schema) = (Arc::clone(&self.rows), self.asked.clone(), Arc::clone(&self.schema));
        let (sender, receiver) = mpsc::channel::<Result<RecordBatch>>(2);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = rows.read(&asked, &schema, |batch| sender.blocking_send(Ok(batch)).is_ok()) {
                drop(sender.blocking_send(Err(DataFusionError::External(Box::new(error)))));
            }
        });
        let batches = futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|batch| (batch, receiver))
        });
        let batches = batches.map(move |batch| batch.record_output(&metrics));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
