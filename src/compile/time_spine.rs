//! Which models hold instants, one a row, for metrics over time?
//!
//! Those with `time_spine`. Engines of metrics join them, so that what they say has to be there.

use super::draft::Draft;
use crate::base::Diagnostic;
use crate::project::{Document, plain};

/// The model that is a time spine by its name, as older projects have it.
const BY_NAME: &str = "metricflow_time_spine";

/// Grains that are fine enough for every metric.
const FINE: [&str; 7] = ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day"];

/// Refuses a time spine whose column is not there, or has no grain.
pub(super) fn check(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(setting) = draft.config.get("time_spine") else { return };
    let name = setting.value.get("standard_granularity_column").map(plain);
    let column = name.as_ref().and_then(|name| draft.columns.iter().find(|column| column.name == *name));
    let what = match (&name, column) {
        (Some(_), Some(column)) if column.granularity.is_some() => return,
        (None, _) => "a time spine says which column its instants are in".to_owned(),
        (Some(name), None) => {
            format!("the time spine's column `{name}` is not one of the model's `columns`")
        }
        (Some(name), Some(_)) => format!("the time spine's column `{name}` has no `granularity`"),
    };
    found.push(Diagnostic::error("elt::time_spine", what).at(&setting.at, "here").help(
        "write `time_spine: {standard_granularity_column: date_day}`, and `granularity: day` at that column",
    ));
}

/// Warns of semantic models in a project without a time spine of days or finer: nobody can ask its metrics over time.
///
/// elt makes no metrics itself, so nothing of a build depends on it. dbt refuses such a project.
pub(super) fn check_documents(documents: &[Document], drafts: &[Draft], found: &mut Vec<Diagnostic>) {
    let Some(first) = documents.iter().find(|document| document.kind == "semantic_model") else { return };
    let is_spine = |draft: &Draft| {
        let setting = draft.config.get("time_spine");
        let name = setting.and_then(|setting| setting.value.get("standard_granularity_column")).map(plain);
        let column = draft.columns.iter().find(|column| Some(&column.name) == name.as_ref());
        let grain = column.and_then(|column| column.granularity.as_deref());
        draft.name == BY_NAME || grain.is_some_and(|grain| FINE.contains(&grain.to_lowercase().as_str()))
    };
    if !drafts.iter().any(is_spine) {
        let what = "the project has semantic models and no time spine of days or finer";
        found.push(Diagnostic::warning("elt::time_spine", what).at(&first.at, "its metrics have no time to stand on").help(
            "give a model of one row a day `time_spine: {standard_granularity_column: date_day}`, and that column `granularity: day`",
        ));
    }
}
