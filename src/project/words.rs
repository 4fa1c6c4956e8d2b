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
    /// It is accepted, and there is nothing for it to do in a lake: names need no quotes, docs no colours.
    Quiet,
    /// It is accepted and has no effect; results stay the same. Worth a warning.
    Idle,
    /// It would change results and is not supported yet; the text says what to do instead.
    Missing(&'static str),
}

/// A list of words that may stand in one place, with their standings.
pub type Words = &'static [(&'static str, Standing)];

use Standing::{Done, Idle, Missing, Quiet};

const HEADER: Standing = Missing("elt sends one statement at a time; instead write it into the query");

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
    ("modules-path", Done),
    ("clean-targets", Done),
    ("vars", Done),
    ("models", Done),
    ("sources", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("require-dbt-version", Done),
    ("seeds", Done),
    ("snapshots", Done),
    ("flags", Done),
    ("query-comment", Done),
    ("dispatch", Done),
    ("quoting", Quiet),
    ("exposures", Done),
    ("metrics", Done),
    ("semantic-models", Done),
    ("saved-queries", Done),
    ("unit_tests", Done),
    ("functions", Missing("DataFusion's own functions are there; instead write the expression in a macro")),
    ("dbt-cloud", Quiet),
    ("restrict-access", Quiet),
    ("on-run-start", Done),
    ("on-run-end", Done),
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
    ("seeds", Done),
    ("analyses", Quiet),
    ("exposures", Done),
    ("metrics", Done),
    ("groups", Done),
    ("semantic_models", Done),
    ("saved_queries", Done),
    ("snapshots", Done),
    ("unit_tests", Done),
    ("functions", Missing("DataFusion's own functions are there; instead write the expression in a macro")),
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
    ("docs", Done),
    ("group", Done),
    ("access", Done),
    ("latest_version", Done),
    ("deprecation_date", Done),
    ("constraints", Done),
    ("time_spine", Done),
    ("semantic_model", Quiet),
    ("derived_semantics", Quiet),
    ("primary_entity", Quiet),
    ("metrics", Quiet),
    ("relation", Done),
    ("agg_time_dimension", Quiet),
    ("versions", Done),
    ("expectations", Done),
];

/// The properties of one version of a model.
pub const EDITION: Words = &[
    ("v", Done),
    ("name", Quiet),
    ("defined_in", Done),
    ("description", Done),
    ("config", Done),
    ("columns", Done),
    ("tests", Done),
    ("data_tests", Done),
    ("access", Done),
    ("group", Done),
    ("meta", Done),
    ("tags", Done),
    ("docs", Done),
    ("deprecation_date", Done),
    ("constraints", Idle),
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
    ("quote", Quiet),
    ("constraints", Done),
    ("policy_tags", Quiet),
    ("granularity", Done),
    ("dimension", Quiet),
    ("entity", Quiet),
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
    ("database", Quiet),
    ("loader", Quiet),
    ("quoting", Quiet),
    ("freshness", Done),
    ("loaded_at_field", Done),
    ("loaded_at_query", Done),
    ("overrides", Missing("instead describe the tables again under a name of your own")),
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
    ("expectations", Done),
    ("loader", Quiet),
    ("quoting", Quiet),
    ("freshness", Done),
    ("loaded_at_field", Done),
    ("loaded_at_query", Done),
    ("database", Quiet),
    ("docs", Done),
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
    ("on_damaged", Done),
    ("modified_after", Done),
    ("modified_before", Done),
    ("schema_evolution_mode", Done),
    ("schema_contract", Done),
    ("contract_tables", Done),
    ("contract_columns", Done),
    ("contract_data_type", Done),
    ("max_rejected", Done),
    ("max_rejected_fraction", Done),
    ("provenance", Done),
    ("external", Done),
    ("partition_by", Done),
    ("cluster_by", Done),
    ("write_mode", Done),
    ("schema", Done),
    ("freshness", Done),
    ("loaded_at_field", Done),
    ("loaded_at_query", Done),
    ("expectations", Done),
    ("event_time", Done),
    ("docs", Done),
    ("loader", Quiet),
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
    ("sql_header", Done),
    ("on_configuration_change", Done),
    ("persist_docs", Done),
    ("docs", Done),
    ("group", Done),
    ("access", Done),
    ("database", Quiet),
    ("quoting", Quiet),
    ("copy_grants", Quiet),
    ("secure", Quiet),
    ("static_analysis", Quiet),
    ("packages", Quiet),
    ("freshness", Quiet),
    ("concurrent_batches", Quiet),
    ("deprecation_date", Done),
    ("transient", Quiet),
    ("unlogged", Quiet),
    ("snowflake_warehouse", Quiet),
    ("query_tag", Quiet),
    ("bind", Quiet),
    ("submission_method", Quiet),
    ("grants", Done),
    ("quote_columns", Idle),
    ("column_types", Idle),
    ("indexes", Idle),
    ("partition_by", Done),
    ("write_mode", Done),
    ("tblproperties", Done),
    ("expectations", Done),
    ("partitioned_by", Idle),
    ("cluster_by", Done),
    ("sort", Idle),
    ("sort_type", Idle),
    ("dist", Idle),
    ("file_format", Idle),
    ("auto_refresh", Idle),
    ("backup", Idle),
    ("labels", Idle),
    ("hours_to_expiration", Idle),
    ("partition_expiration_days", Idle),
    ("require_partition_filter", Idle),
    ("partitions", Idle),
    ("buckets", Idle),
    ("pre_hook", Done),
    ("post_hook", Done),
    ("contract", Done),
    ("location", Missing("writing a table outside the lake; instead leave it out")),
    ("merge_update_columns", Done),
    ("merge_exclude_columns", Done),
    ("incremental_predicates", Done),
    ("predicates", Done),
    ("event_time", Done),
    ("batch_size", Done),
    ("lookback", Done),
    ("begin", Done),
    ("timeout", Done),
    ("retries", Done),
    ("on_error", Done),
];

/// The configuration of a seed.
pub const SEED_CONFIG: Words = &[
    ("enabled", Done),
    ("schema", Done),
    ("alias", Done),
    ("tags", Done),
    ("meta", Done),
    ("column_types", Done),
    ("quote_columns", Done),
    ("delimiter", Done),
    ("full_refresh", Quiet),
    ("description", Done),
    ("pre_hook", Done),
    ("post_hook", Done),
    ("docs", Done),
    ("persist_docs", Quiet),
    ("database", Quiet),
    ("quoting", Quiet),
    ("group", Done),
    ("access", Done),
    ("event_time", Done),
    ("materialized", Quiet),
    ("transient", Quiet),
    ("on_schema_change", Quiet),
    ("grants", Done),
    ("contract", Idle),
];

/// The configuration of a snapshot.
pub const SNAPSHOT_CONFIG: Words = &[
    ("enabled", Done),
    ("schema", Done),
    ("target_schema", Done),
    ("alias", Done),
    ("tags", Done),
    ("meta", Done),
    ("unique_key", Done),
    ("strategy", Done),
    ("updated_at", Done),
    ("check_cols", Done),
    ("hard_deletes", Done),
    ("invalidate_hard_deletes", Done),
    ("snapshot_meta_column_names", Done),
    ("dbt_valid_to_current", Done),
    ("description", Done),
    ("pre_hook", Done),
    ("post_hook", Done),
    ("materialized", Quiet),
    ("target_database", Quiet),
    ("database", Quiet),
    ("docs", Done),
    ("persist_docs", Quiet),
    ("quoting", Quiet),
    ("group", Done),
    ("event_time", Done),
    ("transient", Quiet),
    ("grants", Done),
    ("file_format", Idle),
    ("partition_by", Idle),
    ("cluster_by", Idle),
    ("contract", Idle),
    ("timeout", Done),
    ("retries", Done),
    ("on_error", Done),
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
    ("alias", Done),
    ("schema", Done),
    ("database", Quiet),
    ("group", Done),
    ("docs", Done),
    ("materialized", Quiet),
    ("sql_header", HEADER),
    ("store_failures", Done),
    ("store_failures_as", Done),
];

/// Says what there is to say about `key`, which stands in `place` ("a model's config").
///
/// Nothing for a word that is done; a warning for one without effect and for one nobody knows
/// (with the word that was probably meant); an error for one that would change results.
/// `is_blank` tells that its value asks for nothing, and then a missing feature is not missed.
pub fn judge(words: Words, place: &str, key: &str, at: &Span, is_blank: bool) -> Option<Diagnostic> {
    let known = words.iter().find(|(word, _)| *word == key).map(|(_, standing)| *standing);
    match known {
        Some(Done | Quiet) => None,
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
        assert!(said("indexes", false).is_some_and(|d| !d.is_error()));
        assert!(said("location", false).is_some_and(|d| d.is_error()));
        assert_eq!(said("location", true), None);
        assert_eq!(said("docs", false), None);
        let slip = said("materialised", false).unwrap();
        assert_eq!(slip.help_text(), Some("did you mean `materialized`?"));
    }
}
