//! What did the user write?
//!
//! A [`Project`] is that, read and not yet understood: its models with what properties files say
//! of them, sources, singular tests, macro files, the target and the vars. [`load`] reads one from
//! a folder and returns every mistake it finds on the way, each with its place.
//!
//! An elt project is a dbt project. A folder with `models/` alone is one too. What dbt knows and
//! elt does not do yet is listed in [`words`], and using it is an error or a warning, never silence.
//!
//! Not here: what any of it means. `compile` renders the Jinja, resolves the names and orders the
//! graph; this room only asks it, through [`YamlJinja`], to render strings inside YAML.

mod config;
mod data_test;
mod dependency;
mod describe;
mod doc_block;
mod document;
mod edition;
mod files;
mod lineage_place;
mod load;
mod macro_file;
mod model;
mod package;
mod package_places;
mod properties;
mod reading;
mod roles;
mod run_retention;
mod scalar;
mod schedule;
mod seed;
mod selector;
mod settings;
mod snapshot;
mod source;
mod target;
mod users;

mod own_file;
pub mod words;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::base::Span;

pub use config::{
    Config, Setting, Settings, as_flag, canonical, conflicting_hooks, judge_values, plain, texts,
};
pub use data_test::{DataTest, SingularTest};
pub use dependency::{Dependency, DependencyKind, dependencies, dependencies_in, package_name};
pub use document::{Document, UnitTest};
pub use edition::Edition;
pub use lineage_place::{LineagePlace, read_lineage_place};
pub use load::{LoadOptions, Outline, find_root, load, outline, written_flags};
pub use macro_file::{MacroFile, MacroWords};
pub use model::{Analysis, Column, Model};
pub use package::{PACKAGE_MARK, installed};
pub use package_places::{PackagePlaces, read_package_places};
pub use properties::ON_COLUMN;
pub use roles::{
    BUILT_IN, RoleLimits, RoleRights, is_plain, read_roles, with_grants, with_password, with_role,
    without_grants, without_user,
};
pub use run_retention::read_run_retention;
pub use schedule::{Catchup, Schedule, Times, read_schedules};
pub use seed::Seed;
pub use selector::SelectorDefinition;
pub use settings::{Hook, QueryComment};
pub use snapshot::SnapshotFile;
pub use source::{LandingOption, Source, SourceLanding, WholeSource};
pub use target::Target;
pub use users::{Role, USERS_FILE, User, read_users, with_user};
pub use yaml::{RenderScope, YamlJinja};

/// Reads a map of vars, as a command line gives it, in YAML or JSON.
///
/// # Errors
/// A sentence, if it is neither or no map.
pub fn read_vars(text: &str) -> Result<BTreeMap<String, Value>, String> {
    match read_yaml(text)? {
        Value::Object(entries) => Ok(entries.into_iter().collect()),
        Value::Null => Ok(BTreeMap::new()),
        other => Err(format!("`{other}` is no map")),
    }
}

/// The value of a text of YAML, read as dbt's files are.
///
/// # Errors
/// A sentence, if it is no YAML.
pub fn read_yaml(text: &str) -> Result<Value, String> {
    yaml::Yaml::value_of(text)
}

/// Everything a user wrote, in no order but that of names and paths.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name, which is the package in every node's id.
    pub name: String,
    /// Its folder.
    pub root: PathBuf,
    /// Where models are built.
    pub target: Target,
    /// Where artifacts go.
    pub target_path: PathBuf,
    /// The packages, the project itself among them, each with the vars it sees.
    pub packages: BTreeMap<String, BTreeMap<String, Value>>,
    /// For a namespace of macros, the packages in which `adapter.dispatch` searches, in order.
    pub dispatch: BTreeMap<String, Vec<String>>,
    /// What runs before everything else.
    pub on_run_start: Vec<Hook>,
    /// What runs after everything else.
    pub on_run_end: Vec<Hook>,
    /// Whether a name in a package means what the package has, before what the project has:
    /// `require_ref_searches_node_package_before_root`.
    pub own_names_first: bool,
    /// What stands before each statement of a node.
    pub query_comment: Option<QueryComment>,
    /// The models, by path.
    pub models: Vec<Model>,
    /// The seeds, by path.
    pub seeds: Vec<Seed>,
    /// The snapshots, by path.
    pub snapshots: Vec<SnapshotFile>,
    /// The tables of all sources, by name.
    pub sources: Vec<Source>,
    /// The singular tests, by path.
    pub tests: Vec<SingularTest>,
    /// The unit tests, by place.
    pub unit_tests: Vec<UnitTest>,
    /// The analyses, by path.
    pub analyses: Vec<Analysis>,
    /// What is written down and builds nothing, by place.
    pub documents: Vec<Document>,
    /// Which versions of dbt packages need, the project itself among them: the package, a bound such as `>=1.6.0`, and where
    /// it is written.
    pub requires_dbt: Vec<(String, String, Span)>,
    /// What `selectors.yml` defines, in order.
    pub selectors: Vec<SelectorDefinition>,
    /// The docs blocks, by package and name.
    pub docs: BTreeMap<String, BTreeMap<String, String>>,
    /// The files that they are in, relative to their package.
    pub doc_files: BTreeMap<(String, String), String>,
    /// For a description with docs blocks in it, by package and by how it comes out: the blocks that it asked for, as
    /// `name` or `package.name`.
    pub doc_calls: BTreeMap<(String, String), Vec<String>>,
    /// For each package how its folder is written in front of its files; nothing for the project itself.
    pub roots: BTreeMap<String, String>,
    /// Who may ask the lake, and change it; nobody if that is not written well.
    pub users: Vec<User>,
    /// The files of macros and generic tests, by path.
    pub macros: Vec<MacroFile>,
    /// What is said of macros.
    pub macro_words: Vec<MacroWords>,
    /// `data_tests:` of the packages and, last, of the project.
    pub(crate) test_trees: Vec<config::ConfigTree>,
}

impl Project {
    /// What `dbt_project.yml` says of a test at `fqn`: the packages' own, and over it the project's.
    pub fn test_config(&self, fqn: &[String]) -> Config {
        let mut config = Config::default();
        self.test_trees.iter().for_each(|tree| config.lay(&tree.resolve(fqn)));
        config
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{Diagnostic, show_all};

    /// Knows `{{ target.name }}` and `{{ doc('x') }}`, which is enough to see that Jinja is asked.
    struct TinyJinja;

    impl YamlJinja for TinyJinja {
        fn render(&self, text: &str, scope: &RenderScope<'_>) -> Result<String, String> {
            match text {
                "{{ target.name == 'prod' }}" => {
                    Ok(if scope.target.is_some_and(|t| t.name == "prod") { "True" } else { "False" }.into())
                }
                "{{ doc('orders') }}" => Ok(scope.docs["orders"].clone()),
                other => Err(format!("cannot do {other}")),
            }
        }
    }

    fn load_files(files: &[(&str, &str)]) -> (Option<Project>, Vec<Diagnostic>) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let full = folder.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        }
        let options = LoadOptions {
            root: folder.path().to_path_buf(),
            target: None,
            profile: None,
            profiles_dir: None,
            vars: BTreeMap::from([("a".into(), 7.into())]),
            target_path: None,
            env: Arc::default(),
        };
        load(&options, &TinyJinja)
    }

    const SHOP: &[(&str, &str)] = &[
        (
            "dbt_project.yml",
            "name: shop\nprofile: shop\nvars: {a: 1, b: 2}\nmodels:\n  shop:\n    staging:\n      +materialized: view\n      +enabled: \"{{ target.name == 'prod' }}\"\n",
        ),
        (
            "profiles.yml",
            "shop:\n  target: prod\n  outputs:\n    prod: {type: elt, lake: ./lake, schema: sales, threads: 4}\n",
        ),
        ("models/staging/stg_orders.sql", "select 1 as id"),
        ("models/orders.sql", "select * from {{ ref('stg_orders') }}"),
        ("models/docs.md", "{% docs orders %}All orders.{% enddocs %}"),
        (
            "models/schema.yml",
            r"
models:
  - name: orders
    description: '{{ doc(''orders'') }}'
    config: {materialized: table}
    columns:
      - name: id
        data_type: bigint
        data_tests:
          - unique
          - accepted_values: {arguments: {values: [1, 2]}, config: {severity: warn}}
sources:
  - name: crm
    meta: {location: 'inbox/{name}.csv'}
    tables: [{name: people}, {name: Firms, identifier: companies, config: {location: firms.json}}]
",
        ),
        ("macros/cents.sql", "{% macro cents(x) %}{{ x }}/100{% endmacro %}"),
        ("tests/generic/positive.sql", "{% test positive(model, column_name) %}select 1{% endtest %}"),
        ("tests/no_orders_lost.sql", "select 1 where false"),
    ];

    #[test]
    fn a_project_is_read_with_its_properties_and_settings() {
        let (project, found) = load_files(SHOP);
        assert!(found.is_empty(), "{}", show_all(&found));
        let project = project.unwrap();
        assert_eq!((project.target.schema.as_str(), project.target.threads), ("sales", Some(4)));
        let vars = &project.packages["shop"];
        assert_eq!((vars["a"].clone(), vars["b"].clone()), (7.into(), 2.into()));

        let orders = &project.models[0];
        assert_eq!((orders.name.as_str(), orders.description.as_str()), ("orders", "All orders."));
        assert_eq!(orders.config.text("materialized").as_deref(), Some("table"));
        let tests: Vec<_> = orders.columns[0].tests.iter().map(|t| (t.test.as_str(), t.at.place())).collect();
        assert_eq!(tests[0], ("unique", "models/schema.yml:10:13".into()));
        assert_eq!(tests[1].0, "accepted_values");
        assert_eq!(orders.columns[0].tests[1].config.text("severity").as_deref(), Some("warn"));
        assert_eq!(orders.columns[0].tests[1].arguments["values"][1], 2);

        let staging = &project.models[1];
        assert_eq!(staging.fqn, ["shop", "staging", "stg_orders"]);
        assert_eq!(staging.config.flag("enabled"), Some(true));

        let sources: Vec<_> =
            project.sources.iter().map(|s| (s.name.to_string(), s.landing.clone().unwrap())).collect();
        assert_eq!(sources[0].0, "crm.companies");
        assert_eq!(sources[0].1.location, ["firms.json"]);
        assert_eq!(sources[1].1.location, ["inbox/people.csv"]);
        assert_eq!((project.macros.len(), project.tests.len()), (2, 1));
    }

    #[test]
    fn slips_in_a_profile_are_named() {
        let output = "dev: {type: elt, path: ./here, schema: s, dialect: sprak, thraeds: 3}";
        let profile = format!("shop:\n  taget: dev\n  target: dev\n  outputs:\n    {output}\n");
        let files: &[(&str, &str)] =
            &[("dbt_project.yml", "name: shop\n"), ("profiles.yml", &profile), ("models/a.sql", "select 1")];
        let (project, found) = load_files(files);
        let told = show_all(&found);
        for words in [
            "`taget` is not a known key of a profile (did you mean `target`?)",
            "`thraeds` is not a known key of an elt output (did you mean `threads`?)",
            "`sprak` is no dialect that elt can stand in for (did you mean `spark`?)",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert_eq!(project.unwrap().target.lake.as_deref(), Some("./here"));
    }

    #[test]
    fn a_folder_with_models_is_a_project_and_an_empty_one_is_not() {
        let (project, found) = load_files(&[("models/a.sql", "select 1")]);
        assert!(found.is_empty());
        assert_eq!(project.unwrap().target.schema, "main");
        let (project, found) = load_files(&[("readme.md", "")]);
        assert!(project.is_none());
        assert_eq!(found[0].stable_code(), "elt::no_project");
    }

    #[test]
    fn a_project_is_found_from_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("models/staging");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(find_root(&below), None);
        assert_eq!(find_root(folder.path()), Some(folder.path().to_path_buf()));
        std::fs::write(folder.path().join("dbt_project.yml"), "name: a").unwrap();
        assert_eq!(find_root(&below), Some(folder.path().to_path_buf()));
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let (_, found) = load_files(&[
            ("dbt_project.yml", "name: shop\nmodels: {shop: {mart: {+materialised: view}}}\n"),
            ("packages.yml", "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.0.0\n"),
            ("seeds/country.csv", "a\n1\n"),
            ("models/marts/orders.sql", "select 1"),
            ("models/other/orders.sql", "select 1"),
            ("models/x.py", ""),
            (
                "models/s.yml",
                "models:\n  - name: order\n  - name: orders\n    columns:\n      - name: id\n        data_type: strnig\n        test: [unique]\n  - description: x\n  - name: orders\nsources:\n  - name: crm\n    tables:\n      - name: people\n        external: {location: x}\nunit_tests: [{name: u}]\n",
            ),
            ("models/broken.yml", "models: [\n"),
        ]);
        insta::assert_snapshot!(show_all(&found), @"
        dbt_project.yml:2:24: `materialised` is not a known key of `models:` of dbt_project.yml (did you mean `materialized`?)
        packages.yml:2:5: the package `dbt_utils` is not installed (`elt deps` installs it; without a network, copy it to dbt_packages/dbt_utils/)
        models/x.py:1:1: not supported yet: Python models, as in models/x.py (instead write the model in SQL)
        models/broken.yml:1:9: models/broken.yml is not valid YAML: unclosed bracket '[' at line 1, column 9
        models/s.yml:7:9: `test` is not a known key of a column (did you mean `tests`?)
        models/s.yml:6:20: `strnig` is not a type elt knows (known are bigint, int, double, decimal(p,s), varchar, boolean, date, timestamp, timestamptz, binary, and lists of them such as int[])
        models/s.yml:8:5: a model has no name (every entry of this list begins with `- name: …`)
        models/s.yml:14:9: not supported yet: `external` in a source's table (reading a source in place; instead give `config: {location: …}` so that elt lands its files)
        models/s.yml:15:21: the unit test `u` names no model (add `model: …`)
        models/s.yml:9:11: the model `orders` is described twice (it is already at models/s.yml:3:11; keep one of the two)
        models/s.yml:2:11: there is no model `order` (did you mean `orders`?)
        dbt_project.yml:2:17: nothing lies under `mart` (did you mean `marts`?)
        ");
    }
}
