//! An embedded lakehouse: raw files land, dbt-style models build, one tested release is published.
//!
//! # The house
//!
//! ```text
//!              cli        repl        serve          doors     translate, print, authenticate
//!                 \         |         /
//!                      lakehouse                     hall      one verb per thing a user can ask
//!                 /         |         \
//!  packages             build          |             work      packages here · models to tables
//!                     /   |   \        |
//!               compile   |     query                study | workshop
//!                  |      |    /     \
//!               project   |   /    landing           what was written | raw files in
//!                        release      |              what readers see
//!                          table -----+              what a table is and how it changes
//!                           |
//!                         lake                       where bytes live
//!                         base                       the words everybody uses
//! ```
//!
//! Arrows point down, and a test keeps them (`tests/it/house.rs`). The *study* ([`project`], [`compile`]) is pure:
//! text in, graph out, no lake and no clock. The *lake side* ([`lake`] to [`query`]) touches bytes and knows
//! nothing of models or Jinja; [`query`] asks [`landing`] to read files that are queried, so that they are what they would be
//! once landed. Only [`build`] knows both sides.
//!
//! # The one idea
//!
//! **A write is a value until it is published.** Append, overwrite, merge, landing, rollback, a statement: each
//! *produces* a [`Change`](table::Change) and touches no log. Changes can be read through, tested, printed, dropped.
//! [`release::publish`] publishes a set of them, all or none. From this follow tests before commit, builds that are
//! transactions, and a crash that leaves either the old state or the new.
//!
//! # What is always so
//!
//! 1. Nothing but [`release::publish`] makes data visible, and its last act is one put-if-absent.
//! 2. [`compile`] cannot reach the lake. Templates are given [`Facts`](compile::Facts) as plain data; one that asks
//!    for more is rendered when it is built, with a [`Lookup`](compile::Lookup) that `build` brings.
//! 3. A statement that carries a table version never reaches DataFusion's planner, which would drop it:
//!    [`query`] leaves the version's meaning in the table's name, or refuses the statement.
//! 4. The lake is the truth; there is no other state. Releases are documents in it and remember what was made
//!    from what, the memory of what was landed is in the commits of the rows.
//! 5. Only `cli` and `repl` print. Only `main` reads the clock, the environment and chance.
//! 6. Readers resolve names through [`Pins`](release::Pins), never through the newest version of anything.
//! 7. Every input row is accounted for (`read = loaded + rescued + rejected`), or the load fails.
//! 8. A view that is not published shows what it showed: what it reads is held back with it; unless a run publishes piece by
//!    piece, as dbt does.
//!
//! # Reading order
//!
//! `examples/first_day.rs` (run it), [`lakehouse`] (the verbs), [`table::Change`] (the idea),
//! `tests/it/story/` (what is promised). After that, by task:
//!
//! | I want to … | go to |
//! |---|---|
//! | add a command or a flag | `cli/args.rs`, `cli/commands/`, then the verb in [`lakehouse`] |
//! | change how rows leave a file, copied or hidden | [`table::write`], `table/write/touch.rs`, `table/write/again.rs` |
//! | change how tables grow: new fields, wider types | `table/growth.rs` |
//! | change what a column is called in files, or which | `table/names.rs` (read), `table/renaming.rs` (give) |
//! | add a statement that writes | `query/staging/`: it becomes a query that gives edits |
//! | add a materialization or a strategy | `build/materialize.rs`, `build/incremental.rs`, [`table::write`] |
//! | change what makes a node due, or is remembered of it | `build/plan.rs`, `build/basis.rs`, `release/memory.rs` |
//! | change which spellings of a query are the same | `compile/said.rs` |
//! | change what a selector means | `compile/select/` |
//! | change when a run publishes what it makes | `build/run/portion.rs`, `lakehouse/portions.rs` |
//! | change what programs read of a command | `cli/log/`; artifacts: `build/manifest_file.rs`, `build/entries/` |
//! | change what a hook or an operation may do | `compile/hook.rs`, `build/hook.rs`, `compile/operation.rs` |
//! | add a generic data test or a built-in macro | `sql/tests/`, `sql/macros/`; no Rust |
//! | make a package's SQL run | `sql/packages/`; macros `elt__…` go before the package's own |
//! | see whether public dbt projects build | `tests/acceptance/dbt_projects.py` |
//! | change how a word of SQL is understood | [`query::dialect`] |
//! | change what `elt compile --check` finds | `build/check.rs`; where columns come from, `query/lineage.rs` |
//! | change what lineage says | `query/made_of.rs` (kept in commits), `lakehouse/lineage/` (walked), `cli/commands/lineage/` (drawn) |
//! | change what an environment takes over, or how it is promoted | `lakehouse/environment.rs`, `lakehouse/promote/` |
//! | change what is known of a run that was stopped, or died | `lakehouse/recorder.rs` |
//! | change how long reports of runs are kept, and what `/metrics` tells of them | `lakehouse/runs.rs`, `serve/run_metrics.rs` |
//! | change what traces tell of a run, and to whom | `lakehouse/telemetry.rs` |
//! | change when schedules run, and who is told | `project/schedule.rs` (read), `lakehouse/schedule/` (kept) |
//! | change what `elt build --diff` and `elt diff` compare | `lakehouse/diff/` |
//! | change what the site of a project shows | `lakehouse/document/` (its data), `lakehouse/document/site/` (its pages), `serve/pages.rs` |
//! | have `elt doctor` find something more | `lakehouse/doctor/` |
//! | change how views upon views are planned | `query/views.rs`, `query/provider.rs` |
//! | change what a table refuses to hold, or a model expects | `compile/constraint.rs`, `compile/expectation.rs`, `build/expectation.rs` |
//! | read another spelling, or another name of a type | `query/dialect/spelling.rs`, `shorthand.rs`, `infix.rs`, `laterals.rs`, `type_words.rs`; `query/types.rs` |
//! | change what `/` gives of whole numbers, and for whom | `base/division.rs`, `query/dialect/division.rs`, `query/mend/interval.rs` |
//! | change where ORDER BY puts nulls, and for whom | `base/unsaid.rs`, `query/dialect/unsaid.rs` |
//! | read or write dates by another pattern | `query/mend/dated` |
//! | add a function that another engine has | `query/dialect/meanings.rs`: a line, if ours can express it; else `query/mend/` |
//! | answer SQL otherwise than the engine does | `query/mend/` (after planning), `query/dialect/` (before) |
//! | spell out what depends on the columns there are: stars, `USING` | `query/expand/` |
//! | change what a backslash command does | `repl/command/table.rs`, `repl/obey.rs` |
//! | change what `\h` says of a statement | `repl/sql_help.txt` |
//! | change which table is joined to which first | `query/join_order/` |
//! | change which conditions are asked first | `query/mend/condition_first.rs` (by scans), `query/mend/conditions.rs` (by filters) |
//! | change how rows are grouped | `query/mend/rising.rs`, `query/mend/few_groups.rs` |
//! | change how a join finds its rows | `query/join_order/room.rs`, `query/join_order/sieve.rs` |
//! | change how columns are encoded in data files | `table/write/encoding.rs` |
//! | change how `EXPLAIN` looks | `query/explain.rs` |
//! | change what all sessions begin with: rules, functions, planners | `query/common.rs` |
//! | change what a session keeps for itself (temporary names, variables) | `query/own/` |
//! | change how an as-of join is done | `query/asof/` |
//! | change what a driver is told over Flight SQL | [`serve`]; what drivers must get: `tests/interop/flight.py` |
//! | change who may read what, and how rows and columns are hidden | `project/roles.rs` (read), `query/rights.rs`, `query/guard.rs` (held), `lakehouse/roles.rs` (given) |
//! | change what psql and its like are told | `serve/postgres/`, `query/pg_catalog.rs` |
//! | change what `elt.yml` can hold | `project/users.rs`, `project/package_places.rs` |
//! | change how packages are found, settled and installed | [`packages`] |
//! | read another file format | [`landing::format`], [`landing::read`] |
//! | change how a file is queried, or what `read_csv` is told | `landing/scan.rs`, `query/files.rs`, `query/dialect/files.rs` |
//! | add an option of landing | [`landing::options`]; what COPY INTO calls it, `lakehouse/copy.rs` |
//! | add a format that COPY … TO writes | `query/export/` |
//! | add a table of the schema `elt` | `query/system/` |
//! | understand a crash | [`release`], `tests/it/fault.rs` |
//!
//! An environment (a target beside production in the same lake) needs no memory of its own: what it did not make itself is
//! a *pointer*, a view `select * from "main"."orders" as of release 12`. That is what a release pinned, by version, without a
//! second way for pins to point; whatever is built beside it reads production's tables by their own names, as with `--defer`.
//! Promoting shares files (`table::write::share`) and publishes, and refuses if anything has moved.
//!
//! Rights are kept in one place, `elt.yml`, and not as objects of the lake: who may write that file is decided by the folder that it is in, it is
//! read and reviewed with the project, and a lake that is copied does not carry rights that nobody there gave. `GRANT` and `REVOKE`
//! change its lines. They hold where names are looked up ([`query`]): for a role that is not granted a table there is none, so that no
//! listing, suggestion or error has to be thought of by itself.
//!
//! A room that the plan has and this version does not: `catalog` (an index of runs and lineage; the commits and documents it
//! will index are written already).

pub mod base;

pub mod project;

pub mod compile;

pub mod lake;

pub mod table;

pub mod release;

pub mod query;

pub mod landing;

pub mod packages;

pub mod build;

pub mod lakehouse;

pub mod repl;

pub mod serve;

pub mod cli;
