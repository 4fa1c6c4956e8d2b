//! What is wanted of every verb alike?
//!
//! dbt's global flags. Each can be given before the verb and after it, as a variable of the environment (`ELT_…`,
//! `DBT_…`), or under `flags:` of `dbt_project.yml`; what is nearer to the command wins, in this order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::{Map, Value};

use crate::base::{Diagnostic, Error, Result, Strictness};
use crate::lakehouse::{Indirect, OpenOptions};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    /// For people.
    #[value(alias = "default", alias = "debug")]
    Text,
    /// For programs: dbt's events, one JSON object a line, on standard output.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    None,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Default, ClapArgs)]
#[group(skip)]
pub(in crate::cli) struct Flags {
    /// How log lines are written: text, or json as dbt's events on standard output
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Logs"
    )]
    log_format: Option<LogFormat>,
    /// How log lines are written into the log file
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide = true)]
    log_format_file: Option<LogFormat>,
    /// How much is logged: debug, info, warn, error or none
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LEVEL",
        hide_possible_values = true,
        help_heading = "Logs"
    )]
    log_level: Option<Level>,
    /// How much is logged into the log file [default: debug]
    #[arg(long, global = true, value_enum, value_name = "LEVEL", hide = true)]
    log_level_file: Option<Level>,
    /// Folder for a log file, dbt.log [default: as `log-path:` says; else there is none]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Logs")]
    log_path: Option<PathBuf>,
    /// Log errors alone
    #[arg(long, short, global = true, overrides_with = "no_quiet", help_heading = "Logs")]
    quiet: bool,
    #[arg(long, global = true, hide = true)]
    no_quiet: bool,
    /// Log everything
    #[arg(long, short, global = true, overrides_with = "no_debug", hide = true)]
    debug: bool,
    #[arg(long, global = true, hide = true)]
    no_debug: bool,
    /// Do not colour what is said
    #[arg(long, global = true, overrides_with = "use_colors", help_heading = "Logs")]
    no_use_colors: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_use_colors")]
    use_colors: bool,
    /// Take every warning for a mistake
    #[arg(long, global = true, overrides_with = "no_warn_error", help_heading = "Logs")]
    warn_error: bool,
    #[arg(long, global = true, hide = true)]
    no_warn_error: bool,
    /// Which warnings are mistakes: `{error: [NothingToDo], silence: [unknown_key]}`
    #[arg(long, global = true, value_name = "MAP", help_heading = "Logs")]
    warn_error_options: Option<String>,
    /// Folder for artifacts, relative to the project [default: as `target-path:` says, or `target`]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Place")]
    target_path: Option<PathBuf>,
    /// Begin nothing new once something has failed
    #[arg(long, short = 'x', global = true, overrides_with = "no_fail_fast", hide = true)]
    fail_fast: bool,
    #[arg(long, global = true, hide = true)]
    no_fail_fast: bool,
    /// Write no artifacts
    #[arg(long, global = true, hide = true, overrides_with = "write_json")]
    no_write_json: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_write_json")]
    write_json: bool,
    /// Read every file of the project, changed or not
    #[arg(long, global = true, hide = true, overrides_with = "partial_parse")]
    no_partial_parse: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_partial_parse")]
    partial_parse: bool,
    /// Do not ask whether packages work with the version of dbt that elt answers for
    #[arg(long, global = true, hide = true, overrides_with = "version_check")]
    no_version_check: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_version_check")]
    version_check: bool,
    /// Do not tell what `print()` of templates says
    #[arg(long, global = true, hide = true, overrides_with = "print")]
    no_print: bool,
    /// A text, because `elt schedule --print` has one under the same name.
    #[arg(
        long,
        global = true,
        hide = true,
        num_args = 0,
        default_missing_value = "true",
        overrides_with = "no_print"
    )]
    print: Option<String>,
    #[command(flatten)]
    habits: Habits,
}

/// Flags of dbt that schedulers and scripts pass by habit, and that ask for what elt does anyway or has no use for:
/// there is no cache of relations to fill, nothing that is sent home, no line of a width that is not the terminal's.
#[derive(Clone, Debug, Default, ClapArgs)]
#[group(skip)]
struct Habits {
    #[arg(long, global = true, hide = true, overrides_with = "no_static_parser")]
    static_parser: bool,
    #[arg(long, global = true, hide = true)]
    no_static_parser: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_populate_cache")]
    populate_cache: bool,
    #[arg(long, global = true, hide = true)]
    no_populate_cache: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_cache_selected_only")]
    cache_selected_only: bool,
    #[arg(long, global = true, hide = true)]
    no_cache_selected_only: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_send_anonymous_usage_stats")]
    send_anonymous_usage_stats: bool,
    #[arg(long, global = true, hide = true)]
    no_send_anonymous_usage_stats: bool,
    #[arg(long, global = true, hide = true)]
    use_colors_file: bool,
    #[arg(long, global = true, hide = true)]
    no_use_colors_file: bool,
    #[arg(long, global = true, hide = true)]
    no_introspect: bool,
    #[arg(long, global = true, hide = true)]
    introspect: bool,
    #[arg(long, global = true, hide = true)]
    show_all_deprecations: bool,
    #[arg(long, global = true, hide = true)]
    no_show_all_deprecations: bool,
    #[arg(long, global = true, hide = true, value_name = "N")]
    printer_width: Option<u32>,
    #[arg(long, global = true, hide = true, value_name = "BYTES")]
    log_file_max_bytes: Option<u64>,
}

/// The flags, wherever they were given.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Settled {
    /// How log lines are written.
    pub(in crate::cli) log_format: LogFormat,
    /// How much is logged.
    pub(in crate::cli) level: Level,
    /// The folder of the log file, if there is to be one, relative to the project.
    pub(in crate::cli) log_path: Option<PathBuf>,
    /// How lines of the log file are written.
    pub(in crate::cli) file_format: LogFormat,
    /// How much goes into the log file.
    pub(in crate::cli) file_level: Level,
    /// Whether there are colours; as the terminal has it if nothing is said.
    pub(in crate::cli) colours: Option<bool>,
    /// Which warnings are mistakes.
    pub(in crate::cli) strictness: Strictness,
    /// Where artifacts go, relative to the project.
    pub(in crate::cli) target_path: Option<PathBuf>,
    /// Whether nothing new is begun once something has failed.
    pub(in crate::cli) fail_fast: bool,
    /// Whether artifacts are written.
    pub(in crate::cli) write_json: bool,
    /// Whether what was read of the project before may be used again.
    pub(in crate::cli) partial_parse: bool,
    /// Whether versions of dbt matter.
    pub(in crate::cli) version_check: bool,
    /// Whether what templates print is told.
    pub(in crate::cli) print: bool,
    /// Which tests a selected node brings.
    pub(in crate::cli) indirect: Option<Indirect>,
}

impl Default for Settled {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            level: Level::Info,
            log_path: None,
            file_format: LogFormat::Text,
            file_level: Level::Debug,
            colours: None,
            strictness: Strictness::default(),
            target_path: None,
            fail_fast: false,
            write_json: true,
            partial_parse: true,
            version_check: true,
            print: true,
            indirect: None,
        }
    }
}

/// The places other than the command line where a flag may be given.
struct Elsewhere<'a> {
    env: &'a BTreeMap<String, String>,
    project: &'a Map<String, Value>,
}

impl Elsewhere<'_> {
    /// What is said of a flag, and where.
    fn said(&self, name: &str) -> Option<(String, String)> {
        let upper = name.to_uppercase();
        let variables = [format!("ELT_{upper}"), format!("DBT_{upper}"), format!("DBT_ENGINE_{upper}")];
        for variable in variables {
            if let Some(value) = self.env.get(&variable).filter(|value| !value.is_empty()) {
                return Some((variable, value.clone()));
            }
        }
        let value = self.project.get(name).filter(|value| !value.is_null())?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((format!("`flags: {name}`"), text))
    }

    fn flag(&self, name: &str, yes: bool, no: bool) -> Result<Option<bool>> {
        if yes || no {
            return Ok(Some(yes));
        }
        let Some((place, value)) = self.said(name) else { return Ok(None) };
        match value.to_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Ok(Some(true)),
            "0" | "false" | "f" | "no" | "n" | "off" => Ok(Some(false)),
            _ => Err(wrong(&place, &value, "write true or false")),
        }
    }

    fn choice<T: ValueEnum>(&self, name: &str, given: Option<T>) -> Result<Option<T>> {
        if given.is_some() {
            return Ok(given);
        }
        let Some((place, value)) = self.said(name) else { return Ok(None) };
        T::from_str(&value, true).map(Some).map_err(|_| {
            let known: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()))
                .collect();
            wrong(&place, &value, &format!("write one of: {}", known.join(", ")))
        })
    }

    fn path(&self, name: &str, given: Option<&PathBuf>) -> Option<PathBuf> {
        given.cloned().or_else(|| Some(PathBuf::from(self.said(name)?.1)))
    }
}

fn wrong(place: &str, value: &str, help: &str) -> Error {
    Error::user("elt::flag", format!("{place} cannot be `{value}`"), help)
}

/// Flags under `flags:` that change how dbt itself behaves, and that elt has no two ways for.
fn is_of_dbt(name: &str) -> bool {
    const OTHERS: [&str; 16] = [
        "send_anonymous_usage_stats",
        "populate_cache",
        "cache_selected_only",
        "static_parser",
        "use_experimental_parser",
        "use_colors_file",
        "printer_width",
        "introspect",
        "event_time_start",
        "event_time_end",
        "no_print",
        "profile",
        "log_file_max_bytes",
        "macro_debugging",
        "favor_state",
        "upload_to_artifacts_ingest_api",
    ];
    // The flags of changes in dbt's behaviour: `require_…`, `validate_…`, `source_freshness_run_project_hooks` …
    const BEGINNINGS: [&str; 8] =
        ["require_", "validate_", "skip_", "state_", "source_", "restrict_", "enable_", "use_"];
    OTHERS.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

const KNOWN: [&str; 17] = [
    "log_format",
    "log_format_file",
    "log_level",
    "log_level_file",
    "log_path",
    "quiet",
    "debug",
    "use_colors",
    "warn_error",
    "warn_error_options",
    "target_path",
    "fail_fast",
    "write_json",
    "partial_parse",
    "version_check",
    "indirect_selection",
    "print",
];

impl Flags {
    /// The flags as they hold, with what is odd about those of the project.
    ///
    /// # Errors
    /// The first that has a value which it cannot have, and where it has it.
    pub(in crate::cli) fn settle(
        &self,
        env: &BTreeMap<String, String>,
        project: &Map<String, Value>,
    ) -> Result<(Settled, Vec<Diagnostic>)> {
        let said = Elsewhere { env, project };
        let quiet = said.flag("quiet", self.quiet, self.no_quiet)?.unwrap_or(false);
        let debug = said.flag("debug", self.debug, self.no_debug)?.unwrap_or(false);
        let level = match (said.choice("log_level", self.log_level)?, quiet, debug) {
            (_, true, _) => Level::Error,
            (Some(level), ..) => level,
            (None, _, true) => Level::Debug,
            (None, ..) => Level::Info,
        };
        let indirect = match said.said("indirect_selection") {
            Some((place, value)) => Some(value.parse().map_err(|why: String| wrong(&place, &value, &why))?),
            None => None,
        };
        let settled = Settled {
            log_format: said.choice("log_format", self.log_format)?.unwrap_or(LogFormat::Text),
            level,
            log_path: said.path("log_path", self.log_path.as_ref()),
            file_format: said.choice("log_format_file", self.log_format_file)?.unwrap_or(LogFormat::Text),
            file_level: said.choice("log_level_file", self.log_level_file)?.unwrap_or(Level::Debug),
            colours: said.flag("use_colors", self.use_colors, self.no_use_colors)?,
            strictness: self.strictness(&said)?,
            target_path: said.path("target_path", self.target_path.as_ref()),
            fail_fast: said.flag("fail_fast", self.fail_fast, self.no_fail_fast)?.unwrap_or(false),
            write_json: said.flag("write_json", self.write_json, self.no_write_json)?.unwrap_or(true),
            partial_parse: said
                .flag("partial_parse", self.partial_parse, self.no_partial_parse)?
                .unwrap_or(true),
            version_check: said
                .flag("version_check", self.version_check, self.no_version_check)?
                .unwrap_or(true),
            print: said.flag("print", self.print.is_some(), self.no_print)?.unwrap_or(true),
            indirect,
        };
        let odd = project.keys().filter(|name| !KNOWN.contains(&name.as_str()) && !is_of_dbt(name));
        let odd = odd.map(|name| {
            Diagnostic::warning(
                "elt::unknown_key",
                format!("`{name}` is not a known key of `flags:` of dbt_project.yml"),
            )
            .help("elt ignores it")
            .maybe_help(crate::base::did_you_mean(name, KNOWN))
        });
        let odd = settled.strictness.judge(odd.collect());
        match odd.iter().any(Diagnostic::is_error) {
            true => Err(Error::project(odd)),
            false => Ok((settled, odd)),
        }
    }

    fn strictness(&self, said: &Elsewhere<'_>) -> Result<Strictness> {
        let all = said.flag("warn_error", self.warn_error, self.no_warn_error)?.unwrap_or(false);
        let mut strictness = Strictness { all, ..Strictness::default() };
        let given = self.warn_error_options.clone().map(|text| ("--warn-error-options".to_owned(), text));
        let Some((place, text)) = given.or_else(|| said.said("warn_error_options")) else {
            return Ok(strictness);
        };
        let help = "write it as `{error: all, warn: [NothingToDo], silence: [unknown_key]}`";
        let map = OpenOptions::read_vars(&text).map_err(|_| wrong(&place, &text, help))?;
        for (key, value) in map {
            let names = match &value {
                Value::Array(names) => {
                    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
                }
                Value::String(name) => vec![name.clone()],
                Value::Null => Vec::new(),
                _ => return Err(wrong(&place, &text, help)),
            };
            match key.as_str() {
                "error" | "include" => {
                    strictness.all |= names.iter().any(|name| name == "all" || name == "*");
                    strictness.error = names;
                }
                "warn" | "exclude" => strictness.warn = names,
                "silence" => strictness.silence = names,
                _ => return Err(wrong(&place, &text, help)),
            }
        }
        Ok(strictness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(flags: &Flags, env: &[(&str, &str)], project: &str) -> std::result::Result<Settled, String> {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let project: Map<String, Value> = serde_json::from_str(project).unwrap();
        flags.settle(&env, &project).map(|(settled, _)| settled).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_nearer_to_the_command_wins() {
        let project = r#"{"log_format": "json", "fail_fast": true, "use_colors": false, "quiet": true}"#;
        let settled = settle(&Flags::default(), &[], project).unwrap();
        assert_eq!(
            (settled.log_format, settled.fail_fast, settled.colours),
            (LogFormat::Json, true, Some(false))
        );
        assert_eq!(settled.level, Level::Error);
        let env =
            [("DBT_LOG_FORMAT", "text"), ("DBT_FAIL_FAST", "1"), ("ELT_FAIL_FAST", "0"), ("DBT_QUIET", "")];
        let settled = settle(&Flags::default(), &env, project).unwrap();
        assert_eq!(
            (settled.log_format, settled.fail_fast, settled.level),
            (LogFormat::Text, false, Level::Error)
        );
        let flags =
            Flags { log_format: Some(LogFormat::Json), no_quiet: true, debug: true, ..Flags::default() };
        let settled = settle(&flags, &env, project).unwrap();
        assert_eq!((settled.log_format, settled.level), (LogFormat::Json, Level::Debug));
    }

    #[test]
    fn strictness_is_read_in_both_forms_of_dbt() {
        let project = r#"{"warn_error_options": {"include": "all", "exclude": ["NothingToDo"], "silence": ["raised"]}}"#;
        let strictness = settle(&Flags::default(), &[], project).unwrap().strictness;
        assert!(strictness.is_mistake("elt::unknown_key") && !strictness.is_mistake("elt::nothing_to_do"));
        assert!(strictness.is_silent("elt::raised"));
        let flags = Flags { warn_error_options: Some("{error: [LogTestResult]}".into()), ..Flags::default() };
        let strictness = settle(&flags, &[], project).unwrap().strictness;
        assert!(strictness.is_mistake("elt::test") && !strictness.is_mistake("elt::unknown_key"));
    }

    #[test]
    fn values_that_a_flag_cannot_have_are_told_with_their_place() {
        let told = |env: &[(&str, &str)], project: &str| settle(&Flags::default(), env, project).unwrap_err();
        assert_eq!(told(&[("DBT_FAIL_FAST", "maybe")], "{}"), "DBT_FAIL_FAST cannot be `maybe`");
        assert_eq!(told(&[], r#"{"log_level": "loud"}"#), "`flags: log_level` cannot be `loud`");
        assert_eq!(
            told(&[("DBT_WARN_ERROR", "1")], r#"{"fial_fast": true}"#),
            "`fial_fast` is not a known key of `flags:` of dbt_project.yml"
        );
    }
}
