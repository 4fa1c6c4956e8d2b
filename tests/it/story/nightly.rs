//! What a team trusts that runs it every night, and is not there.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::test_lake::TestLake;

fn elt_with(folder: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(folder).args(arguments).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

/// Runs a command: its exit code, and all that it says.
fn elt(lake: &TestLake, arguments: &[&str]) -> (i32, String) {
    let output = elt_with(lake.path(), &[], arguments);
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code().unwrap_or(-1), told.concat())
}

#[track_caller]
fn well(lake: &TestLake, arguments: &[&str]) -> String {
    let (code, told) = elt(lake, arguments);
    assert_eq!(code, 0, "{arguments:?}: {told}");
    told
}

#[track_caller]
fn bad(lake: &TestLake, arguments: &[&str], expected: i32, says: &str) -> String {
    let (code, told) = elt(lake, arguments);
    assert!(code == expected && told.contains(says), "{arguments:?} gives {code}: {told}");
    told
}

fn csv(lake: &TestLake, sql: &str) -> String {
    well(lake, &["sql", "--format", "csv", "-c", sql])
}

const TIERS: &str = "select 1 as id, 'platinum' as tier union all select 2, 'gold'";

fn tiers(values: &str) -> String {
    format!(
        "{{version: 2, models: [{{name: tiers, columns: [{{name: tier, data_tests: [{{accepted_values: {{values: [{values}]}}}}]}}]}}]}}"
    )
}

fn shop() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "{name: shop, version: '1.0', models: {+materialized: table}}");
    lake
}

#[test]
fn a_retry_publishes_nothing_that_the_tests_of_now_were_not_asked_about() {
    let lake = shop();
    lake.write("models/tiers.sql", TIERS);
    lake.write("models/down.sql", "select count(*) as n from {{ ref('tiers') }}");
    lake.write("models/s.yml", &tiers("gold, silver, bronze"));
    bad(&lake, &["build"], 1, "NOT PUBLISHED");
    // A test that is corrected has another name.
    lake.write("models/s.yml", &tiers("gold, silver, brass"));
    let told = bad(&lake, &["retry"], 1, "NOT PUBLISHED");
    assert!(told.contains("FAILED  accepted_values_tiers_tier__gold__silver__brass"), "{told}");
    assert!(told.contains("__bronze` failed in the last run, and is no longer"), "{told}");
    // So is one that is new, on what is made again.
    lake.write("models/s.yml", &tiers("gold, platinum"));
    lake.write("tests/few.sql", "select * from {{ ref('tiers') }} where id > 1");
    bad(&lake, &["retry"], 1, "few");
    lake.write("tests/few.sql", "select * from {{ ref('tiers') }} where id > 2");
    let told = well(&lake, &["retry"]);
    assert!(told.contains("published release 1  2 models built · tests: 2 passed"), "{told}");
}

#[test]
fn a_retry_asks_no_test_that_was_left_out() {
    let lake = shop();
    lake.write("models/tiers.sql", TIERS);
    lake.write("models/broken.sql", "select 1/0 as z from {{ ref('tiers') }} where id = 1 or 1/0 = 1");
    lake.write("models/s.yml", &tiers("gold"));
    bad(&lake, &["build", "--exclude", "test_type:data"], 1, "NOT PUBLISHED");
    lake.write("models/broken.sql", "select 1 as z from {{ ref('tiers') }}");
    let told = well(&lake, &["retry"]);
    assert!(
        told.contains("published release 1  2 models built") && !told.contains("accepted_values"),
        "{told}"
    );
}

#[test]
fn a_run_is_gone_on_from_somewhere_else() {
    let lake = shop();
    lake.write("models/y.sql", "select {{ var('of', '1/0') }} as z");
    bad(&lake, &["build", "--vars", "{of: '2/0'}"], 1, "NOT PUBLISHED");
    std::fs::remove_dir_all(lake.path().join("target")).unwrap();
    let told = bad(&lake, &["retry"], 2, "only the names: of");
    assert!(told.contains("elt retry --vars '{of: …}'"), "{told}");
    let told = well(&lake, &["retry", "--vars", "{of: '4/2'}"]);
    assert!(told.contains("published release 1  1 model built"), "{told}");
    std::fs::remove_dir_all(lake.path().join("target")).unwrap();
    assert!(well(&lake, &["retry", "--vars", "{of: '4/2'}"]).contains("left nothing to do"));
    let empty = shop();
    empty.write("models/y.sql", "select 1 as z");
    bad(&empty, &["retry"], 2, "there is no run to go on with");
}

/// An incremental model that has nothing new, and what is made of it.
fn gathered() -> TestLake {
    let lake = shop();
    lake.write("seeds/s.csv", "id,v\n1,10\n2,20\n");
    lake.write(
        "models/f.sql",
        "{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }} select id, v from {{ ref('s') }}
         {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}",
    );
    lake.write("models/agg.sql", "select sum(v) as total from {{ ref('f') }}");
    lake.write(
        "models/s.yml",
        "{version: 2, models: [{name: f, columns: [{name: v, data_tests: [{accepted_values: {values: [10, 20, 30], quote: false}}]}]}]}",
    );
    lake
}

#[test]
fn what_read_a_table_that_got_no_row_read_the_version_that_there_was() {
    let lake = gathered();
    well(&lake, &["build"]);
    well(&lake, &["build", "--full"]);
    assert_eq!(
        csv(&lake, "select max(version) as v from elt.table_versions where table_name = 'f'"),
        "v\n0\n"
    );
    assert!(well(&lake, &["plan"]).contains("up to date as of release"));
    let asked = "select distinct source_version as v from elt.lineage where table_name = 'agg'";
    assert_eq!(csv(&lake, asked), "v\n0\n");
    // Now it does get a row, by another run: that was never seen by what was made of it.
    lake.write("seeds/s.csv", "id,v\n1,10\n2,20\n3,30\n");
    well(&lake, &["build", "--select", "s", "f"]);
    let planned = well(&lake, &["plan"]);
    assert!(planned.contains("input advanced: main.f from version 0 to 1"), "{planned}");
    well(&lake, &["build"]);
    assert_eq!(csv(&lake, "select total, (select sum(v) from f) as now from agg"), "total,now\n60,60\n");
}

#[test]
fn a_test_that_held_for_a_version_is_asked_again_of_the_next() {
    let lake = gathered();
    well(&lake, &["build"]);
    well(&lake, &["build", "--full"]);
    lake.write("seeds/s.csv", "id,v\n1,10\n2,20\n3,999\n");
    well(&lake, &["seed"]);
    well(&lake, &["run", "--select", "f"]);
    bad(&lake, &["build"], 1, "FAILED  accepted_values_f_v");
}

#[test]
fn batches_that_each_get_all_rows_are_told_of() {
    let lake = shop();
    lake.write("models/a.sql", "select timestamp '2025-12-31 10:00:00' as at");
    let batched = "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2025-12-30', batch_size='day') }}";
    lake.write("models/b.sql", &format!("{batched} select * from {{{{ ref('a') }}}}"));
    let told = well(&lake, &["compile"]);
    assert!(
        told.contains("The microbatch model 'b' has no 'ref' or 'source' input with an 'event_time'"),
        "{told}"
    );
    lake.write("models/a.sql", "{{ config(event_time='at') }} select timestamp '2025-12-31 10:00:00' as at");
    assert!(!well(&lake, &["compile"]).contains("The microbatch model"));
}

#[test]
fn a_cast_that_fails_is_shown_where_it_is_written() {
    let lake = shop();
    lake.write("seeds/raw.csv", "dep_delay\n1\nNA\n");
    lake.write(
        "dbt_project.yml",
        "{name: shop, version: '1.0', seeds: {+column_types: {dep_delay: varchar}}}",
    );
    lake.write("models/stg.sql", "select\n  cast(dep_delay as int) as late\nfrom {{ ref('raw') }}");
    lake.write(
        "models/f.sql",
        "{{ config(materialized='table') }} select late + 1 as late from {{ ref('stg') }}",
    );
    let told = bad(
        &lake,
        &["build"],
        1,
        "'NA' cannot be read as int, by `cast(dep_delay as int)` in `stg`, which it reads",
    );
    assert!(told.contains("models/stg.sql:2:3"), "{told}");
}

#[test]
fn a_test_that_warned_is_no_change_of_the_project() {
    let lake = shop();
    lake.write("models/tiers.sql", TIERS);
    lake.write(
        "models/s.yml",
        &tiers("gold").replace("values: [gold]", "values: [gold], config: {severity: warn}"),
    );
    well(&lake, &["build"]);
    let listed = well(&lake, &["ls", "-s", "state:modified"]);
    assert!(!listed.contains("accepted_values"), "{listed}");
    let planned = well(&lake, &["plan"]);
    assert!(planned.contains("depends on rows that it warned of"), "{planned}");
    lake.write(
        "models/s.yml",
        &tiers("silver").replace("values: [silver]", "values: [silver], config: {severity: warn}"),
    );
    let listed = well(&lake, &["ls", "-s", "state:modified"]);
    assert!(listed.contains("accepted_values_tiers_tier__silver"), "{listed}");
}

#[test]
fn only_an_environment_that_was_built_is_promoted() {
    let lake = shop();
    lake.write("dbt_project.yml", "{name: shop, profile: shop, models: {+materialized: table}}");
    lake.write(
        "profiles.yml",
        "shop: {target: prod, outputs: {prod: {type: elt, lake: ./lake, schema: main}, dev: {type: elt, lake: ./lake, schema: dev}}}\n",
    );
    lake.write("models/a.sql", "select 1 as id");
    well(&lake, &["build"]);
    bad(&lake, &["promote", "dev", "--wait"], 2, "`dev` was not built yet");
    bad(&lake, &["promote", "prod"], 2, "it is production itself");
    well(&lake, &["build", "--target", "dev"]);
    assert!(well(&lake, &["promote", "dev"]).contains("nothing to promote"));
    let runs = csv(
        &lake,
        "select target, status, host is not null, pid > 0, finished_at >= started_at from elt.runs order by started_at",
    );
    assert!(runs.ends_with("prod,success,true,true,true\ndev,success,true,true,true\n"), "{runs}");
}

#[test]
fn a_rollback_after_a_rollback_goes_further_back() {
    let lake = shop();
    for n in 1..=3 {
        lake.write("models/a.sql", &format!("select {n} as id"));
        well(&lake, &["build"]);
    }
    assert!(well(&lake, &["rollback", "--wait", "10s"]).contains("release 4: rollback to 2"));
    assert!(well(&lake, &["rollback"]).contains("release 5: rollback to 1"));
    bad(&lake, &["rollback"], 2, "");
    assert_eq!(csv(&lake, "select id from a"), "id\n1\n");
    assert!(well(&lake, &["diff", "a", "--release", "1", "3"]).contains("a  version 0 to 2"));
    assert!(well(&lake, &["diff", "a", "--release", "2", "2"]).contains("version 1 in both"));
    bad(&lake, &["diff", "a", "--release", "1", "9"], 2, "there is no release 9");
}

#[test]
fn a_folder_that_holds_nothing_is_no_success() {
    let empty = tempfile::tempdir().unwrap();
    for command in ["doctor", "storage", "releases"] {
        let output = elt_with(empty.path(), &[], &[command]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains("is not in a project"), "{command}: {told}");
    }
}

#[test]
fn a_secret_is_not_written_into_sql() {
    let lake = shop();
    lake.write("models/a.sql", "select '{{ env_var(\"DBT_ENV_SECRET_X\") }}' as id");
    let output = elt_with(lake.path(), &[("DBT_ENV_SECRET_X", "hunter2")], &["build"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains(
            "Secret env vars are allowed only in profiles.yml or packages.yml. Found 'DBT_ENV_SECRET_X'"
        ),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn what_is_not_made_any_more_is_told_by_a_plan() {
    let lake = shop();
    lake.write("models/a.sql", "select 1 as id");
    lake.write("models/b.sql", "{{ config(materialized='view') }} select 1 as id");
    well(&lake, &["build"]);
    assert!(!well(&lake, &["plan"]).contains("any more"));
    std::fs::remove_file(lake.path().join("models/b.sql")).unwrap();
    let planned = well(&lake, &["plan"]);
    assert!(planned.contains("not made by this project any more, and still there: main.b"), "{planned}");
    assert!(well(&lake, &["plan", "--format", "json"]).contains("\"gone\""));
}

#[test]
fn the_last_run_is_what_results_are_picked_from() {
    let lake = shop();
    lake.write("models/a.sql", "select 1 as id");
    lake.write("models/b.sql", "select 1/0 as id");
    bad(&lake, &["ls", "-s", "result:error"], 2, "there is no earlier run to look at");
    bad(&lake, &["run"], 1, "");
    assert!(well(&lake, &["ls", "-s", "result:error"]).contains("main.b"));
}

#[test]
fn keys_and_what_tests_read_are_no_columns_to_leave_out() {
    let lake = shop();
    lake.write(
        "models/f.sql",
        "{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }} select 1 as id, 2 as v, 3 as idle, 4 as share",
    );
    lake.write("models/g.sql", "select v from {{ ref('f') }}");
    lake.write("tests/shares.sql", "select * from {{ ref('f') }} where share > 4");
    well(&lake, &["build"]);
    let found = well(&lake, &["doctor", "--all"]);
    let line = found.lines().find(|line| line.trim_start().starts_with("f: ")).unwrap_or_default();
    assert_eq!(line.trim(), "f: idle", "{found}");
}

#[test]
fn what_another_scheduler_does_not_keep_is_said_in_its_unit() {
    let lake = shop();
    lake.write("models/a.sql", "select 1 as id");
    lake.write("elt.yml", "schedules: {all: {cron: '0 2 * * *', catchup: all}, none: {cron: '0 3 * * *'}}\n");
    let cron = well(&lake, &["schedule", "--print", "cron"]);
    assert!(cron.matches("`catchup` is not kept by cron").count() == 1, "{cron}");
    let kubernetes = well(&lake, &["schedule", "--print", "kubernetes"]);
    assert!(kubernetes.matches("`catchup: all` is not kept by Kubernetes").count() == 1, "{kubernetes}");
}
