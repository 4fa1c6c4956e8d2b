//! How is a query answered, or how was it?
//!
//! `EXPLAIN` and `EXPLAIN ANALYZE`, as a tree that can be read: what is done, in SQL's words, with the rows that are
//! expected or came, the time it took, and the files and row groups that were passed over. Steps that only move rows
//! between threads are not told, and their time is that of the step above. The engine's own words are there too: `EXPLAIN
//! VERBOSE`, and `FORMAT indent`, `tree`, `json` or `graphviz`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::format::ExplainFormat;
use datafusion::logical_expr::{ExplainOption, LogicalPlanBuilder};
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::StreamExt;
use sqlparser::ast;

use super::mend::{EachBatchExec, ITSELF};
use super::progress::statistics;
use super::{Outcome, QueryError, Session, SqlMistake};
use crate::base::grouped;
use crate::table::{FILES_OF_TABLE, FILES_TO_READ};

/// How a query is to be explained.
#[derive(Clone, Debug)]
pub struct Explain {
    /// The query.
    pub statement: Box<ast::Statement>,
    /// Whether it is run.
    pub analyze: bool,
    /// Whether the engine's own plans are told.
    pub verbose: bool,
    /// The form of the engine's own plan; ours if nothing.
    pub format: Option<EngineFormat>,
}

/// A form of the engine's own plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineFormat {
    /// Lines that are set in.
    Indent,
    /// Boxes.
    Tree,
    /// What PostgreSQL's tools read.
    Json,
    /// A graph in the language DOT.
    Graphviz,
}

impl Explain {
    /// Reads the options of a parsed statement.
    ///
    /// # Errors
    /// One that is not honoured.
    pub(super) fn read(statement: ast::Statement) -> Result<Self, SqlMistake> {
        let ast::Statement::Explain {
            describe_alias: _,
            mut analyze,
            mut verbose,
            query_plan: _,
            estimate,
            statement,
            format,
            options,
        } = statement
        else {
            return Err(SqlMistake::empty());
        };
        if estimate {
            return Err(refused("EXPLAIN ESTIMATE"));
        }
        let mut name = format.map(|format| match format {
            ast::AnalyzeFormatKind::Keyword(format) | ast::AnalyzeFormatKind::Assignment(format) => {
                format.to_string()
            }
        });
        for ast::UtilityOption { name: option, arg } in options.into_iter().flatten() {
            let text = arg.map(|arg| arg.to_string().trim_matches('\'').to_lowercase());
            let is_on = match (&*option.value.to_lowercase(), text.as_deref()) {
                ("format", _) | (_, None | Some("true" | "on" | "1")) => true,
                (_, Some("false" | "off" | "0")) => false,
                (_, Some(other)) => return Err(refused(&format!("EXPLAIN with {} {other}", option.value))),
            };
            match option.value.to_lowercase().as_str() {
                "analyze" => analyze = is_on,
                "verbose" => verbose = is_on,
                "format" => name = text,
                // Told anyway.
                "costs" | "timing" | "summary" if is_on => {}
                other => return Err(refused(&format!("EXPLAIN with the option {other}"))),
            }
        }
        let format = match name.map(|name| name.to_lowercase()).as_deref() {
            None | Some("text" | "traditional") => None,
            Some("indent") => Some(EngineFormat::Indent),
            Some("tree") => Some(EngineFormat::Tree),
            Some("json" | "pgjson") => Some(EngineFormat::Json),
            Some("graphviz" | "dot") => Some(EngineFormat::Graphviz),
            Some(other) => return Err(refused(&format!("EXPLAIN in the format {other}"))),
        };
        if analyze && format.is_some() {
            return Err(refused("EXPLAIN ANALYZE in another format than text"));
        }
        Ok(Self { statement, analyze, verbose, format })
    }

    /// What the engine is asked for, if it is its own plans.
    fn of_engine(&self) -> Option<ExplainOption> {
        if self.format.is_none() && !self.verbose {
            return None;
        }
        let format = match self.format {
            None | Some(EngineFormat::Indent) => ExplainFormat::Indent,
            Some(EngineFormat::Tree) => ExplainFormat::Tree,
            Some(EngineFormat::Json) => ExplainFormat::PostgresJSON,
            Some(EngineFormat::Graphviz) => ExplainFormat::Graphviz,
        };
        let verbose = self.verbose && self.format.is_none();
        Some(ExplainOption::default().with_analyze(self.analyze).with_verbose(verbose).with_format(format))
    }
}

fn refused(what: &str) -> SqlMistake {
    SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported")).help(
        "write `explain select …`, `explain analyze select …`, `explain verbose select …` or \
         `explain (format indent | tree | json | graphviz) select …`",
    )
}

/// Tells how a query is answered; or answers it, and tells how that was.
pub(super) async fn explain(session: &Session, explain: Explain) -> Result<Outcome, QueryError> {
    if let Some(option) = explain.of_engine() {
        let plan = Box::pin(session.plan(*explain.statement)).await?;
        let plan = LogicalPlanBuilder::from(plan).explain_option_format(option)?.build()?;
        return Box::pin(session.rows_of_plan(plan)).await;
    }
    let begun = Instant::now();
    let plan = Box::pin(session.plan(*explain.statement)).await?;
    let told = |error: datafusion::error::DataFusionError| session.with_suggestion(error.into());
    let frame = Box::pin(session.context.execute_logical_plan(plan)).await.map_err(told)?;
    let task = Arc::new(frame.task_ctx());
    let physical = Box::pin(frame.create_physical_plan()).await.map_err(told)?;
    let planned = begun.elapsed();
    if !explain.analyze {
        return Ok(answer(drawn(&node(&physical, false), false)));
    }
    let begun = Instant::now();
    let mut rows = execute_stream(Arc::clone(&physical), task).map_err(told)?;
    let mut count = 0_u64;
    while let Some(batch) = rows.next().await {
        count += batch.map_err(told)?.num_rows() as u64;
    }
    drop(rows);
    let ran = begun.elapsed();
    let mut text = drawn(&node(&physical, true), true);
    let _ = write!(
        text,
        "\n{} {} in {}, after {} of planning",
        grouped(count),
        if count == 1 { "row" } else { "rows" },
        time_words(ran),
        time_words(planned)
    );
    Ok(answer(text))
}

/// The columns of the answer.
pub(super) fn columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("plan_type"), text("plan")]))
}

fn answer(plan: String) -> Outcome {
    Outcome::table(["plan_type", "plan"], &[], vec![[Some("plan".to_owned()), Some(plan)]])
}

/// One step.
#[derive(Debug, Default)]
struct Node {
    /// What is done.
    what: String,
    /// With what.
    detail: String,
    /// Rows that came, or are expected: exactly or about.
    rows: Option<(usize, bool)>,
    time: Duration,
    /// What else is worth knowing, a line each.
    notes: Vec<String>,
    children: Vec<Node>,
}

/// The step that a part of a plan is, with what is below.
fn node(plan: &Arc<dyn ExecutionPlan>, is_run: bool) -> Node {
    let metrics = plan.metrics().map(|metrics| metrics.aggregate_by_name());
    let own = metrics.as_ref().and_then(MetricsSet::elapsed_compute).unwrap_or(0);
    let mut time = Duration::from_nanos(own as u64);
    let mut children = Vec::new();
    for child in plan.children() {
        // It does a part of what is done above it.
        let part = child.downcast_ref::<EachBatchExec>();
        let taken = part.and_then(|part| part.metrics()?.elapsed_compute()).unwrap_or(0);
        time += Duration::from_nanos(taken as u64);
        children.push(node(part.map_or(child, EachBatchExec::input), is_run));
    }
    let line = displayable(plan.as_ref()).one_line().to_string();
    let line = line.trim_end();
    let (name, detail) = line.split_once(": ").unwrap_or((line, ""));
    let (name, detail) = match name.split_once('(') {
        Some((name, more)) => (name, format!("{} {detail}", more.trim_end_matches(')'))),
        None => (name, detail.to_owned()),
    };
    let is_mover = matches!(
        name,
        "RepartitionExec"
            | "CoalescePartitionsExec"
            | "CoalesceBatchesExec"
            | "CooperativeExec"
            | "PausingExec"
            | "RisingExec"
            | "RoomExec"
            | "SortPreservingMergeExec"
    );
    if is_mover && children.len() == 1 {
        let mut child = children.remove(0);
        child.time += time;
        if let (Some(_), Some((rows, _))) = (plan.fetch(), rows_of(plan, metrics.as_ref(), is_run)) {
            at_most(&mut child, rows);
        }
        return child;
    }
    let (what, detail) = words(name, &detail);
    // The two halves of an aggregation are one step.
    if what == "Aggregate"
        && let [Node { what: below, .. }] = children.as_slice()
        && below == "Aggregate"
        && line.contains("mode=Final")
    {
        let child = children.remove(0);
        let rows = rows_of(plan, metrics.as_ref(), is_run);
        return Node { rows, time: time + child.time, ..child };
    }
    let rows = rows_of(plan, metrics.as_ref(), is_run);
    let notes = metrics.as_ref().map(|metrics| notes(metrics, is_run)).unwrap_or_default();
    let time = match what.as_str() {
        "Scan" => metrics
            .as_ref()
            .and_then(|metrics| named_time(metrics, "time_elapsed_processing"))
            .unwrap_or(time),
        _ => time,
    };
    Node { what, detail, rows, time, notes, children }
}

/// Each thread found as many as are wanted of all: more than these are not taken.
fn at_most(node: &mut Node, most: usize) {
    node.rows = node.rows.map(|(rows, is_exact)| (rows.min(most), is_exact));
    if node.what == "Select"
        && let [child] = node.children.as_mut_slice()
    {
        at_most(child, most);
    }
}

fn rows_of(
    plan: &Arc<dyn ExecutionPlan>,
    metrics: Option<&MetricsSet>,
    is_run: bool,
) -> Option<(usize, bool)> {
    if is_run {
        return Some((metrics?.output_rows()?, true));
    }
    let statistics = statistics(plan.as_ref())?;
    let rows = statistics.num_rows.get_value().copied()?;
    Some((rows, statistics.num_rows.is_exact() == Some(true)))
}

fn named_time(metrics: &MetricsSet, wanted: &str) -> Option<Duration> {
    metrics.iter().find_map(|metric| match metric.value() {
        MetricValue::Time { name, time } if name == wanted => Some(Duration::from_nanos(time.value() as u64)),
        _ => None,
    })
}

fn notes(metrics: &MetricsSet, is_run: bool) -> Vec<String> {
    let count = |wanted: &str| {
        metrics.iter().find_map(|metric| match metric.value() {
            MetricValue::Count { name, count } if name == wanted => Some(count.value()),
            _ => None,
        })
    };
    let pruned = |wanted: &str| {
        metrics.iter().find_map(|metric| match metric.value() {
            MetricValue::PruningMetrics { name, pruning_metrics } if name == wanted => {
                Some((pruning_metrics.pruned(), pruning_metrics.matched()))
            }
            _ => None,
        })
    };
    let number = |count: usize| grouped(count as u64);
    let mut reads = Vec::new();
    if let Some((read, all)) = count(FILES_TO_READ).zip(count(FILES_OF_TABLE)) {
        reads.push(match all - read.min(all) {
            0 => format!("{} {}", number(all), if all == 1 { "file" } else { "files" }),
            skipped => format!("{} of {} files, {} skipped", number(read), number(all), number(skipped)),
        });
    }
    if is_run {
        let groups =
            ["row_groups_pruned_statistics", "row_groups_pruned_bloom_filter", "limit_pruned_row_groups"];
        let skipped: usize = groups.iter().filter_map(|name| pruned(name)).map(|(pruned, _)| pruned).sum();
        if let Some((pruned, matched)) = pruned("row_groups_pruned_statistics")
            && pruned + matched > 0
        {
            let all = pruned + matched;
            reads.push(match skipped {
                0 => format!("{} {}", number(all), if all == 1 { "row group" } else { "row groups" }),
                skipped => format!("{} of {} row groups skipped", number(skipped), number(all)),
            });
        }
        if let Some((rows, _)) = pruned("page_index_rows_pruned").filter(|(rows, _)| *rows > 0) {
            reads.push(format!("{} rows skipped by page", number(rows)));
        }
        if let Some(rows) = count("pushdown_rows_pruned").filter(|rows| *rows > 0) {
            reads.push(format!("{} rows skipped by the condition", number(rows)));
        }
        if let Some(bytes) = count("bytes_scanned").filter(|bytes| *bytes > 0) {
            reads.push(format!("{} read", bytes_words(bytes)));
        }
    }
    let mut notes = Vec::new();
    if !reads.is_empty() {
        notes.push(reads.join(" · "));
    }
    if let Some(bytes) = metrics.spilled_bytes().filter(|bytes| *bytes > 0) {
        notes.push(format!("{} spilled to disk", bytes_words(bytes)));
    }
    notes
}

/// A step in SQL's words.
fn words(name: &str, detail: &str) -> (String, String) {
    let detail = without_itself(&without_types(&without_places(detail)));
    let inside = |key: &str| inside(&detail, key);
    let told = |key: &str| inside(key).unwrap_or_default();
    let (what, detail) = match name {
        "ProjectionExec" => ("Select", plain_names(&told("expr="))),
        "FilterExec" => ("Filter", detail.split(", projection=[").next().unwrap_or_default().to_owned()),
        "AggregateExec" => {
            let by = plain_names(&told("gby="));
            let functions = told("aggr=");
            match (by.is_empty(), functions.is_empty()) {
                (true, _) => ("Aggregate", functions),
                (false, true) => ("Aggregate", format!("by {by}")),
                (false, false) => ("Aggregate", format!("{functions} by {by}")),
            }
        }
        "HashJoinExec" => ("Hash join", join(&detail)),
        "SortMergeJoinExec" | "SortMergeJoin" => ("Merge join", join(&detail)),
        "NestedLoopJoinExec" => ("Nested loop join", join(&detail)),
        "PiecewiseMergeJoinExec" => ("Range join", join(&detail)),
        "CrossJoinExec" => ("Cross join", String::new()),
        "SortExec" => {
            let by = told("expr=");
            let fetch = told_plain(&detail, "fetch=");
            match fetch {
                Some(rows) => ("Top", format!("{rows} by {by}")),
                None => ("Sort", format!("by {by}")),
            }
        }
        "GlobalLimitExec" => {
            let skip = told_plain(&detail, "skip=").filter(|skip| skip != "0");
            let fetch = told_plain(&detail, "fetch=").filter(|fetch| fetch != "None").unwrap_or_default();
            ("Limit", format!("{fetch}{}", skip.map(|skip| format!(" after {skip}")).unwrap_or_default()))
        }
        "LocalLimitExec" => ("Limit", told_plain(&detail, "fetch=").unwrap_or_default()),
        "WindowAggExec" | "BoundedWindowAggExec" => ("Window", window(&told("wdw="))),
        "UnionExec" | "InterleaveExec" => ("Union", String::new()),
        "DataSourceExec" => return scan(&detail),
        "GuardedExec" => ("Scan", detail.clone()),
        "EmptyExec" => ("Nothing", "no row can match".to_owned()),
        "PlaceholderRowExec" => ("One row", String::new()),
        "UnnestExec" => ("Unnest", String::new()),
        "RecursiveQueryExec" => ("Recursive", detail.clone()),
        "WorkTableExec" => ("Rows of the step before", told_plain(&detail, "name=").unwrap_or_default()),
        "LazyMemoryExec" => ("Generate", told_plain(&detail, "batch_generators=").unwrap_or_default()),
        "AsOfJoinExec" => ("As-of join", detail.clone()),
        "SharedExec" => ("Shared", detail.clone()),
        other => {
            let mut what = String::new();
            for (at, c) in other.trim_end_matches("Exec").chars().enumerate() {
                if at > 0 && c.is_uppercase() {
                    what.push(' ');
                }
                what.extend(if at > 0 { c.to_lowercase().collect::<Vec<_>>() } else { vec![c] });
            }
            return (what, detail);
        }
    };
    (what.to_owned(), detail)
}

/// A table or a file that is read: which, and with which condition.
fn scan(detail: &str) -> (String, String) {
    let path =
        detail.split_once("[[").map(|(_, rest)| rest).and_then(|rest| rest.split([',', ']', ':']).next());
    let table = path.map(|path| {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            // The folders of a lake.
            ["tables", schema, table, ..] => format!("{schema}.{table}"),
            [.., file] => (*file).to_owned(),
            [] => String::new(),
        }
    });
    let columns = inside(detail, "projection=").map(|columns| plain_names(&columns));
    let condition = detail.split_once("predicate=").map(|(_, rest)| {
        let end = [", pruning_predicate=", ", required_guarantees=", ", dynamic_rg_pruning"]
            .iter()
            .filter_map(|end| rest.find(end))
            .min();
        rest[..end.unwrap_or(rest.len())].trim().to_owned()
    });
    // What a join or a top will know only while it runs.
    let condition = condition.map(|condition| {
        let known = condition.split(" AND ").filter(|part| !part.contains("DynamicFilter [ empty ]"));
        known.collect::<Vec<_>>().join(" AND ")
    });
    let mut told = table.unwrap_or_default();
    if told.is_empty() {
        return ("Rows in memory".to_owned(), String::new());
    }
    if let Some(columns) = columns.filter(|columns| !columns.is_empty()) {
        let _ = write!(told, " ({columns})");
    }
    if let Some(condition) = condition.filter(|condition| !condition.is_empty()) {
        let _ = write!(told, " where {condition}");
    }
    ("Scan".to_owned(), told)
}

/// `Inner, on=[(a, b)], filter=…` as `inner on a = b and …`.
fn join(detail: &str) -> String {
    let kind = told_plain(detail, "join_type=").unwrap_or_default();
    let kind = kind.to_lowercase();
    let pairs = inside(detail, "on=").unwrap_or_default();
    let pairs = pairs.replace("), (", "\u{1}");
    let pairs = pairs.trim_start_matches('(').trim_end_matches(')').split('\u{1}');
    let pairs: Vec<String> =
        pairs.filter(|pair| !pair.is_empty()).map(|pair| pair.replacen(", ", " = ", 1)).collect();
    let mut conditions = pairs;
    if let Some((_, rest)) = detail.split_once("filter=") {
        let end = rest.find(", projection=").unwrap_or(rest.len());
        conditions.push(rest[..end].to_owned());
    }
    if conditions.is_empty() { kind } else { format!("{kind} on {}", conditions.join(" and ")) }
}

/// The functions of a window, without what the engine says of their types.
fn window(text: &str) -> String {
    let functions = text.split(": Field {").enumerate().map(|(at, part)| {
        let start = if at == 0 { 0 } else { part.rfind("}, frame: ").map_or(0, |at| at + 3) };
        part[start..].to_owned()
    });
    let first: Vec<String> = functions.collect();
    first.first().map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `a@0 as a, b@1 + 1 as c` without the places, and names that stay said once.
/// Without the function that gives what it is given.
fn without_itself(text: &str) -> String {
    let mut text = text.to_owned();
    let call = format!("{ITSELF}(");
    while let Some(start) = text.find(&call) {
        let inside = start + call.len();
        let mut depth = 1_i32;
        let end = text[inside..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let Some(end) = end else { break };
        text.replace_range(inside + end..=inside + end, "");
        text.replace_range(start..inside, "");
    }
    text
}

fn plain_names(list: &str) -> String {
    let items = split_list(list).into_iter().map(|item| match item.split_once(" as ") {
        Some((from, to)) if from == to || from.rsplit('.').next() == Some(to) => to.to_owned(),
        _ => item,
    });
    items.collect::<Vec<_>>().join(", ")
}

/// What stands between the commas of a list, brackets kept whole.
fn split_list(list: &str) -> Vec<String> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                items.push(list[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !list[start..].trim().is_empty() {
        items.push(list[start..].trim().to_owned());
    }
    items
}

/// What stands in the brackets after `key`.
fn inside(detail: &str, key: &str) -> Option<String> {
    let (_, rest) = detail.split_once(&format!("{key}["))?;
    let mut depth = 1_i32;
    for (at, c) in rest.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            return Some(rest[..at].to_owned());
        }
    }
    None
}

fn told_plain(detail: &str, key: &str) -> Option<String> {
    let (_, rest) = detail.split_once(key)?;
    Some(rest.split([',', ')', ']']).next().unwrap_or_default().trim().to_owned())
}

/// `city@3 = Oslo` without the number of the column.
fn without_places(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let is_place = c == '@' && (before.is_alphanumeric() || "_)\"".contains(before));
        if is_place && chars.peek().is_some_and(char::is_ascii_digit) {
            while chars.peek().is_some_and(char::is_ascii_digit) {
                chars.next();
            }
            continue;
        }
        out.push(c);
        before = c;
    }
    out
}

/// `count(Int64(1))` as `count(*)`, `Utf8("Oslo")` as `'Oslo'`: literals without the engine's names of their types.
fn without_types(text: &str) -> String {
    let text = text.replace("count(Int64(1))", "count(*)");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    const TYPES: [&str; 8] =
        ["Int64(", "Int32(", "UInt64(", "Float64(", "Boolean(", "Utf8View(\"", "LargeUtf8(\"", "Utf8(\""];
    while let Some((at, name)) =
        TYPES.iter().filter_map(|name| rest.find(name).map(|at| (at, *name))).min_by_key(|(at, _)| *at)
    {
        out.push_str(&rest[..at]);
        let value = &rest[at + name.len()..];
        let end = if name.ends_with('"') { "\")" } else { ")" };
        let Some(length) = value.find(end) else {
            out.push_str(name);
            rest = value;
            continue;
        };
        let quote = if name.ends_with('"') { "'" } else { "" };
        out.push_str(&format!("{quote}{}{quote}", &value[..length]));
        rest = &value[length + end.len()..];
    }
    out + rest
}

/// Columns that a line of a step may take before its details are cut.
const WIDEST: usize = 96;

fn drawn(root: &Node, is_run: bool) -> String {
    let mut lines: Vec<(String, String, String)> = Vec::new();
    lay(root, "", "", is_run, &mut lines);
    let widest = |of: fn(&(String, String, String)) -> &str| {
        lines.iter().map(|line| of(line).chars().count()).max().unwrap_or(0)
    };
    let with_figures =
        lines.iter().filter(|(_, rows, _)| !rows.is_empty()).map(|(text, _, _)| text.chars().count());
    let left = with_figures.max().unwrap_or(0);
    let (rows, time) = (widest(|line| &line.1), widest(|line| &line.2));
    let mut page = String::new();
    for (text, row, took) in &lines {
        let line = match row.is_empty() && took.is_empty() {
            true => text.clone(),
            false => {
                let gap = left.saturating_sub(text.chars().count());
                format!("{text}{}  {row:>rows$}  {took:>time$}", " ".repeat(gap))
            }
        };
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page.trim_end().to_owned()
}

fn lay(node: &Node, first: &str, next: &str, is_run: bool, lines: &mut Vec<(String, String, String)>) {
    let mut text = format!("{first}{}", node.what);
    if !node.detail.is_empty() {
        text.push(' ');
        text.push_str(&node.detail.replace('\n', " "));
    }
    if text.chars().count() > WIDEST {
        text = text.chars().take(WIDEST - 1).collect::<String>() + "…";
    }
    let rows = node.rows.map(|(rows, is_exact)| {
        let about = if is_exact { "" } else { "~" };
        format!("{about}{} {}", grouped(rows as u64), if rows == 1 { "row" } else { "rows" })
    });
    let took = if is_run { time_words(node.time) } else { String::new() };
    lines.push((text, rows.unwrap_or_default(), took));
    let below = if node.children.is_empty() { "  " } else { "│ " };
    for note in &node.notes {
        lines.push((format!("{next}{below}  {note}"), String::new(), String::new()));
    }
    for (at, child) in node.children.iter().enumerate() {
        let (branch, trunk) =
            if at + 1 == node.children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lay(child, &format!("{next}{branch}"), &format!("{next}{trunk}"), is_run, lines);
    }
}

fn time_words(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

fn bytes_words(bytes: usize) -> String {
    let size = bytes as f64;
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.2} GB", size / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_words_become_sql_s() {
        let said = |name: &str, detail: &str| {
            let (what, detail) = words(name, detail);
            format!("{what}: {detail}")
        };
        assert_eq!(said("ProjectionExec", "expr=[a@0 as a, b@1 + 1 as c]"), "Select: a, b + 1 as c");
        assert_eq!(said("FilterExec", "a@0 = x@y, projection=[a@0]"), "Filter: a = x@y");
        assert_eq!(
            said("AggregateExec", "mode=Single, gby=[city@0 as city], aggr=[sum(t.n), count(*)]"),
            "Aggregate: sum(t.n), count(*) by city"
        );
        assert_eq!(
            said(
                "HashJoinExec",
                "mode=CollectLeft, join_type=Left, on=[(a@0, b@1), (c@1, d@2)], filter=x@0 > 1"
            ),
            "Hash join: left on a = b and c = d and x > 1"
        );
        assert_eq!(
            said("SortExec", "TopK fetch=3, expr=[n@1 DESC], preserve_partitioning=[false]"),
            "Top: 3 by n DESC"
        );
        assert_eq!(said("GlobalLimitExec", "skip=2, fetch=5"), "Limit: 5 after 2");
        assert_eq!(
            said(
                "DataSourceExec",
                "file_groups={1 group: [[tables/main/orders/a.parquet:0..10]]}, projection=[id], file_type=parquet, predicate=id@0 = 3, pruning_predicate=x"
            ),
            "Scan: main.orders (id) where id = 3"
        );
        assert_eq!(
            said("FilterExec", "a@0 = Utf8(\"x y\") AND b@1 < Int64(3)"),
            "Filter: a = 'x y' AND b < 3"
        );
        assert_eq!(said("FancyNewExec", "x"), "Fancy new: x");
        assert_eq!(
            said("FilterExec", "_elt_itself(CAST(a@0 AS Float64)) > (1)"),
            "Filter: CAST(a AS Float64) > (1)"
        );
    }
}
