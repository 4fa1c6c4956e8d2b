//! Where does elt answer otherwise than the engine it is built on?
//!
//! DataFusion is right about most of SQL. Here is what a lake wants differently: time has microseconds
//! ([`time`]), whole numbers do not wrap around ([`arithmetic`], [`sum`]), a literal beside a decimal is a
//! decimal ([`decimal`]), `IN` has its answer, nulls included, wherever it stands ([`membership`], [`lists`]), a subquery may ask
//! anything of the row around it ([`correlated`]), an instant is written and read as in other engines ([`text`], [`reading`]), a
//! list is taken apart beside its row ([`unnest`]), EXCEPT ALL counts ([`multisets`]), `-0.0` is zero ([`zeros`]), quotients,
//! averages and casts are rounded ([`quotient`], [`average`], [`rounding`]), an interval
//! is as long as it is ([`spans`]), a zone has its clocks ([`zones`]), what makes much of little asks for memory ([`bounded`],
//! [`captured`]), JSON is read ([`json`]), of a window that moves on nothing stays ([`moving`]), and what is asked of a column is not asked of
//! another one of its name ([`namesakes`]).
//!
//! All of it stands in the analyzer and among the functions, so it holds for whatever is planned in a
//! session: what a person asks, what a model is built from, what a view reads.

mod age;
mod alike;
mod alike_rows;
mod apart;
mod arithmetic;
mod average;
mod best;
mod bounded;
mod braces;
mod bucket;
mod calendar;
mod captured;
mod cast_as;
mod clock;
mod coalesce;
mod codes;
mod condition_first;
mod conditions;
mod correlated;
mod dated;
mod decimal;
mod dependent;
mod digits;
mod distinct;
mod doubles;
mod each_batch;
mod elements;
mod extremes;
mod few_groups;
mod finite;
mod folded;
mod foremost;
mod hash;
mod here;
mod in_order;
mod interval;
mod json;
mod json_paths;
mod json_shape;
mod json_tree;
mod lean;
mod lifted;
mod list_text;
mod lists;
mod many_sorted;
mod mean;
mod meeting;
mod membership;
mod mode;
mod moments;
mod moving;
mod multisets;
mod namesakes;
mod nan_kept;
mod nested_text;
mod otherwise;
mod part;
mod pattern;
mod percentile;
mod place;
mod printf;
mod product;
mod quotient;
mod reading;
mod reduce;
mod rising;
mod rounding;
mod series;
mod shifted;
mod shifts;
mod small_side;
mod spans;
mod spread;
mod step_by_step;
mod strptime;
mod structs;
mod subscripts;
mod sum;
mod text;
mod text_read;
mod time;
mod tried;
mod trunc;
mod unnest;
mod unsigned;
mod unwanted;
mod written;
mod zeros;
mod zones;

pub(super) use bounded::planning;
pub(super) use each_batch::{EachBatchExec, Work};
pub(super) use here::{functions as here, who};
pub(super) use meeting::BESIDE_A_NUMBER;
pub(super) use nan_kept::ITSELF;
pub(super) use otherwise::{OtherwiseExec, Way};
pub(super) use place::{PLACE, wanted};
pub(super) use step_by_step::StepByStep;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::{Analyzer, AnalyzerRule, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::SessionContext;

/// The engine's own rules, and ours around its type coercion.
pub(super) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        Arc::new(multisets::Multisets),
        Arc::new(unnest::BesideItsRow),
        Arc::new(lists::Spelled),
        Arc::new(lifted::Lifted),
        Arc::new(zeros::Zeros),
        Arc::new(membership::Membership),
        Arc::new(correlated::Correlated),
        Arc::new(decimal::ExactLiterals),
        Arc::new(rounding::Casts),
        Arc::new(list_text::Lists),
        Arc::new(time::Microseconds),
        Arc::new(doubles::Doubles),
    ];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(zones::WallClocks));
    rules.push(Arc::new(arithmetic::Checked));
    rules.push(Arc::new(quotient::Rounded));
    rules.push(Arc::new(average::Averages::new()));
    rules.push(Arc::new(spans::Spans::new()));
    rules.push(Arc::new(text::Instants::new()));
    rules.push(Arc::new(text_read::Texts));
    rules.push(Arc::new(nan_kept::NanKept));
    let unwanted: Arc<dyn AnalyzerRule + Send + Sync> = Arc::new(unwanted::Unwanted);
    rules.into_iter().flat_map(|rule| [Arc::clone(&unwanted), rule]).collect()
}

/// The planners that come before the engine's own.
pub(super) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(subscripts::Subscripts {
        slice: Arc::new(elements::slice()),
        into_json: Arc::new(json::step(false)),
        json_field: Arc::new(json::step(true)),
    })]
}

/// The engine's rules that make a plan cheaper, none of which changes what it gives.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let unwanted: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(unwanted::Unwanted);
    let unordered: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(alike_rows::Unordered);
    let asking: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(spread::AsksFirst);
    let rules = distinct::optimizer_rules().into_iter().chain([unordered, asking]);
    rules.flat_map(|rule| [Arc::clone(&unwanted), rule]).collect()
}

/// The rules that come after the engine's own, when a plan is about to run.
pub(super) fn physical_rules(is_local: bool) -> [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 7] {
    [
        Arc::new(StepByStep { name: "one_row_left", instead: small_side::one_row_left }),
        Arc::new(condition_first::ConditionFirst { is_local }),
        Arc::new(StepByStep { name: "many_sorted", instead: many_sorted::many_sorted }),
        Arc::new(StepByStep { name: "foremost", instead: foremost::foremost }),
        Arc::new(StepByStep { name: "lean", instead: lean::lean_sort }),
        Arc::new(StepByStep { name: "rising", instead: rising::rising }),
        Arc::new(conditions::CheapFirst),
    ]
}

/// A rule of the engine's with which every condition stays with its column.
pub(super) fn kept_to_columns(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    match rule.name().starts_with("FilterPushdown") {
        true => Arc::new(namesakes::Fenced(rule)),
        false => rule,
    }
}

/// Puts our functions in the place of the engine's; those that say [`here`], and [`who`], are of a session.
pub(super) fn register(context: &SessionContext) {
    let own = time::functions().into_iter().chain(calendar::functions()).chain(json::functions());
    let own = own.chain(age::functions()).chain(hash::functions()).chain([
        printf::function(),
        zones::function(),
        place::function(),
        cast_as::function(),
    ]);
    let own = own.chain(part::functions()).chain([bucket::function()]).chain(series::functions());
    let own = own.chain(strptime::functions()).chain(pattern::functions()).chain(elements::functions());
    let own = own.chain(structs::functions()).chain(digits::functions()).chain(json_shape::functions());
    let own = own.chain(json_tree::functions());
    let own = own.chain(alike::functions()).chain(written::functions()).chain(finite::functions());
    let own = own.chain(unsigned::functions());
    let own = own.chain(json_paths::functions()).chain([in_order::function()]);
    let own = own.chain(dated::functions()).chain(clock::functions()).chain([apart::function()]);
    let own = own.chain(codes::functions()).chain([nan_kept::function()]);
    for function in own {
        context.register_udf(function);
    }
    context.register_udaf(AggregateUDF::from(mode::Mode::new()));
    context.register_udf(coalesce::function());
    let planner = Arc::new(interval::Times::new());
    let registered = context.state_ref().write().register_expr_planner(planner);
    registered.expect("a session takes planners at any time");
    context.register_udaf(AggregateUDF::from(sum::CheckedSum::new()));
    context.register_udaf(AggregateUDF::from(mode::Histogram::new()));
    context.register_udaf(AggregateUDF::from(mode::Entropy::new()));
    context.register_udaf(AggregateUDF::from(mode::TopK::new()));
    context.register_udaf(AggregateUDF::from(product::Product::new()));
    moments::functions().into_iter().chain(best::functions()).for_each(|own| context.register_udaf(own));
    let higher: Vec<_> = context.state_ref().read().higher_order_functions().values().cloned().collect();
    for function in higher {
        let pool = Arc::clone(&context.runtime_env().memory_pool);
        context.register_higher_order_function(captured::asking(&function, pool));
    }
    reduce::functions()
        .into_iter()
        .chain([tried::function()])
        .for_each(|own| context.register_higher_order_function(own));
    shifted::functions().into_iter().for_each(|own| context.register_udwf(own));
    for name in moving::names() {
        let inner = context.udaf(name).expect("the engine has it");
        context.register_udaf(moving::without_loss(inner));
    }
    for name in extremes::NAMES {
        let inner = context.udaf(name).expect("the engine has it");
        context.register_udaf(extremes::of_all(inner));
    }
    for name in mean::NAMES {
        let inner = context.udaf(name).expect("the engine has it");
        context.register_udaf(mean::of_time(inner));
    }
    let state = context.state();
    context.register_udf(folded::function(state.aggregate_functions().values()));
    bind_memory(context);
}

/// Has functions that make much of little ask for memory first.
fn bind_memory(context: &SessionContext) {
    let pool = Arc::clone(&context.runtime_env().memory_pool);
    for (name, cost) in bounded::FUNCTIONS {
        let inner = context.udf(name).expect("the engine has it");
        context.register_udf(bounded::bounded(inner, cost, Arc::clone(&pool)));
    }
    for (name, cost) in bounded::SLOW {
        // Those that are ours are not in a context that has only the engine's.
        if let Ok(inner) = context.udf(name) {
            context.register_udf(bounded::bounded(inner, cost, Arc::clone(&pool)));
        }
    }
    context.register_udf(spread::function(pool));
}

/// Whether a plan, or a subquery of it, has an expression of a kind. Most plans have none, and are left as they are.
fn has_any(plan: &LogicalPlan, is_meant: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|part| {
        part.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_meant(expr)))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// Whether a name with a dot was taken for a member of a column that has none: `w.i` in a subquery whose table has a column `w`,
/// where the table `w` is meant.
pub(super) fn misreads_a_table(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|part| {
        let schema = merge_schema(&part.inputs());
        part.apply_expressions(|expr| {
            found |= expr.exists(|expr| {
                let Expr::ScalarFunction(call) = expr else { return Ok(false) };
                let of = call.args.first().and_then(|of| of.get_type(&schema).ok());
                let has_members =
                    |of: &DataType| matches!(of, DataType::Struct(_) | DataType::Map(..) | DataType::Null);
                let is_field = call.func.name() == "get_field" && of.is_some_and(|of| !has_members(&of));
                Ok(is_field || call.func.name() == json::FIELD)
            })?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// Rewrites every expression of a plan, subqueries included, from the inside out. The names of the
/// columns stay.
fn rewrite_expressions(
    plan: LogicalPlan,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
            schema.merge(&source);
        }
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(rewritten.data)
}

/// The operands that an expression brings to one type: the sides of a comparison, the values of a list,
/// the branches of a `case`, the arguments of `coalesce`.
fn peers(expr: &mut Expr) -> Vec<Vec<&mut Expr>> {
    match expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            vec![vec![&mut binary.left, &mut binary.right]]
        }
        Expr::Between(between) => vec![vec![&mut between.expr, &mut between.low, &mut between.high]],
        Expr::InList(list) => {
            vec![std::iter::once(&mut *list.expr).chain(list.list.iter_mut()).collect()]
        }
        Expr::Case(case) => {
            let mut compared: Vec<&mut Expr> = Vec::new();
            let mut answers: Vec<&mut Expr> = Vec::new();
            let is_compared = case.expr.is_some();
            compared.extend(case.expr.as_deref_mut());
            for (when, then) in &mut case.when_then_expr {
                if is_compared {
                    compared.push(when);
                }
                answers.push(then);
            }
            answers.extend(case.else_expr.as_deref_mut());
            vec![compared, answers]
        }
        Expr::ScalarFunction(call) => {
            let skipped = match call.func.name() {
                "coalesce" | "nullif" | "nvl" | "greatest" | "least" => 0,
                "nvl2" => 1,
                _ => return Vec::new(),
            };
            vec![call.args.iter_mut().skip(skipped).collect()]
        }
        _ => Vec::new(),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator as O;
    let in_order = matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq);
    in_order || matches!(op, O::IsDistinctFrom | O::IsNotDistinctFrom)
}
