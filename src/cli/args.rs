//! What can be typed?

mod flags;
mod selection;
mod texts;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::base::Result;
use crate::lakehouse::{OpenOptions, Origin, PublishMode, SampleWindow};
use crate::repl::Format;
pub(super) use flags::{Flags, Level, LogFormat, Settled};
pub(super) use selection::{Deferral, Selection};
pub(super) use texts::{Text, Texts};

/// Raw files to tested Delta tables, published one release at a time
#[derive(Debug, Parser)]
#[command(
    name = "elt",
    version,
    max_term_width = 100,
    after_help = "Without a command elt opens the SQL shell.\nExit codes: 0 done, 1 data broke a promise, 2 something to correct, 75 run again later, 130 interrupted, 143 told to stop."
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) flags: Flags,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Where the project and its lake are.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct Place {
    /// Folder of the project [default: this folder or its nearest parent that is one]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Place")]
    project_dir: Option<PathBuf>,
    /// Folder or URL of the lake: `./lake`, `s3://bucket/lake` [default: as the profile says, or `lake` in the project]
    #[arg(
        long,
        global = true,
        value_name = "PLACE",
        env = "ELT_LAKE",
        hide_env = true,
        help_heading = "Place"
    )]
    lake: Option<String>,
    /// Profile to use [default: as dbt_project.yml says]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Place")]
    profile: Option<String>,
    /// Folder of profiles.yml
    #[arg(long, global = true, value_name = "DIR", help_heading = "Place")]
    profiles_dir: Option<PathBuf>,
    /// Target of the profile
    #[arg(long, short, global = true, value_name = "NAME", help_heading = "Place")]
    target: Option<String>,
    /// Vars over the project's, as JSON or YAML: `{"start": "2013-01-01"}`
    #[arg(long, global = true, value_name = "MAP", help_heading = "Place")]
    vars: Option<String>,
    /// The flags of every verb, wherever they were given.
    #[arg(skip)]
    pub(super) settled: Settled,
    /// The id of this run of the program.
    #[arg(skip)]
    pub(super) invocation: Option<String>,
}

impl Place {
    /// The same for the front door.
    pub(super) fn options(&self) -> Result<OpenOptions> {
        Ok(OpenOptions {
            folder: self.folder(),
            lake: self.lake.clone(),
            target: self.target.clone(),
            profile: self.profile.clone(),
            profiles_dir: self.profiles_dir.clone(),
            vars: self.vars.as_deref().map(OpenOptions::read_vars).transpose()?.unwrap_or_default(),
            target_path: self.settled.target_path.clone(),
            strictness: self.settled.strictness.clone(),
            no_artifacts: !self.settled.write_json,
            reads_all: !self.settled.partial_parse,
            any_dbt_version: !self.settled.version_check,
            invocation: self.invocation.clone(),
        })
    }

    /// Takes over what the environment says where the command line says nothing.
    pub(super) fn fill_in(&mut self, env: &BTreeMap<String, String>) {
        let said = |name: &str| {
            let variables = [format!("ELT_{name}"), format!("DBT_{name}"), format!("DBT_ENGINE_{name}")];
            variables.iter().find_map(|variable| env.get(variable)).filter(|value| !value.is_empty()).cloned()
        };
        self.project_dir = self.project_dir.take().or_else(|| said("PROJECT_DIR").map(PathBuf::from));
        self.profiles_dir = self.profiles_dir.take().or_else(|| said("PROFILES_DIR").map(PathBuf::from));
        self.profile = self.profile.take().or_else(|| said("PROFILE"));
        self.target = self.target.take().or_else(|| said("TARGET"));
    }

    /// The same for a run that goes on from another: what is not given now is as it was given then.
    pub(super) fn going_on(&self, arguments: &serde_json::Value) -> Self {
        let text = |key: &str| arguments[key].as_str().map(str::to_owned);
        let vars = arguments["vars"].as_object().filter(|vars| !vars.is_empty());
        let mut place = self.clone();
        place.target = place.target.or_else(|| text("target"));
        place.profile = place.profile.or_else(|| text("profile"));
        place.vars = place.vars.or_else(|| vars.and_then(|vars| serde_json::to_string(vars).ok()));
        place
    }

    /// What was given of it, as it would be given from any other folder. `path` says how a path is called there; a project's
    /// folder is left out if it has no name there.
    pub(super) fn words(&self, path: impl Fn(&Path) -> Option<String>) -> Vec<String> {
        let absolute = |given: &Path| std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
        let told = |given: &Path| path(&absolute(given));
        let lake = self.lake.as_ref().and_then(|lake| match lake.contains("://") {
            true => Some(lake.clone()),
            false => told(&self.folder().join(lake)),
        });
        let words = [
            ("--project-dir", self.project_dir.as_deref().and_then(&told)),
            ("--profiles-dir", self.profiles_dir.as_deref().and_then(&told)),
            ("--profile", self.profile.clone()),
            ("--target", self.target.clone()),
            ("--vars", self.vars.clone()),
            ("--lake", lake),
        ];
        words.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }

    /// The folder that the project is looked for from.
    pub(super) fn folder(&self) -> PathBuf {
        self.project_dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Land new files, build and test everything, publish it as one release
    Build(BuildArgs),
    /// Say what a build would do with each node, and why, and touch nothing
    Plan(PlanArgs),
    /// Build models alone, without their tests
    Run(BuildArgs),
    /// Run the tests on what is published
    Test(BuildArgs),
    /// Load the CSV files of the project
    Seed(BuildArgs),
    /// Take the snapshots of the project
    Snapshot(BuildArgs),
    /// Bring tables and views over from another state of the project
    Clone(CloneArgs),
    /// Run a macro; each statement of it that writes is a release of its own
    RunOperation(OperationArgs),
    /// Run what failed or was skipped in the last run again
    Retry(BuildArgs),
    /// Check the project, and write the SQL of every node and manifest.json below the target path
    #[command(visible_alias = "parse")]
    Compile(CompileArgs),
    /// Show the rows of a model, an analysis or a query with Jinja
    Show(ShowArgs),
    /// Write a site about the project and its lake, or show it
    Docs {
        #[command(subcommand)]
        command: DocsCommand,
    },
    /// Say how old the rows of sources are
    Source {
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// Install the packages of the project, from the hub, from repositories, archives and folders
    Deps(DepsArgs),
    /// Say where the project, its profile and its lake are
    Debug(DebugArgs),
    /// Load raw files into a table, each once
    Land(LandArgs),
    /// Query the lake, or open the SQL shell
    Sql(SqlArgs),
    /// Run what elt.yml says, when it says so
    Schedule(ScheduleArgs),
    /// Answer programs over Arrow Flight SQL: ADBC, JDBC and ODBC drivers
    Serve(ServeArgs),
    /// Say who may ask over the wire
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// List sources, models and tests
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// List the releases of the lake
    Releases(ReleasesArgs),
    /// List the versions of a table
    History(HistoryArgs),
    /// Say which rows came, went and changed from one version of a table to another
    Diff(DiffArgs),
    /// Say where a table or a column comes from, and what comes from it, by versions
    Lineage(LineageArgs),
    /// Make the tables of a run again from the versions that it read, and compare
    Replay(ReplayArgs),
    /// Go back to an earlier release, as a new release
    Rollback(RollbackArgs),
    /// Publish what an environment has made and tested as production, and build nothing
    Promote(PromoteArgs),
    /// Compact tables, write checkpoints, delete files that nobody needs, and reports of runs that elt.yml keeps no longer
    Maintain(MaintainArgs),
    /// Say what could be better in the project and in the lake, and what mends it
    Doctor(DoctorArgs),
    /// Say what every table takes, and what its history costs
    Storage(StorageArgs),
    /// Write completions for a shell: bash, zsh, fish or powershell
    Completions(CompletionsArgs),
    /// Write the manual, as `man` reads it
    Man(ManArgs),
    /// Make a small project that works at once
    Init(InitArgs),
    /// Delete the artifacts that elt made (not the lake)
    Clean,
}

impl Command {
    /// What it picks of the project, if it picks.
    pub(super) fn selection(&mut self) -> Option<&mut Selection> {
        match self {
            Self::Build(args)
            | Self::Run(args)
            | Self::Test(args)
            | Self::Seed(args)
            | Self::Snapshot(args)
            | Self::Retry(args) => Some(&mut args.selection),
            Self::Plan(args) => Some(&mut args.selection),
            Self::Clone(args) => Some(&mut args.selection),
            Self::Compile(args) => Some(&mut args.selection),
            Self::Source { command: SourceCommand::Freshness(args) } => Some(&mut args.selection),
            Self::Docs { command: DocsCommand::Generate(args) } => Some(&mut args.selection),
            Self::Show(args) => Some(&mut args.selection),
            Self::Ls(args) => Some(&mut args.selection),
            _ => None,
        }
    }

    /// The verb, as it is typed.
    pub(super) fn word(&self) -> String {
        // A variant is called as its verb, in camel case.
        let variant = format!("{self:?}");
        let variant = variant.split([' ', '(', '{']).next().unwrap_or_default();
        let mut word = String::new();
        for letter in variant.chars() {
            if letter.is_uppercase() && !word.is_empty() {
                word.push('-');
            }
            word.extend(letter.to_lowercase());
        }
        word
    }
}

/// What `elt ls` writes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListOutput {
    /// What selects it alone.
    Selector,
    /// Its name.
    Name,
    /// The file it is written in.
    Path,
    /// What `manifest.json` has of it.
    Json,
}

/// How a report is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs, on standard output
    Json,
}

#[derive(Debug, ClapArgs)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) deferral: Deferral,
    /// Build and test all that is selected, up to date or not (`run`, `test`, `seed` and `snapshot` always do)
    #[arg(long)]
    pub(super) full: bool,
    /// Make incremental models from the beginning, and all that is selected
    #[arg(long, short)]
    pub(super) full_refresh: bool,
    /// Keep the failing rows of tests, in tables of the schema `…_dbt_test__audit`
    #[arg(long)]
    pub(super) store_failures: bool,
    /// Show the first rows of each seed that was loaded
    #[arg(long)]
    pub(super) show: bool,
    /// Let models read no rows: everything is made, and everything is empty
    #[arg(long)]
    pub(super) empty: bool,
    /// Let models read only the newest rows of what has an `event_time`: `3 days`, or `{start: 2024-01-01, end: 2024-02-01}`
    #[arg(long, value_name = "WINDOW")]
    pub(super) sample: Option<SampleWindow>,
    /// Where microbatches begin, as a date
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub(super) event_time_start: Option<chrono::DateTime<chrono::Utc>>,
    /// Where microbatches end, as a date
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub(super) event_time_end: Option<chrono::DateTime<chrono::Utc>>,
    /// When to publish: `all` at the end or nothing, `passing` at the end the models whose whole upstream passed, `each` model soon after it is made [default: `all` of build, `each` of run, seed and snapshot]
    #[arg(long, value_name = "WHAT", value_parser = publish_mode)]
    pub(super) publish: Option<PublishMode>,
    /// Say which rows come, go and change before they are published, and ask [without a terminal: publish only with --yes]
    #[arg(long)]
    pub(super) diff: bool,
    /// Publish what --diff shows without asking
    #[arg(long, short, visible_alias = "auto-apply", requires = "diff")]
    pub(super) yes: bool,
    /// Send OpenLineage's events to this server, or to the end of a file [default: OPENLINEAGE_URL, or as elt.yml says]
    #[arg(long, value_name = "URL")]
    pub(super) openlineage_url: Option<String>,
    /// Wait while another process writes to the lake, for so long at most: `90`, `10m` [default: an hour, if it is given without a number]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0", default_missing_value = "1h", hide_default_value = true, value_parser = patience)]
    pub(super) wait: Duration,
    /// Steps at once [default: one per core]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// As `elt build --full`
    #[arg(long)]
    pub(super) full: bool,
    /// As `elt build --full-refresh`
    #[arg(long, short)]
    pub(super) full_refresh: bool,
    /// How the plan is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CloneArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Replace what is there
    #[arg(long, short)]
    pub(super) full_refresh: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct OperationArgs {
    /// Name of the macro: `grant_all`, `package.macro`
    pub(super) name: String,
    /// Arguments of the macro, as JSON or YAML: `{role: reader}`
    #[arg(long, value_name = "MAP")]
    pub(super) args: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
pub(super) struct CompileArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) deferral: Deferral,
    /// A query with Jinja, to be compiled and shown
    #[arg(long, value_name = "SQL")]
    pub(super) inline: Option<String>,
    /// Plan every query too: unknown columns, wrong types and broken contracts are found before anything is built
    #[arg(long)]
    pub(super) check: bool,
    /// How the outcome of --check is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, requires = "check")]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct FreshnessArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// File that the ages are written to [default: sources.json in the folder of artifacts]
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) deferral: Deferral,
    /// A query with Jinja
    #[arg(long, value_name = "SQL", conflicts_with = "select")]
    pub(super) inline: Option<String>,
    /// At most so many rows; -1 for all
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true)]
    pub(super) limit: i64,
    /// table, line, csv, json, jsonl or markdown
    #[arg(long, alias = "output", value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DocsArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) deferral: Deferral,
    /// Leave manifest.json and the compiled SQL as they are
    #[arg(long, overrides_with = "compile")]
    pub(super) no_compile: bool,
    #[arg(long, hide = true)]
    pub(super) compile: bool,
    /// Write a catalog of nothing, without looking at the lake
    #[arg(long)]
    pub(super) empty_catalog: bool,
    /// Write the site as one file as well, static_index.html
    #[arg(long = "static")]
    pub(super) is_static: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DocsServeArgs {
    /// The port to answer at; with 0 the system picks one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(super) port: u16,
    /// The address to answer at; `0.0.0.0` lets other machines read
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = host)]
    pub(super) host: IpAddr,
    /// Do not open a browser
    #[arg(long, overrides_with = "browser")]
    pub(super) no_browser: bool,
    #[arg(long, hide = true)]
    pub(super) browser: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum DocsCommand {
    /// Write index.html, a site that opens from disk, manifest.json and catalog.json below the target path
    Generate(DocsArgs),
    /// Show the site that `generate` wrote in a browser
    Serve(DocsServeArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum SourceCommand {
    /// Compare the newest row of each source with what `freshness` allows
    Freshness(FreshnessArgs),
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number from 1 on".to_owned())
}

fn instant(text: &str) -> std::result::Result<chrono::DateTime<chrono::Utc>, String> {
    crate::base::parse_instant(text).ok_or_else(|| "write a date, as 2026-01-31".to_owned())
}

fn host(text: &str) -> std::result::Result<IpAddr, String> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        text => text.parse().map_err(|_| "write an address, as 127.0.0.1 or 0.0.0.0".to_owned()),
    }
}

/// A stretch of time that may be none.
fn patience(text: &str) -> std::result::Result<Duration, String> {
    if text.trim().parse::<f64>() == Ok(0.0) { Ok(Duration::ZERO) } else { stretch(text) }
}

/// A stretch of time.
fn stretch(text: &str) -> std::result::Result<Duration, String> {
    let stretch = crate::base::parse_duration(text);
    stretch.ok_or_else(|| "write seconds, as 60, or a number with its unit: 500ms, 5s, 10m, 2h".to_owned())
}

fn publish_mode(text: &str) -> std::result::Result<PublishMode, String> {
    match text {
        "all" => Ok(PublishMode::All),
        "passing" => Ok(PublishMode::Passing),
        "each" => Ok(PublishMode::Each),
        _ => Err("write `all`, `passing` or `each`".to_owned()),
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct LandArgs {
    /// Table, as `source.table`
    pub(super) table: String,
    /// Files, folders, globs or URLs; `-` is standard input [default: the location that the source declares]
    pub(super) files: Vec<String>,
    /// Report what would happen, and write nothing
    #[arg(long, visible_alias = "validate", conflicts_with = "follow")]
    pub(super) dry_run: bool,
    /// Load files that were loaded before, in place of the rows they have
    #[arg(long, conflicts_with = "follow")]
    pub(super) force: bool,
    /// Fail if more than N records are rejected
    #[arg(long, value_name = "N")]
    pub(super) max_rejected: Option<u64>,
    /// An option of the source, over what the project declares: `delimiter=;`, `encoding=latin1` (can be repeated)
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = option)]
    pub(super) option: Vec<(String, String)>,
    /// Wait while a build writes to the lake, for so long at most: `90`, `10m` [default: an hour, if it is given without a number]; other loads are waited for anyway
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0", default_missing_value = "1h", hide_default_value = true, value_parser = patience)]
    pub(super) wait: Duration,
    /// Go on: look for new files until Ctrl-C
    #[arg(long)]
    pub(super) follow: bool,
    /// Time between two looks, as `5s`; a file is taken when it was left alone for as long
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "follow", value_parser = stretch)]
    pub(super) interval: Duration,
    /// Files in one release at most, the oldest first
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "follow")]
    pub(super) max_files_per_trigger: usize,
    /// Bytes of files in one release at most, as `500MB`; a larger file goes alone
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "follow")]
    pub(super) max_bytes_per_trigger: Option<u64>,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

fn size(text: &str) -> std::result::Result<u64, String> {
    crate::base::parse_size(text).ok_or_else(|| "write a size, as 500MB or 1GiB".to_owned())
}

#[derive(Debug, ClapArgs)]
pub(super) struct DebugArgs {
    /// Only see whether the lake can be read
    #[arg(long)]
    pub(super) connection: bool,
    /// Say where profiles.yml is looked for
    #[arg(long)]
    pub(super) config_dir: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DepsArgs {
    /// Settle on the newest versions that packages.yml allows, whatever package-lock.yml says
    #[arg(long)]
    pub(super) upgrade: bool,
    /// Write package-lock.yml and install nothing
    #[arg(long)]
    pub(super) lock: bool,
    /// Add a package to packages.yml first: `dbt-labs/dbt_utils@1.3.0`
    #[arg(long, value_name = "NAME@VERSION")]
    pub(super) add_package: Option<String>,
    /// Where the added package is from: hub, git or local
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        default_value_t,
        hide_possible_values = true,
        requires = "add_package"
    )]
    pub(super) source: PackageSource,
    /// The hub, or a mirror of it [default: DBT_PACKAGE_HUB_URL, elt.yml, or hub.getdbt.com]
    #[arg(long, value_name = "URL")]
    pub(super) hub: Option<String>,
    /// What stands for the beginning of an address: `https://github.com/=https://mirror/` (can be repeated)
    #[arg(long, value_name = "FROM=TO", value_parser = mirror)]
    pub(super) mirror: Vec<(String, String)>,
}

/// Where a package that is added is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PackageSource {
    /// The hub.
    #[default]
    Hub,
    /// A repository.
    Git,
    /// A folder.
    Local,
}

impl PackageSource {
    pub(super) fn wants_version(self) -> bool {
        self != Self::Local
    }
}

impl From<PackageSource> for Origin {
    fn from(source: PackageSource) -> Self {
        match source {
            PackageSource::Hub => Self::Hub,
            PackageSource::Git => Self::Git,
            PackageSource::Local => Self::Local,
        }
    }
}

fn mirror(text: &str) -> std::result::Result<(String, String), String> {
    let at = text.find("=").ok_or("write `https://github.com/=https://mirror.example/`")?;
    Ok((text[..at].to_owned(), text[at + 1..].to_owned()))
}

fn count(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number above 0".to_owned())
}

fn bytes_or_none(text: &str) -> std::result::Result<usize, String> {
    if text == "0" { Ok(0) } else { bytes(text) }
}

fn bytes(text: &str) -> std::result::Result<usize, String> {
    size(text)
        .and_then(|bytes| usize::try_from(bytes).map_err(|_| "that is more than there can be".to_owned()))
}

fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    let wrong =
        || "write an address and a port: `127.0.0.1:32010`, `localhost:32010`, `0.0.0.0:32010`".to_owned();
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|_| wrong())?.collect();
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(wrong)
}

fn variable(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write `name=value`")?;
    match !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(format!("`{name}` cannot name a variable: letters, digits and `_`")),
    }
}

fn option(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write `name=value`")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// What a mistake means for what comes after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnMistake {
    /// Nothing after it is run
    #[default]
    Stop,
    /// It is told, the rest is run, and the exit code says that something failed
    Continue,
}

#[derive(Debug, Default, ClapArgs)]
pub(super) struct SqlArgs {
    /// SQL to run, statements ending in `;` [default: the shell, or standard input]
    #[arg(conflicts_with_all = ["command", "file"])]
    pub(super) sql: Option<String>,
    #[command(flatten)]
    pub(super) texts: Texts,
    /// Variable for the SQL: `:name` is its value, `:'name'` the value in quotes (can be repeated)
    #[arg(long, short = 'v', alias = "set", value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) variable: Vec<(String, String)>,
    /// table, line, csv, tsv, json, jsonl, markdown, html, insert, parquet or arrow
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
    /// Show each statement before its answer, on standard error
    #[arg(long)]
    pub(super) echo: bool,
    /// What a mistake means for the statements after it
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(super) on_error: OnMistake,
    /// Release to read [default: the newest]
    #[arg(long, value_name = "N")]
    pub(super) release: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ServeArgs {
    /// Address to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:32010", value_parser = address)]
    pub(super) listen: SocketAddr,
    /// Let whoever has the token change tables
    #[arg(long)]
    pub(super) writable: bool,
    /// Keep the schedules of elt.yml meanwhile, as `elt schedule` does
    #[arg(long)]
    pub(super) schedule: bool,
    /// Certificate to encrypt with, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// Those who vouch for clients, as PEM: who shows no certificate of theirs is not let in
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_client_ca: Option<PathBuf>,
    /// Address to answer /healthz, /readyz and /metrics at, for whoever watches the server
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(super) http: Option<SocketAddr>,
    /// Address to answer clients of PostgreSQL at: psql, and tools that speak no Flight SQL [default, without one:
    /// 127.0.0.1:5433]
    #[arg(long, value_name = "ADDRESS", value_parser = address, num_args = 0..=1, default_missing_value = "127.0.0.1:5433")]
    pub(super) postgres: Option<SocketAddr>,
    /// Statements that run at once; others wait [default: 4 per core, 8 at least]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) max_queries: Option<usize>,
    /// Statements of one user that run at once; a role of elt.yml can have another limit
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) user_queries: Option<usize>,
    /// Statements that one user may begin within a minute; likewise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) user_rate: Option<u32>,
    /// Memory that a statement may take, before it spills or ends: `512MB`; likewise [default: what all share]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(super) query_memory: Option<usize>,
    /// Time that a statement may take, until its last row was fetched: `30s`, `10m`
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = stretch)]
    pub(super) query_timeout: Duration,
    /// Memory for answers that are given again while the release is the same: `128MB`; 0 keeps none
    #[arg(long, value_name = "SIZE", default_value = "128MB", value_parser = bytes_or_none)]
    pub(super) result_cache: usize,
    /// Time that the token of a session holds, `8h`; then its user shows the password again
    #[arg(long, value_name = "TIME", default_value = "168h", value_parser = stretch)]
    pub(super) token_life: Duration,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Write a user into elt.yml, with the hash of a password
    Add(UserAddArgs),
    /// Take a user out of elt.yml; what they are connected to ends
    Remove(UserRemoveArgs),
    /// Give a user another password; what they are connected to ends
    Password(UserPasswordArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct UserRemoveArgs {
    /// Name of the user
    pub(super) name: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UserPasswordArgs {
    /// Name of the user
    pub(super) name: String,
    /// Read the password from standard input [default: one is made and printed]
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UserAddArgs {
    /// Name of the user
    pub(super) name: String,
    /// Let the user change tables [default: reads only]
    #[arg(long)]
    pub(super) writes: bool,
    /// Role of elt.yml that the user has: its grants, row filters and masks
    #[arg(long, value_name = "ROLE", conflicts_with = "writes")]
    pub(super) role: Option<String>,
    /// Read the password from standard input [default: one is made and printed]
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LsArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// One line a node, as dbt writes it: selector, name, path or json
    #[arg(long, value_enum, value_name = "WHAT", hide_possible_values = true, conflicts_with = "format")]
    pub(super) output: Option<ListOutput>,
    /// The keys that `--output json` tells of a node [default: those that dbt tells]
    #[arg(long, value_name = "KEY", num_args = 1.., requires = "output")]
    pub(super) output_keys: Vec<String>,
    /// How the list is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ReleasesArgs {
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// How the list is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DiffArgs {
    /// Table, as `table` or `schema.table`
    #[arg(required_unless_present = "release")]
    pub(super) table: Option<String>,
    /// Version to compare from [default: the one before]; or another table or view to compare with, as readers see both
    #[arg(value_name = "FROM|OTHER")]
    pub(super) from: Option<String>,
    /// Version to compare to [default: the one that readers see]
    pub(super) to: Option<u64>,
    /// Compare two releases instead, table by table, or the one table as both had it [default of the second: the newest]
    #[arg(long, value_name = "RELEASE", num_args = 1..=2, conflicts_with_all = ["from", "to"])]
    pub(super) release: Vec<u64>,
    /// Columns that tell rows apart [default: the model's `unique_key`; without one, whole rows are compared]
    #[arg(long, short, value_name = "COLUMNS", value_delimiter = ',')]
    pub(super) key: Vec<String>,
    /// Rows to show of those that differ
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub(super) limit: usize,
    /// How it is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

/// How lineage is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LineageFormat {
    /// A tree
    #[default]
    Text,
    /// For programs: what there is, and what came of what
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// OpenLineage's events, one a line
    Openlineage,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LineageArgs {
    /// Table or column, as `table`, `table.column` or `schema.table.column`
    #[arg(value_name = "TABLE[.COLUMN]")]
    pub(super) of: String,
    /// Only where it comes from
    #[arg(long)]
    pub(super) upstream: bool,
    /// Only what comes from it
    #[arg(long)]
    pub(super) downstream: bool,
    /// The table at this version, with exactly what was made of it [default: as readers see it]
    #[arg(long, value_name = "VERSION")]
    pub(super) at: Option<u64>,
    /// How it is told: text, json, dot, mermaid or openlineage
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    pub(super) format: LineageFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct HistoryArgs {
    /// Table, as `table` or `schema.table`
    pub(super) table: String,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// How the list is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RollbackArgs {
    /// Release to go back to [default: the one before the newest]
    pub(super) release: Option<u64>,
    /// Wait while another process writes to the lake, for so long at most: `90`, `10m` [default: an hour, if it is given without a number]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0", default_missing_value = "1h", hide_default_value = true, value_parser = patience)]
    pub(super) wait: Duration,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ScheduleArgs {
    /// Only say when each runs next, and how it went last
    #[arg(long)]
    pub(super) list: bool,
    /// With --list, so many times of each
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, requires = "list")]
    pub(super) next: usize,
    /// Run this one now, with its retries and notifications, and end
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    pub(super) run: Option<String>,
    /// With --run, do nothing unless one of its times is in this minute: for a cron that knows no time zones
    #[arg(long, requires = "run")]
    pub(super) if_due: bool,
    /// Only write what another scheduler needs: systemd, cron or kubernetes
    #[arg(long, value_name = "WHAT", value_parser = ["systemd", "cron", "kubernetes"], hide_possible_values = true, conflicts_with_all = ["list", "run"])]
    pub(super) print: Option<String>,
    /// With --print kubernetes, the image that has elt in it
    #[arg(long, value_name = "IMAGE", default_value = concat!("elt:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// Write down there, every 15 seconds, how it is: what runs, what comes next, how each ended last
    #[arg(long, value_name = "FILE")]
    pub(super) health_file: Option<PathBuf>,
    /// How --list is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ReplayArgs {
    /// Id of the run, or how it begins, or the number of a release that it published; `elt releases` shows both
    pub(super) run: String,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct PromoteArgs {
    /// Target that is an environment beside production: `dev`
    pub(super) environment: String,
    /// Wait while another process writes to the lake, for so long at most: `90`, `10m` [default: an hour, if it is given without a number]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0", default_missing_value = "1h", hide_default_value = true, value_parser = patience)]
    pub(super) wait: Duration,
    /// Show what rows it would change for readers, and ask before it publishes
    #[arg(long)]
    pub(super) diff: bool,
    /// With --diff: do not ask
    #[arg(long, short, requires = "diff")]
    pub(super) yes: bool,
    /// Replace incremental models by what the environment made of them from the beginning, with the rows that only production has
    #[arg(long)]
    pub(super) full_refresh: bool,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct MaintainArgs {
    /// Table to maintain [default: all]
    pub(super) table: Option<String>,
    /// Only say what is due
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How the report is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DoctorArgs {
    /// Name all that has it, not only the first few
    #[arg(long)]
    pub(super) all: bool,
    /// How it is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StorageArgs {
    /// How it is told: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: ReportFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// Shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// Write a page for every command into this folder [default: the first page, to standard output]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InitArgs {
    /// Name of the project and of its new folder
    pub(super) name: String,
}
