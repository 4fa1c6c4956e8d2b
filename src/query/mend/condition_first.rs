//! Which scans look at their conditions before they read anything else?
//!
//! A scan reads all the columns that are wanted and has the rows thrown away above it; or it reads the columns of its
//! conditions first, and of the others only what is left (late materialization). The second pays where few rows are left, and costs where
//! many are, or where the conditions look at most of the columns: over TPC-H's 22 queries it takes 7 % more time if all scans do it, and
//! a third of the time in some.
//!
//! How many rows are left is looked up, not guessed: before a part of a scan begins, its first rows are read, of the columns of
//! its conditions alone, and counted, for each condition by itself. Those that leave few rows together are asked first, the one that leaves the
//! fewest before all others, and the rest of what is left. By then the conditions are known that come from the other side of a join (a part that
//! looks for two hundred keys of millions skips nearly all), and those of `order by … limit` are known to come: they leave few rows as soon
//! as the first row group is read. In a bucket a look at rows takes as long as reading them, so it is decided there by what
//! the files say of their columns.

use std::fmt;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{
    EquivalenceProperties, Partitioning, PhysicalExpr, conjunction, split_conjunction,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::projection::ProjectionExprs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions,
};
use datafusion_datasource::file::FileSource;
use datafusion_datasource::source::OpenArgs;
use futures::{StreamExt, TryStreamExt};

use super::conditions::true_rows;
use crate::query::progress::statistics;

/// Of all rows the most that may be left, for the condition to be looked at first: where a page has some rows that are wanted, all of it is
/// unpacked, and they are picked out one by one; for each condition beyond the first anew.
const FEW: f64 = 0.013;

/// How many rows are looked at, to know how many are left.
const LOOKED_AT: usize = 8192;

/// Has scans look at conditions first that leave few rows.
#[derive(Debug)]
pub(super) struct ConditionFirst {
    /// Whether the lake is a folder of this machine.
    pub(super) is_local: bool,
}

impl PhysicalOptimizerRule for ConditionFirst {
    fn name(&self) -> &str {
        "condition_first"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let joins = plan.exists(|step| Ok(step.name().ends_with("JoinExec")))?;
        plan.transform_down(|plan| {
            if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
                return Ok(match self.looking(scan, joins)? {
                    Some(scan) => Transformed::yes(Arc::new(scan)),
                    None => Transformed::no(plan),
                });
            }
            let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
            match self.estimated(filter) {
                Some(scan) => {
                    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
                    Ok(Transformed::yes(plan.replace_children(vec![Arc::new(scan)], options)?))
                }
                None => Ok(Transformed::no(plan)),
            }
        })
        .data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl ConditionFirst {
    /// A scan of this machine's files that decides when it begins; nothing if it has nothing to decide. `joins` says whether
    /// conditions may come from joins.
    fn looking(&self, scan: &DataSourceExec, joins: bool) -> Result<Option<DataSourceExec>> {
        let Some(both) = both(scan).filter(|both| self.is_here(both.config)) else { return Ok(None) };
        let table = both.source.table_schema().clone();
        let schema = Arc::clone(table.table_schema());
        let asked = columns_of(&both.condition, &schema)?;
        if asked.is_empty() {
            return Ok(None);
        }
        let wanted = both.config.file_source().projection().map(|wanted| wanted.column_indices());
        let wanted = wanted.map_or(schema.fields().len(), |wanted| wanted.len());
        let mut conditions = Vec::new();
        for part in split_conjunction(&both.condition) {
            let columns = columns_of(part, &schema)?;
            let is_static = matches!(DynamicFilterTracking::classify(part), DynamicFilterTracking::Static);
            // NaN is beyond the bounds that a join tells of its keys.
            if joins && !is_static && columns.iter().any(|at| schema.field(*at).data_type().is_floating()) {
                return Ok(None);
            }
            conditions.push((Arc::clone(part), columns));
        }
        if conditions.iter().all(|(_, columns)| !is_worth_it(columns.len(), wanted)) {
            return Ok(None);
        }
        let first = |group: &FileGroup| FileGroup::new(group.files().first().cloned().into_iter().collect());
        let mut source = ParquetSource::new(table)
            .with_table_parquet_options(both.source.table_parquet_options().clone())
            .with_predicate(Arc::clone(&both.condition));
        if let Some(reader) = both.source.parquet_file_reader_factory() {
            source = source.with_parquet_file_reader_factory(Arc::clone(reader));
        }
        let sample = FileScanConfigBuilder::new(both.config.object_store_url.clone(), Arc::new(source))
            .with_file_groups(both.config.file_groups.iter().map(first).collect())
            .with_projection_indices(Some(asked))?
            .with_limit(Some(LOOKED_AT))
            .build();
        Ok(Some(DataSourceExec::new(Arc::new(Looking {
            all: both.config.clone(),
            sample,
            conditions,
            wanted,
        }))))
    }

    /// The scan below a filter that looks at conditions first, if they are expected to leave few rows and nobody can look.
    fn estimated(&self, filter: &FilterExec) -> Option<DataSourceExec> {
        let scan = filter.input().downcast_ref::<DataSourceExec>()?;
        let both = both(scan).filter(|both| !self.is_here(both.config))?;
        if collect_columns(filter.predicate()).len() >= scan.schema().fields().len() {
            return None; // nothing is left to be spared
        }
        let rows = |plan: &dyn ExecutionPlan| Some(*statistics(plan)?.num_rows.get_value()? as f64);
        if rows(filter)? > rows(scan)? * FEW {
            return None;
        }
        let source = both.source.clone();
        Some(DataSourceExec::new(Arc::new(with_condition_first(both.config, source))))
    }

    fn is_here(&self, config: &FileScanConfig) -> bool {
        let url = &config.object_store_url;
        url.as_str().starts_with("file://") || self.is_local && *url == crate::table::store_url()
    }
}

/// A scan that could do either.
struct Both<'a> {
    config: &'a FileScanConfig,
    source: &'a ParquetSource,
    condition: Arc<dyn PhysicalExpr>,
}

fn both(scan: &DataSourceExec) -> Option<Both<'_>> {
    let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
    let source = config.file_source().downcast_ref::<ParquetSource>()?;
    // Columns that are called otherwise in the files are not found there, and places are counted over all rows.
    let is_plain = config.expr_adapter_factory.is_none()
        && config.file_source().table_schema().virtual_columns().is_empty();
    let may = is_plain && !source.table_parquet_options().global.pushdown_filters;
    let condition = source.filter()?;
    may.then_some(Both { config, source, condition })
}

fn with_condition_first(config: &FileScanConfig, source: ParquetSource) -> FileScanConfig {
    let source = source.with_pushdown_filters(true);
    FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build()
}

/// Whether so many columns may be looked at before the others of those that are wanted.
fn is_worth_it(asked: usize, wanted: usize) -> bool {
    wanted.saturating_sub(asked) >= asked
}

/// The places of the columns that a condition looks at, in order.
fn columns_of(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Vec<usize>> {
    let names = collect_columns(condition).into_iter();
    let mut places = names.map(|column| Ok(schema.index_of(column.name())?)).collect::<Result<Vec<_>>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// A scan of which each part decides, when it begins, what it reads first.
#[derive(Clone, Debug)]
struct Looking {
    all: FileScanConfig,
    sample: FileScanConfig,
    /// With the places of the columns that they look at.
    conditions: Vec<(Arc<dyn PhysicalExpr>, Vec<usize>)>,
    /// How many columns are read.
    wanted: usize,
}

impl Looking {
    /// The conditions in the order in which a part is to ask them before it reads anything else; nothing if too many rows would be left.
    async fn first(&self, args: &OpenArgs) -> Result<Option<Vec<usize>>> {
        let (mut known, mut coming) = (Vec::new(), Vec::new());
        for (at, (condition, _)) in self.conditions.iter().enumerate() {
            match DynamicFilterTracking::classify(condition) {
                DynamicFilterTracking::Watching(_) => coming.push(at),
                _ => known.push(at),
            }
        }
        let few = if known.is_empty() { None } else { self.few(&known, args).await? };
        let first = match few {
            Some(few) => few,
            None if coming.is_empty() => return Ok(None),
            None => coming,
        };
        let mut columns: Vec<usize> =
            first.iter().flat_map(|at| self.conditions[*at].1.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        let rest = (0..self.conditions.len()).filter(|at| !first.contains(at));
        Ok(is_worth_it(columns.len(), self.wanted).then(|| first.iter().copied().chain(rest).collect()))
    }

    /// Those of the conditions that leave few of a part's first rows together, the one that leaves the fewest first.
    async fn few(&self, known: &[usize], args: &OpenArgs) -> Result<Option<Vec<usize>>> {
        let mut sample = self.sample.open(args.partition, Arc::clone(&args.context))?;
        let rows = loop {
            match sample.next().await.transpose()? {
                Some(rows) if rows.num_rows() == 0 => {}
                Some(rows) => break rows,
                None => return Ok(None),
            }
        };
        let mut kept = Vec::with_capacity(known.len());
        for at in known {
            let condition = reassign_expr_columns(Arc::clone(&self.conditions[*at].0), &rows.schema())?;
            kept.push((*at, true_rows(condition.evaluate(&rows)?, rows.num_rows())?));
        }
        kept.sort_by_key(|(_, found)| found.count_set_bits());
        let again = self.conditions.len().saturating_sub(1).max(1);
        let most = rows.num_rows() as f64 * FEW / again as f64;
        let mut left = BooleanBuffer::new_set(rows.num_rows());
        let mut first = Vec::new();
        for (at, found) in kept {
            left = &left & &found;
            first.push(at);
            if left.count_set_bits() as f64 <= most {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// The scan that asks its conditions in this order before it reads the rest.
    fn asking_first(&self, order: &[usize]) -> Result<FileScanConfig> {
        let Some(source) = self.all.file_source().downcast_ref::<ParquetSource>() else {
            return internal_err!("only scans of Parquet look at their conditions first");
        };
        let conditions = order.iter().map(|at| Arc::clone(&self.conditions[*at].0));
        let source = source.clone().with_predicate(conjunction(conditions));
        Ok(with_condition_first(&self.all, source))
    }
}

impl DataSource for Looking {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let (scan, schema) = (self.clone(), self.all.projected_schema()?);
        let rows = futures::stream::once(async move {
            // Whatever is wrong is said by the scan itself, which may not even come to it.
            match scan.first(&args).await.unwrap_or(None) {
                Some(order) => scan.asking_first(&order)?.open_with_args(args),
                None => scan.all.open_with_args(args),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten())))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn std::any::Any + Send + Sync>> {
        self.all.create_sibling_state(config)
    }

    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.all.fmt_as(kind, f)
    }

    fn output_partitioning(&self) -> Partitioning {
        self.all.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.all.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.all.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.all.partition_statistics(partition)
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.all.with_fetch(limit)
    }

    fn fetch(&self) -> Option<usize> {
        self.all.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.all.metrics()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        self.all.try_swapping_with_projection(projection)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.all.apply_expressions(f)
    }
}
