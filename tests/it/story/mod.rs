//! What users do, as they would tell it.

mod about_itself; // the tables of the schema `elt`
mod account; // random tables, damaged at random: every row is somewhere
mod arriving; // files that come in through other doors, or come later
mod artifacts; // what other tools read
mod asking_files; // files are queried where they lie
mod assigning; // a value on its way into a column
mod bucket; // files in an object store; needs one (tests/interop/bucket.py)
mod checking; // what is wrong is found before anything is built
mod cloning; // files that two tables have, and files that become one
mod clustering; // rows with near values lie near each other
mod columns; // columns get other names, and go
mod comparing; // what is different from one version to another
mod copying; // COPY INTO and COPY TO: files in and out by SQL
mod dbt_projects; // versions, named selections, operations, batches
mod dividing; // what 7 / 2 is, for whom
mod documenting; // a site about the project, and its server
mod due; // what a build leaves alone
mod edits;
mod environments; // a target beside production, and how it becomes production
mod first_day; // a broken row, and what does not happen then
mod flags; // what schedulers and orchestrators pass and read
mod generated; // columns that are worked out from others
mod growth; // new fields and wider types
mod heeded;
mod hiding; // what a role does not get to see, however it asks
mod history;
mod hooks; // snapshots, and the ways in which rows are put in
mod housekeeping; // what could be better, and what everything costs
mod incremental; // tables that each build adds to
mod joining; // tables in whichever order costs least
mod knowing; // what a table knows of files, and of columns without values
mod landing; // files that arrive, and files that should not
mod lineage; // which columns of which versions made which
mod nasty; // files as the world makes them
mod neighbours; // what one who asks does to the others
mod nightly; // what a team trusts that is not there at night
mod numbers; // NaN, and numbers of two kinds
mod operating; // signals, reports and exit codes, for whoever runs it by other programs
mod other_writers; // other programs, other processes, and power cuts
mod packages; // from a hub, a repository, an archive
mod piecemeal; // runs that publish while they go on
mod project; // what is wrong with a project, all at once
mod promises;
mod promoting; // what must not become production, and what does
mod races; // two writers at one table
mod replaying; // a run is made again from what it read then
mod reviewing; // what a build changes is looked at before it is published
mod rules; // what rows and tables must be like
mod scheduling; // runs that begin without anybody asking
mod seeds_and_packages;
mod serving; // what the endpoint tells tools, keeps for them, and does not let them do
mod skipping; // what is not read
mod state; // what counts as modified
mod telling; // what other programs are told of a run
mod templates; // what templates find in the lake
mod together; // statements that are published as one, over the wire
mod tracing; // what whoever gathers traces is told
mod trouble;
mod typed; // what people type who come from other engines
mod viewing;
mod zoned; // views and schemas that statements make
