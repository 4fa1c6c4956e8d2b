//! What of `information_schema` do tools of PostgreSQL read?
//!
//! The same as over every other door, with the columns and the names of types that PostgreSQL has.

use std::collections::HashMap;

use datafusion::error::Result;

use super::facts::{Facts, Key, Relation, pg_type};
use super::rows::{Cell, table};
use super::tables::Tables;

/// Tables of which a lake has nothing.
const EMPTY: [(&str, &str); 9] = [
    ("check_constraints", "constraint_catalog:t constraint_schema:t constraint_name:t check_clause:t"),
    (
        "column_privileges",
        "grantor:t grantee:t table_catalog:t table_schema:t table_name:t column_name:t privilege_type:t is_grantable:t",
    ),
    (
        "domains",
        "domain_catalog:t domain_schema:t domain_name:t data_type:t udt_catalog:t udt_schema:t udt_name:t",
    ),
    (
        "element_types",
        "object_catalog:t object_schema:t object_name:t object_type:t collection_type_identifier:t data_type:t udt_catalog:t udt_schema:t udt_name:t",
    ),
    (
        "parameters",
        "specific_catalog:t specific_schema:t specific_name:t ordinal_position:i parameter_mode:t parameter_name:t data_type:t udt_name:t",
    ),
    (
        "role_routine_grants",
        "grantor:t grantee:t routine_catalog:t routine_schema:t routine_name:t privilege_type:t is_grantable:t",
    ),
    (
        "routines",
        "specific_catalog:t specific_schema:t specific_name:t routine_catalog:t routine_schema:t routine_name:t routine_type:t data_type:t type_udt_name:t routine_definition:t external_language:t",
    ),
    (
        "sequences",
        "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t numeric_precision:i start_value:t minimum_value:t maximum_value:t increment:t cycle_option:t",
    ),
    (
        "triggers",
        "trigger_catalog:t trigger_schema:t trigger_name:t event_manipulation:t event_object_schema:t event_object_table:t action_statement:t action_timing:t",
    ),
];

pub(super) fn tables(facts: &Facts) -> Result<Tables> {
    let mut tables = HashMap::new();
    let mut add = |name: &str, columns: &str, rows: Vec<Vec<Cell>>| -> Result<()> {
        tables.insert(name.to_owned(), table(columns, &rows)?);
        Ok(())
    };
    for (name, columns) in EMPTY {
        add(name, columns, Vec::new())?;
    }
    let owner = facts.owner();
    let relations = || facts.relations.iter().filter(|relation| relation.kind != "i");
    let of = |schema: &String, name: &String| vec!["elt".into(), schema.into(), name.into()];
    let may = |relation: &Relation| if facts.asker.may_write && relation.kind == "r" { "YES" } else { "NO" };
    add("information_schema_catalog_name", "catalog_name:t", vec![vec!["elt".into()]])?;
    add(
        "schemata",
        "catalog_name:t schema_name:t schema_owner:t default_character_set_catalog:t default_character_set_schema:t default_character_set_name:t sql_path:t",
        facts.schemas.iter().map(|(_, name)| vec!["elt".into(), name.into(), owner.into()]).collect(),
    )?;
    add(
        "tables",
        "table_catalog:t table_schema:t table_name:t table_type:t self_referencing_column_name:t reference_generation:t user_defined_type_catalog:t user_defined_type_schema:t user_defined_type_name:t is_insertable_into:t is_typed:t commit_action:t",
        relations()
            .map(|relation| {
                let mut row = of(&relation.schema, &relation.name);
                row.push(if relation.kind == "v" { "VIEW" } else { "BASE TABLE" }.into());
                row.extend(std::iter::repeat_n(Cell::Null, 5));
                row.extend([may(relation).into(), "NO".into()]);
                row
            })
            .collect(),
    )?;
    add(
        "views",
        "table_catalog:t table_schema:t table_name:t view_definition:t check_option:t is_updatable:t is_insertable_into:t is_trigger_updatable:t is_trigger_deletable:t is_trigger_insertable_into:t",
        relations()
            .filter(|relation| relation.kind == "v")
            .map(|relation| {
                let mut row = of(&relation.schema, &relation.name);
                row.extend([relation.view.as_ref().into(), "NONE".into()]);
                row.extend(std::iter::repeat_n(Cell::from("NO"), 5));
                row
            })
            .collect(),
    )?;
    add(
        "columns",
        "table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:i column_default:t is_nullable:t data_type:t character_maximum_length:i character_octet_length:i numeric_precision:i numeric_precision_radix:i numeric_scale:i datetime_precision:i interval_type:t interval_precision:i collation_catalog:t collation_schema:t collation_name:t domain_catalog:t domain_schema:t domain_name:t udt_catalog:t udt_schema:t udt_name:t dtd_identifier:t is_self_referencing:t is_identity:t identity_generation:t identity_start:t identity_increment:t identity_maximum:t identity_minimum:t identity_cycle:t is_generated:t generation_expression:t is_updatable:t",
        relations().flat_map(|relation| columns(relation, may(relation))).collect(),
    )?;
    let key_of = |key: &Key| facts.relation(key.table).map(|relation| (&relation.schema, &relation.name));
    let named = |key: &Key| vec!["elt".into(), (&key.schema).into(), (&key.name).into()];
    add(
        "table_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t constraint_type:t is_deferrable:t initially_deferred:t enforced:t nulls_distinct:t",
        facts
            .keys
            .iter()
            .filter_map(|key| {
                let (schema, name) = key_of(key)?;
                let mut row = named(key);
                row.extend(of(schema, name));
                let kind = if key.of.is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" };
                row.extend([kind.into(), "NO".into(), "NO".into(), "NO".into()]);
                Some(row)
            })
            .collect(),
    )?;
    let mut of_keys = Vec::new();
    let (mut used, mut pointing) = (Vec::new(), Vec::new());
    for key in &facts.keys {
        let Some((schema, name)) = key_of(key) else { continue };
        for (at, column) in key.names.iter().enumerate() {
            let mut row = named(key);
            row.extend(of(schema, name));
            row.extend([
                column.into(),
                (at + 1).into(),
                if key.of.is_some() { (at + 1).into() } else { Cell::Null },
            ]);
            of_keys.push(row);
        }
        let (table, places) = match &key.of {
            Some((of, places, _)) => (*of, places),
            None => (key.table, &key.columns),
        };
        let Some(relation) = facts.relation(table) else { continue };
        for place in places {
            let Some(field) =
                usize::try_from(place - 1).ok().and_then(|at| relation.columns.fields().get(at))
            else {
                continue;
            };
            let mut row = of(&relation.schema, &relation.name);
            row.push(field.name().into());
            row.extend(named(key));
            used.push(row);
        }
        if key.of.is_some() {
            let unique = facts
                .keys
                .iter()
                .find(|other| other.table == table && other.of.is_none() && other.columns == *places);
            let mut row = named(key);
            row.extend(unique.map_or_else(|| vec![Cell::Null; 3], named));
            row.extend(["NONE".into(), "NO ACTION".into(), "NO ACTION".into()]);
            pointing.push(row);
        }
    }
    add(
        "key_column_usage",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:i position_in_unique_constraint:i",
        of_keys,
    )?;
    add(
        "constraint_column_usage",
        "table_catalog:t table_schema:t table_name:t column_name:t constraint_catalog:t constraint_schema:t constraint_name:t",
        used,
    )?;
    add(
        "referential_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t unique_constraint_catalog:t unique_constraint_schema:t unique_constraint_name:t match_option:t update_rule:t delete_rule:t",
        pointing,
    )?;
    for name in ["table_privileges", "role_table_grants"] {
        let mut rows = Vec::new();
        for relation in relations() {
            let writes = if may(relation) == "YES" { &["INSERT", "UPDATE", "DELETE"][..] } else { &[] };
            for right in std::iter::once(&"SELECT").chain(writes) {
                let mut row = vec![owner.into(), (&facts.asker.user).into()];
                row.extend(of(&relation.schema, &relation.name));
                row.extend([(*right).into(), "NO".into(), "NO".into()]);
                rows.push(row);
            }
        }
        add(
            name,
            "grantor:t grantee:t table_catalog:t table_schema:t table_name:t privilege_type:t is_grantable:t with_hierarchy:t",
            rows,
        )?;
    }
    let role = vec![vec![(&facts.asker.user).into(), (&facts.asker.user).into(), "NO".into()]];
    add("enabled_roles", "role_name:t", vec![vec![(&facts.asker.user).into()]])?;
    add("applicable_roles", "grantee:t role_name:t is_grantable:t", role)?;
    Ok(tables)
}

fn columns(relation: &Relation, may: &str) -> Vec<Vec<Cell>> {
    let fields = relation.columns.fields().iter().zip(&relation.required).enumerate();
    let rows = fields.map(|(at, (field, required))| {
        let of = pg_type(field.data_type());
        let (precision, radix, scale): (Cell, Cell, Cell) = match (of.name, of.modifier) {
            ("int2", _) => (16.into(), 2.into(), 0.into()),
            ("int4", _) => (32.into(), 2.into(), 0.into()),
            ("int8", _) => (64.into(), 2.into(), 0.into()),
            ("float4", _) => (24.into(), 2.into(), Cell::Null),
            ("float8", _) => (53.into(), 2.into(), Cell::Null),
            ("numeric", modifier) if modifier >= 4 => {
                (((modifier - 4) >> 16).into(), 10.into(), ((modifier - 4) & 0xffff).into())
            }
            _ => (Cell::Null, Cell::Null, Cell::Null),
        };
        let moments: Cell = match of.name {
            "date" => 0.into(),
            "time" | "timestamp" | "timestamptz" | "interval" => 6.into(),
            _ => Cell::Null,
        };
        let mut row = vec![
            "elt".into(),
            (&relation.schema).into(),
            (&relation.name).into(),
            field.name().into(),
            (at + 1).into(),
        ];
        row.extend([
            Cell::Null,
            if *required { "NO" } else { "YES" }.into(),
            of.words.into(),
            Cell::Null,
            Cell::Null,
        ]);
        row.extend([precision, radix, scale, moments]);
        row.extend(std::iter::repeat_n(Cell::Null, 8));
        row.extend([
            "elt".into(),
            "pg_catalog".into(),
            of.name.into(),
            (&(at + 1).to_string()).into(),
            "NO".into(),
            "NO".into(),
        ]);
        row.extend(std::iter::repeat_n(Cell::Null, 5));
        row.extend(["NO".into(), "NEVER".into(), Cell::Null, may.into()]);
        row
    });
    rows.collect()
}
