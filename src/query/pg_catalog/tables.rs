//! Which tables of `pg_catalog` are made of what the session sees?
//!
//! All that tell of the lake. What PostgreSQL itself has, as its types, the kept library has; and of what a lake has nothing, the tables
//! are there and empty.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use super::activity::Activity;
use super::facts::{Facts, OWNER, Relation, pg_type, quoted};
use super::rows::{Cell, table};

/// Tables that are empty here, with the columns that they have beyond those that the library knows.
pub(super) const EMPTY: [(&str, &str); 61] = [
    ("pg_am", ""),
    ("pg_amop", ""),
    ("pg_amproc", ""),
    ("pg_attrdef", ""),
    ("pg_auth_members", ""),
    ("pg_conversion", ""),
    ("pg_db_role_setting", ""),
    ("pg_default_acl", ""),
    ("pg_depend", ""),
    ("pg_enum", ""),
    ("pg_event_trigger", ""),
    ("pg_extension", ""),
    ("pg_foreign_data_wrapper", ""),
    ("pg_foreign_server", ""),
    ("pg_foreign_table", ""),
    ("pg_inherits", ""),
    ("pg_init_privs", ""),
    ("pg_language", ""),
    ("pg_largeobject", ""),
    ("pg_largeobject_metadata", ""),
    ("pg_matviews", ""),
    ("pg_opclass", ""),
    ("pg_opfamily", ""),
    ("pg_partitioned_table", ""),
    ("pg_policy", ""),
    ("pg_publication", ""),
    ("pg_publication_namespace", ""),
    ("pg_publication_rel", ""),
    ("pg_replication_origin", ""),
    ("pg_replication_slots", ""),
    ("pg_rewrite", ""),
    ("pg_seclabel", ""),
    ("pg_sequence", ""),
    ("pg_shdepend", ""),
    ("pg_shdescription", ""),
    ("pg_shseclabel", ""),
    ("pg_statistic", ""),
    ("pg_statistic_ext", ""),
    ("pg_statistic_ext_data", ""),
    ("pg_subscription", ""),
    ("pg_subscription_rel", ""),
    ("pg_trigger", ""),
    ("pg_ts_config", ""),
    ("pg_ts_dict", ""),
    ("pg_ts_parser", ""),
    ("pg_ts_template", ""),
    ("pg_user_mapping", ""),
    ("pg_available_extensions", "name:t default_version:t installed_version:t comment:t"),
    ("pg_indexes", "schemaname:t tablename:t indexname:t tablespace:t indexdef:t"),
    (
        "pg_locks",
        "locktype:t database:o relation:o page:i tuple:s virtualxid:t transactionid:l classid:o objid:o objsubid:s virtualtransaction:t pid:i mode:t granted:b fastpath:b waitstart:z",
    ),
    ("pg_parameter_acl", "oid:o parname:t paracl:a"),
    ("pg_policies", "schemaname:t tablename:t policyname:t permissive:t roles:a cmd:t qual:t with_check:t"),
    ("pg_prepared_statements", "name:t statement:t prepare_time:z parameter_types:a from_sql:b"),
    ("pg_prepared_xacts", "transaction:l gid:t prepared:z owner:t database:t"),
    ("pg_rules", "schemaname:t tablename:t rulename:t definition:t"),
    ("pg_seclabels", "objoid:o classoid:o objsubid:i objtype:t objnamespace:o objname:t provider:t label:t"),
    (
        "pg_sequences",
        "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:l min_value:l max_value:l increment_by:l cycle:b cache_size:l last_value:l",
    ),
    (
        "pg_stat_user_indexes",
        "relid:o indexrelid:o schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l",
    ),
    (
        "pg_stats",
        "schemaname:t tablename:t attname:t inherited:b null_frac:f avg_width:i n_distinct:f most_common_vals:a most_common_freqs:a histogram_bounds:a correlation:f",
    ),
    ("pg_transform", "oid:o trftype:o trflang:o trffromsql:o trftosql:o"),
    ("pg_user_mappings", "umid:o srvid:o srvname:t umuser:o usename:t umoptions:a"),
];

/// A table by its name.
pub(super) type Tables = HashMap<String, Arc<dyn TableProvider>>;

pub(super) fn tables(facts: &Facts) -> Result<Tables> {
    let mut tables = HashMap::new();
    let activity = Activity::of(&facts.asker.user, Arc::clone(&facts.asker.backends))?;
    tables.insert("pg_stat_activity".to_owned(), Arc::new(activity) as Arc<dyn TableProvider>);
    let mut add = |name: &str, columns: &str, rows: Vec<Vec<Cell>>| -> Result<()> {
        tables.insert(name.to_owned(), table(columns, &rows)?);
        Ok(())
    };
    let (owner, is_own) = (facts.owner(), facts.asker.user == facts.owner());
    add(
        "pg_namespace",
        "oid:o nspname:t nspowner:o nspacl:a options:a tableoid:o",
        facts
            .schemas
            .iter()
            .map(|(oid, name)| {
                vec![(*oid).into(), name.into(), OWNER.into(), Cell::Null, Cell::Null, 2615.into()]
            })
            .collect(),
    )?;
    add("pg_class", CLASS, facts.relations.iter().map(|relation| class(facts, relation)).collect())?;
    add("pg_attribute", ATTRIBUTE, facts.relations.iter().flat_map(attributes).collect())?;
    add(
        "pg_description",
        "objoid:o classoid:o objsubid:i description:t",
        facts.relations.iter().flat_map(comments).collect(),
    )?;
    add("pg_constraint", CONSTRAINT, constraints(facts))?;
    add("pg_index", INDEX, indexes(facts))?;
    add(
        "pg_database",
        "oid:o datname:t datdba:o encoding:i datlocprovider:t datistemplate:b datallowconn:b datconnlimit:i datfrozenxid:i datminmxid:i dattablespace:o datcollate:t datctype:t daticulocale:t daticurules:t datcollversion:t datacl:a tableoid:o",
        vec![vec![
            5.into(),
            "elt".into(),
            OWNER.into(),
            6.into(),
            "c".into(),
            false.into(),
            true.into(),
            (-1).into(),
            1.into(),
            1.into(),
            1663.into(),
            "C.UTF-8".into(),
            "C.UTF-8".into(),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            1262.into(),
        ]],
    )?;
    let roles = || {
        let own = (!is_own).then(|| (11, facts.asker.user.as_str(), true));
        [(OWNER, owner, is_own)].into_iter().chain(own)
    };
    add(
        "pg_roles",
        "rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b rolconnlimit:i rolpassword:t rolvaliduntil:z rolbypassrls:b rolconfig:a oid:o",
        roles()
            .map(|(oid, name, may_enter)| {
                vec![
                    name.into(),
                    false.into(),
                    true.into(),
                    false.into(),
                    false.into(),
                    may_enter.into(),
                    false.into(),
                    (-1).into(),
                    Cell::Null,
                    Cell::Null,
                    false.into(),
                    Cell::Null,
                    oid.into(),
                ]
            })
            .collect(),
    )?;
    for name in ["pg_user", "pg_shadow"] {
        add(
            name,
            "usename:t usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:z useconfig:a",
            roles()
                .filter(|(.., may_enter)| *may_enter)
                .map(|(oid, name, _)| {
                    vec![name.into(), oid.into(), false.into(), false.into(), false.into(), false.into()]
                })
                .collect(),
        )?;
    }
    add("pg_group", "groname:t grosysid:o grolist:v", Vec::new())?;
    let of_lake = || facts.relations.iter().filter(|relation| relation.schema != "pg_catalog");
    add(
        "pg_tables",
        "schemaname:t tablename:t tableowner:t tablespace:t hasindexes:b hasrules:b hastriggers:b rowsecurity:b",
        facts
            .relations
            .iter()
            .filter(|relation| relation.kind == "r")
            .map(|relation| {
                vec![
                    (&relation.schema).into(),
                    (&relation.name).into(),
                    owner.into(),
                    Cell::Null,
                    has_index(facts, relation).into(),
                    false.into(),
                    false.into(),
                    false.into(),
                ]
            })
            .collect(),
    )?;
    add(
        "pg_views",
        "schemaname:t viewname:t viewowner:t definition:t",
        of_lake()
            .filter(|relation| relation.kind == "v")
            .map(|relation| {
                vec![
                    (&relation.schema).into(),
                    (&relation.name).into(),
                    owner.into(),
                    relation.view.as_ref().into(),
                ]
            })
            .collect(),
    )?;
    for name in ["pg_stat_user_tables", "pg_stat_all_tables"] {
        add(
            name,
            "relid:o schemaname:t relname:t seq_scan:l last_seq_scan:z seq_tup_read:l idx_scan:l last_idx_scan:z idx_tup_fetch:l n_tup_ins:l n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_tup_newpage_upd:l n_live_tup:l n_dead_tup:l n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z last_autovacuum:z last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l autoanalyze_count:l",
            of_lake()
                .filter(|relation| relation.kind == "r")
                .map(|relation| {
                    let mut row =
                        vec![relation.oid.into(), (&relation.schema).into(), (&relation.name).into()];
                    row.extend(std::iter::repeat_n(Cell::Null, 11));
                    row.push(whole(relation.rows));
                    row
                })
                .collect(),
        )?;
    }
    add(
        "pg_settings",
        "name:t setting:t unit:t category:t short_desc:t extra_desc:t context:t vartype:t source:t min_val:t max_val:t enumvals:a boot_val:t reset_val:t sourcefile:t sourceline:i pending_restart:b",
        facts
            .asker
            .settings
            .iter()
            .map(|(name, value)| {
                vec![
                    name.into(),
                    value.into(),
                    Cell::Null,
                    "elt".into(),
                    "".into(),
                    Cell::Null,
                    "user".into(),
                    "string".into(),
                    "default".into(),
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    value.into(),
                    value.into(),
                    Cell::Null,
                    Cell::Null,
                    false.into(),
                ]
            })
            .collect(),
    )?;
    Ok(tables)
}

pub(super) fn whole(number: Option<u64>) -> Cell {
    number.and_then(|number| i64::try_from(number).ok()).map_or(Cell::Null, Cell::Whole)
}

fn has_index(facts: &Facts, relation: &Relation) -> bool {
    facts.keys.iter().any(|key| key.table == relation.oid && key.index != 0)
}

const CLASS: &str = "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o reltablespace:o relpages:i \
    reltuples:f relallvisible:i reltoastrelid:o relhasindex:b relisshared:b relpersistence:t relkind:t relnatts:s relchecks:s \
    relhasrules:b relhastriggers:b relhassubclass:b relrowsecurity:b relforcerowsecurity:b relispopulated:b relreplident:t \
    relispartition:b relrewrite:o relfrozenxid:i relminmxid:i relacl:a reloptions:a relpartbound:t tableoid:o";

fn class(facts: &Facts, relation: &Relation) -> Vec<Cell> {
    let pages = relation.bytes.map(|bytes| bytes / 8192);
    let rows = relation.rows.map_or(Cell::Whole(-1), |rows| whole(Some(rows)));
    let no: Cell = false.into();
    let zero = || Cell::Whole(0);
    vec![
        relation.oid.into(),
        (&relation.name).into(),
        facts.schema_number(&relation.schema).into(),
        zero(),
        zero(),
        OWNER.into(),
        zero(),
        relation.oid.into(),
        zero(),
        whole(pages.or(Some(0))),
        rows,
        zero(),
        zero(),
        has_index(facts, relation).into(),
        no.clone(),
        "p".into(),
        relation.kind.into(),
        relation.columns.fields().len().into(),
        zero(),
        (relation.kind == "v").into(),
        no.clone(),
        no.clone(),
        no.clone(),
        no.clone(),
        true.into(),
        "d".into(),
        no,
        zero(),
        zero(),
        zero(),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        1259.into(),
    ]
}

const ATTRIBUTE: &str = "attrelid:o attname:t atttypid:o attstattarget:i attlen:s attnum:s attndims:i attcacheoff:i atttypmod:i \
    attbyval:b attalign:t attstorage:t attcompression:t attnotnull:b atthasdef:b atthasmissing:b attidentity:t attgenerated:t \
    attisdropped:b attislocal:b attinhcount:i attcollation:o attacl:a attoptions:a attfdwoptions:a attmissingval:t tableoid:o";

fn attributes(relation: &Relation) -> Vec<Vec<Cell>> {
    let fields = relation.columns.fields().iter().zip(&relation.required).enumerate();
    let rows = fields.map(|(at, (field, required))| {
        let of = pg_type(field.data_type());
        let is_small = (1..=8).contains(&of.length);
        let align = if of.length == 8 || of.length == 16 { "d" } else { "i" };
        vec![
            relation.oid.into(),
            field.name().into(),
            of.oid.into(),
            (-1).into(),
            of.length.into(),
            (at + 1).into(),
            i64::from(of.is_list).into(),
            (-1).into(),
            of.modifier.into(),
            is_small.into(),
            align.into(),
            if of.length < 0 { "x" } else { "p" }.into(),
            "".into(),
            (*required).into(),
            false.into(),
            false.into(),
            "".into(),
            "".into(),
            false.into(),
            true.into(),
            0.into(),
            0.into(),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            1249.into(),
        ]
    });
    rows.collect()
}

fn comments(relation: &Relation) -> Vec<Vec<Cell>> {
    let row = |place: usize, text: &String| vec![relation.oid.into(), 1259.into(), place.into(), text.into()];
    let own = relation.comment.iter().map(|text| row(0, text));
    let columns = relation.comments.iter().enumerate();
    own.chain(columns.filter_map(|(at, text)| text.as_ref().map(|text| row(at + 1, text)))).collect()
}

const CONSTRAINT: &str = "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o \
    conindid:o conparentid:o confrelid:o confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:i connoinherit:b \
    conkey:n confkey:n conpfeqop:v conppeqop:v conffeqop:v confdelsetcols:n conexclop:v conbin:t tableoid:o";

fn constraints(facts: &Facts) -> Vec<Vec<Cell>> {
    let row = |key: &super::facts::Key| {
        let (kind, action) = if key.of.is_some() { ("f", "a") } else { ("p", " ") };
        let (of, places) = match &key.of {
            Some((of, places, _)) => (*of, Cell::Places(places.clone())),
            None => (0, Cell::Null),
        };
        // Nothing checks what the project says of its keys.
        let is_checked = key.of.is_none();
        vec![
            key.oid.into(),
            (&key.name).into(),
            facts.schema_number(&key.schema).into(),
            kind.into(),
            false.into(),
            false.into(),
            is_checked.into(),
            key.table.into(),
            0.into(),
            key.index.into(),
            0.into(),
            of.into(),
            action.into(),
            action.into(),
            if key.of.is_some() { "s" } else { " " }.into(),
            true.into(),
            0.into(),
            true.into(),
            Cell::Places(key.columns.clone()),
            places,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            2606.into(),
        ]
    };
    facts.keys.iter().map(row).collect()
}

const INDEX: &str = "indexrelid:o indrelid:o indnatts:s indnkeyatts:s indisunique:b indnullsnotdistinct:b indisprimary:b \
    indisexclusion:b indimmediate:b indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b \
    indkey:n indcollation:v indclass:v indoption:n indexprs:t indpred:t tableoid:o";

fn indexes(facts: &Facts) -> Vec<Vec<Cell>> {
    let row = |key: &super::facts::Key| {
        let zeros = Cell::Places(vec![0; key.columns.len()]);
        let (yes, no) = (|| Cell::Flag(true), || Cell::Flag(false));
        vec![
            key.index.into(),
            key.table.into(),
            key.columns.len().into(),
            key.columns.len().into(),
            yes(),
            no(),
            yes(),
            no(),
            yes(),
            no(),
            yes(),
            no(),
            yes(),
            yes(),
            no(),
            Cell::Places(key.columns.clone()),
            zeros.clone(),
            zeros.clone(),
            zeros,
            Cell::Null,
            Cell::Null,
            2610.into(),
        ]
    };
    facts.keys.iter().filter(|key| key.index != 0).map(row).collect()
}

/// How a key is written in SQL.
pub(super) fn constraint_words(key: &super::facts::Key) -> String {
    let columns: Vec<String> = key.names.iter().map(|name| quoted(name)).collect();
    let columns = columns.join(", ");
    match &key.of {
        Some((.., of)) => format!("FOREIGN KEY ({columns}) REFERENCES {of} NOT VALID"),
        None => format!("PRIMARY KEY ({columns})"),
    }
}
