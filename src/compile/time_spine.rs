//! Which models hold instants, one a row, for metrics over time?
//!
//! Those with `time_spine`. Engines of metrics join them, so that what they say has to be there.

use super::draft::Draft;
use crate::base::Diagnostic;
use crate::project::plain;

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
