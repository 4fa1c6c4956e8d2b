//! What does elt do about each word of dbt?
//!
//! dbt's files have many keys. Each one that dbt knows is listed here with its [`Standing`]:
//! done, accepted without effect, or not supported yet. [`judge`] turns a key into the diagnostic
//! it deserves, so that nothing a user writes is silently ignored.
//!
//! Not here: reading the keys that are [`Standing::Done`]; each file's reader does that.

use crate::base::{Diagnostic, Span, did_you_mean};

/// What elt does about a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has dbt's meaning.
    Done,
    /// It is accepted and has no effect; results stay the same. Worth a warning.
    Idle,
    /// It would change results and is not supported yet; the text says what to do instead.
    Missing(&'static str),
}

/// A list of words that may stand in one place, with their standings.
pub type Words = &'static [(&'static str, Standing)];

use Standing::{Done, Idle, Missing};

const HOOK: Standing = Missing("instead make the statement a model of its own");
const MICROBATCH: Standing =
    Missing("instead use `incremental_strategy: merge` or `append` and filter with `is_incremental()`");
const MERGE_PART: Standing =
    Missing("instead select the wanted columns and rows in the model; a merge updates whole rows");

/// `dbt_project.yml`, top level.
pub const PROJECT: Words = &[
    ("name", Done),
    ("version", Done),
    ("config-version", Done),
    ("profile", Done),
    ("model-paths", Done),
    ("source-paths", Done),
    ("macro-paths", Done),
    ("test-paths", Done),
    ("analysis-paths", Done),
    ("seed-paths", Done),
    ("data-paths", Done),
    ("snapshot-paths", Done),
    ("asset-paths", Done),
    ("docs-paths", Done),
    ("function-paths", Done),
    ("target-path", Done),
    ("log-path", Done),
    ("packages-install-path", Done),
    ("clean-targets", Done),
    ("vars", Done),
    ("models", Done),
    ("sources", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("require-dbt-version", Done),
    ("seeds", Done),
    ("snapshots", Done),
    ("flags", Idle),
    ("query-comment", Idle),
    ("dispatch", Idle),
    ("quoting", Idle),
    ("exposures", Idle),
    ("metrics", Idle),
    ("semantic-models", Idle),
    ("saved-queries", Idle),
    ("unit_tests", Idle),
    ("functions", Idle),
    ("dbt-cloud", Idle),
    ("restrict-access", Idle),
    ("on-run-start", HOOK),
    ("on-run-end", HOOK),
];

/// A properties file, top level.
pub const PROPERTIES: Words = &[
    ("version", Done),
    ("models", Done),
    ("sources", Done),
    ("macros", Done),
    ("data_tests", Done),
    ("tests", Done),
    ("anchors", Done),
    ("seeds", Idle),
    ("analyses", Idle),
    ("exposures", Idle),
    ("metrics", Idle),
    ("groups", Idle),
    ("semantic_models", Idle),
    ("saved_queries", Idle),
    ("functions", Idle),
    (
        "snapshots",
        Missing("instead keep history with an incremental model, or read an old version of the table"),
    ),
    ("unit_tests", Missing("instead write a data test, or remove them for now")),
];

/// The properties of a model.
pub const MODEL: Words = &[
    ("name", Done),
    ("description", Done),
    ("config", Done),
    ("columns", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("meta", Done),
    ("tags", Done),
    ("docs", Idle),
    ("group", Idle),
    ("access", Idle),
    ("latest_version", Idle),
    ("deprecation_date", Idle),
    ("constraints", Idle),
    ("time_spine", Idle),
    ("semantic_model", Idle),
    ("versions", Missing("instead write each version as a model of its own name")),
];

/// The properties of a column.
pub const COLUMN: Words = &[
    ("name", Done),
    ("description", Done),
    ("data_type", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("meta", Done),
    ("tags", Done),
    ("config", Done),
    ("quote", Idle),
    ("constraints", Idle),
    ("policy_tags", Idle),
    ("granularity", Idle),
    ("dimension", Idle),
    ("entity", Idle),
];

/// The properties of a source.
pub const SOURCE: Words = &[
    ("name", Done),
    ("description", Done),
    ("schema", Done),
    ("config", Done),
    ("meta", Done),
    ("tags", Done),
    ("tables", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("database", Idle),
    ("loader", Idle),
    ("quoting", Idle),
    ("freshness", Idle),
    ("loaded_at_field", Idle),
    ("loaded_at_query", Idle),
    ("overrides", Missing("packages are not supported yet; instead edit the source itself")),
];

/// The properties of a source's table.
pub const SOURCE_TABLE: Words = &[
    ("name", Done),
    ("description", Done),
    ("identifier", Done),
    ("config", Done),
    ("columns", Done),
    ("meta", Done),
    ("tags", Done),
    ("tests", Done),
    ("data_tests", Done),
    (
        "external",
        Missing(
            "reading a source in place; instead give `config: {location: …}` so that elt lands its files",
        ),
    ),
    ("loader", Idle),
    ("quoting", Idle),
    ("freshness", Idle),
    ("loaded_at_field", Idle),
    ("loaded_at_query", Idle),
    ("database", Idle),
    ("docs", Idle),
];

/// The configuration of a source or of one of its tables.
pub const SOURCE_CONFIG: Words = &[
    ("enabled", Done),
    ("meta", Done),
    ("tags", Done),
    ("location", Done),
    ("external_location", Done),
    ("format", Done),
    ("delimiter", Done),
    ("header", Done),
    ("null_values", Done),
    ("on_change", Done),
    ("compression", Done),
    ("encoding", Done),
    ("quote", Done),
    ("decimal", Done),
    ("date_order", Done),
    ("date_format", Done),
    ("hive_partitioning", Done),
    ("infer_types", Done),
    ("schema_hints", Done),
    ("on_copy", Done),
    ("schema_evolution_mode", Done),
    ("schema_contract", Done),
    ("contract_tables", Done),
    ("contract_columns", Done),
    ("contract_data_type", Done),
    ("max_rejected", Done),
    ("max_rejected_fraction", Done),
    ("provenance", Done),
    ("external", Done),
    ("schema", Done),
    ("freshness", Idle),
    ("loaded_at_field", Idle),
    ("loaded_at_query", Idle),
    ("event_time", Idle),
    ("docs", Idle),
];

/// The configuration of a model: in `dbt_project.yml`, in a properties file or in `config()`.
pub const MODEL_CONFIG: Words = &[
    ("materialized", Done),
    ("enabled", Done),
    ("schema", Done),
    ("alias", Done),
    ("tags", Done),
    ("meta", Done),
    ("unique_key", Done),
    ("incremental_strategy", Done),
    ("on_schema_change", Done),
    ("full_refresh", Done),
    ("description", Done),
    ("persist_docs", Idle),
    ("grants", Idle),
    ("docs", Idle),
    ("group", Idle),
    ("access", Idle),
    ("database", Idle),
    ("quoting", Idle),
    ("quote_columns", Idle),
    ("column_types", Idle),
    ("indexes", Idle),
    ("partition_by", Idle),
    ("partitioned_by", Idle),
    ("cluster_by", Idle),
    ("sort", Idle),
    ("dist", Idle),
    ("transient", Idle),
    ("unlogged", Idle),
    ("static_analysis", Idle),
    ("packages", Idle),
    ("file_format", Idle),
    ("freshness", Idle),
    ("concurrent_batches", Idle),
    ("deprecation_date", Idle),
    ("pre_hook", HOOK),
    ("post_hook", HOOK),
    ("sql_header", HOOK),
    ("contract", Missing("instead test the columns, or cast them in the model's SQL")),
    ("location", Missing("writing a table outside the lake; instead leave it out")),
    ("merge_update_columns", MERGE_PART),
    ("merge_exclude_columns", MERGE_PART),
    ("incremental_predicates", MERGE_PART),
    ("predicates", MERGE_PART),
    ("event_time", MICROBATCH),
    ("batch_size", MICROBATCH),
    ("lookback", MICROBATCH),
    ("begin", MICROBATCH),
];

/// The configuration of a data test.
pub const TEST_CONFIG: Words = &[
    ("severity", Done),
    ("where", Done),
    ("limit", Done),
    ("warn_if", Done),
    ("error_if", Done),
    ("fail_calc", Done),
    ("enabled", Done),
    ("tags", Done),
    ("meta", Done),
    ("alias", Idle),
    ("schema", Idle),
    ("database", Idle),
    ("group", Idle),
    ("docs", Idle),
    ("sql_header", HOOK),
    ("store_failures", Missing("instead read the failing rows in the test's report")),
    ("store_failures_as", Missing("instead read the failing rows in the test's report")),
];

/// Says what there is to say about `key`, which stands in `place` ("a model's config").
///
/// Nothing for a word that is done; a warning for one without effect and for one nobody knows
/// (with the word that was probably meant); an error for one that would change results.
/// `is_blank` tells that its value asks for nothing, and then a missing feature is not missed.
pub fn judge(words: Words, place: &str, key: &str, at: &Span, is_blank: bool) -> Option<Diagnostic> {
    let known = words.iter().find(|(word, _)| *word == key).map(|(_, standing)| *standing);
    match known {
        Some(Done) => None,
        Some(Idle | Missing(_)) if is_blank => None,
        Some(Idle) => Some(
            Diagnostic::warning(
                "elt::no_effect",
                format!("`{key}` in {place} is accepted and has no effect"),
            )
            .at(at, "has no effect in elt")
            .help("results stay the same; remove it to silence this"),
        ),
        Some(Missing(instead)) => Some(unsupported(&format!("`{key}` in {place}"), instead, at)),
        None => {
            let names = words.iter().map(|(word, _)| *word);
            Some(
                Diagnostic::warning("elt::unknown_key", format!("`{key}` is not a known key of {place}"))
                    .at(at, "not known here")
                    .help("elt ignores it; put keys of your own under `meta:`")
                    .maybe_help(did_you_mean(key, names)),
            )
        }
    }
}

/// The error for something dbt does and elt does not do yet; `instead` says what to do.
pub fn unsupported(what: &str, instead: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("elt::not_supported", format!("not supported yet: {what}"))
        .at(at, "not supported yet")
        .help(instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SourceText;

    #[test]
    fn each_standing_gets_the_diagnostic_it_deserves() {
        let at = SourceText::new("m.yml", "x").span(0..1);
        let said = |key, is_blank| judge(MODEL_CONFIG, "a model's config", key, &at, is_blank);
        assert_eq!(said("materialized", false), None);
        assert!(said("grants", false).is_some_and(|d| !d.is_error()));
        assert!(said("post_hook", false).is_some_and(|d| d.is_error()));
        assert_eq!(said("post_hook", true), None);
        let slip = said("materialised", false).unwrap();
        assert_eq!(slip.help_text(), Some("did you mean `materialized`?"));
    }
}
