//! Which macros of dbt's own does a project write anew without any effect?
//!
//! dbt's materializations are made of macros, and a project may put its own in their place. elt makes tables by itself: it
//! calls none of them, so that only the project's own calls find such a macro. That is said, and not passed over.

use crate::base::Diagnostic;

use super::macros::MacroLibrary;

/// What dbt's materializations, grants, comments, seeds, snapshots, tests and artifacts ask, and elt does not.
const UNASKED: &[&str] = &[
    "alter_column_comment",
    "alter_column_type",
    "alter_relation_add_remove_columns",
    "alter_relation_comment",
    "apply_grants",
    "build_snapshot_staging_table",
    "build_snapshot_table",
    "call_dcl_statements",
    "check_for_schema_changes",
    "collect_freshness",
    "copy_grants",
    "create_csv_table",
    "create_indexes",
    "create_or_replace_view",
    "create_schema",
    "create_table_as",
    "create_view_as",
    "drop_materialized_view",
    "drop_relation",
    "drop_relation_if_exists",
    "drop_schema",
    "drop_table",
    "drop_view",
    "get_assert_columns_equivalent",
    "get_batch_size",
    "get_catalog",
    "get_catalog_relations",
    "get_columns_in_relation",
    "get_create_materialized_view_as_sql",
    "get_create_sql",
    "get_create_table_as_sql",
    "get_create_view_as_sql",
    "get_csv_sql",
    "get_dcl_statement_list",
    "get_delete_insert_merge_sql",
    "get_drop_sql",
    "get_fixture_sql",
    "get_grant_sql",
    "get_incremental_append_sql",
    "get_incremental_default_sql",
    "get_incremental_delete_insert_sql",
    "get_incremental_insert_overwrite_sql",
    "get_incremental_merge_sql",
    "get_incremental_microbatch_sql",
    "get_insert_overwrite_merge_sql",
    "get_limit_sql",
    "get_merge_sql",
    "get_rename_sql",
    "get_replace_sql",
    "get_revoke_sql",
    "get_show_grant_sql",
    "get_show_sql",
    "get_test_sql",
    "get_unit_test_sql",
    "handle_existing_table",
    "list_relations_without_caching",
    "load_csv_rows",
    "persist_docs",
    "process_schema_changes",
    "refresh_materialized_view",
    "rename_relation",
    "reset_csv_table",
    "run_hooks",
    "should_revoke",
    "snapshot_check_strategy",
    "snapshot_hash_arguments",
    "snapshot_merge_sql",
    "snapshot_staging_table",
    "snapshot_timestamp_strategy",
    "sync_column_schemas",
    "truncate_relation",
    "validate_sql",
];

/// A warning for each of them that the project has.
pub(super) fn warnings(macros: &MacroLibrary) -> Vec<Diagnostic> {
    let own = macros.own().filter(|(name, _)| UNASKED.binary_search(name).is_ok());
    let warn = |name: &str, block: &super::blocks::MacroBlock| {
        let what = format!("elt never asks `{name}`: it makes and changes tables by itself");
        Diagnostic::warning("elt::macro_not_asked", what)
            .at(&block.source.span(block.at.clone()), "called by nothing but the project's own templates")
            .help("instead use a setting, a hook, a strategy of your own (`get_incremental_<name>_sql`), or call the macro yourself")
    };
    own.map(|(name, block)| warn(name, block)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_can_be_searched() {
        assert!(super::UNASKED.is_sorted());
    }
}
