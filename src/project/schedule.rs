//! When is what to be built, without anybody asking?
//!
//! `elt.yml`, beside the project, may say so:
//!
//! ```yaml
//! schedules:
//!   nightly:
//!     cron: '0 2 * * *'
//!     timezone: Europe/Berlin
//!     select: [tag:nightly]
//!     retries: 2
//!     retry_delay: 5m
//!     catchup: last
//! notifications:
//!   webhook: "{{ env_var('WEBHOOK') }}"
//! ```

use std::time::Duration;

use chrono::{DateTime, DurationRound, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use super::users::{SECTIONS, unknown};
use super::yaml::{Entry, RenderScope, Yaml, YamlJinja};
use crate::base::{Diagnostic, SourceText, did_you_mean, parse_duration};

/// More than so many tries again help nobody.
const MOST_RETRIES: u32 = 20;

/// Something that is built again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When.
    pub times: Times,
    /// dbt's verb: `build`, `run`, `test`, `seed` or `snapshot`.
    pub command: String,
    /// What is selected; everything if empty.
    pub select: Vec<String>,
    /// What is left out.
    pub exclude: Vec<String>,
    /// The target, if it is not the profile's own.
    pub target: Option<String>,
    /// Whether incremental models are made from the beginning.
    pub full_refresh: bool,
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// How long to wait before that.
    pub retry_delay: Duration,
    /// How long one try may take.
    pub timeout: Option<Duration>,
    /// What becomes of runs that were missed.
    pub catchup: Catchup,
    /// Who is told when it fails, and when it is well again.
    pub webhook: Option<String>,
}

/// What becomes of the times at which nobody was there to run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Catchup {
    /// They are left out.
    #[default]
    None,
    /// One run stands for all of them.
    Last,
    /// Each is run, the oldest first.
    All,
}

/// The times of a schedule, in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// As it is written.
    pub cron: String,
    /// The zone.
    pub zone: Tz,
    pattern: Cron,
}

impl Times {
    /// Reads a pattern of cron: five fields, or `@daily` and the like.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(cron: &str, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let pattern = parser.parse(cron).map_err(|error| error.to_string())?;
        Ok(Self { cron: cron.to_owned(), zone, pattern })
    }

    /// The first time after an instant; nothing if there is none any more.
    ///
    /// A time that clocks skip in spring is the moment after the gap, one that they show twice in autumn is the first.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = after.with_timezone(&self.zone);
        let next = self.pattern.find_next_occurrence(&after, false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

impl Times {
    /// Whether one of the times is in the minute of this instant.
    pub fn is_in_minute(&self, now: DateTime<Utc>) -> bool {
        let Some(minute) = now.duration_trunc(chrono::Duration::minutes(1)).ok() else { return false };
        self.next(minute - chrono::Duration::seconds(1)) == Some(minute)
    }

    /// Whether they are the same in every zone whose clocks show the same minutes: each hour of each day.
    pub fn is_each_hour(&self) -> bool {
        let mut fields = self.cron.split_whitespace().skip(1);
        self.cron == "@hourly"
            || self.cron.split_whitespace().count() == 5 && fields.all(|field| field == "*")
    }
}

/// What `elt.yml` says of times and of whom to tell.
///
/// # Errors
/// The first thing that is not known or not right, and its place.
pub fn read_schedules(
    source: &SourceText,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
) -> Result<Vec<Schedule>, Diagnostic> {
    let mut yaml = Yaml::parse_own(source)?;
    for entry in yaml.entries() {
        if !SECTIONS.contains(&entry.key.as_str()) {
            return Err(unknown(&entry.key, &entry.key_at, &SECTIONS));
        }
    }
    let mut found = Vec::new();
    yaml.render(jinja, scope, &["users", "packages", "openlineage"], &mut found);
    if let Some(first) = found.into_iter().next() {
        return Err(first);
    }
    let mut webhook = None;
    for Entry { key, key_at, value } in yaml.get("notifications").map(Yaml::entries).unwrap_or_default() {
        match key.as_str() {
            "webhook" => webhook = Some(address(value)?).filter(|text| !text.is_empty()),
            _ => return Err(unknown(key, key_at, &NOTIFICATION_KEYS)),
        }
    }
    let schedules = yaml.get("schedules").map(Yaml::entries).unwrap_or_default();
    schedules.iter().map(|entry| schedule(entry, webhook.as_deref())).collect()
}

pub(super) const NOTIFICATION_KEYS: [&str; 1] = ["webhook"];

pub(super) const KEYS: [&str; 12] = [
    "cron",
    "timezone",
    "command",
    "select",
    "exclude",
    "target",
    "full_refresh",
    "retries",
    "retry_delay",
    "timeout",
    "catchup",
    "webhook",
];

const COMMANDS: [&str; 5] = ["build", "run", "test", "seed", "snapshot"];

fn schedule(entry: &Entry, webhook: Option<&str>) -> Result<Schedule, Diagnostic> {
    let name = entry.key.clone();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(wrong(
            &entry.key_at,
            format!("`{name}` cannot name a schedule"),
            "use letters, digits, `_` and `-`",
        ));
    }
    let (mut cron, mut zone) = (None, Tz::UTC);
    let mut schedule = Schedule {
        name,
        times: Times::read("@daily", Tz::UTC).expect("this is a pattern"),
        command: "build".to_owned(),
        select: Vec::new(),
        exclude: Vec::new(),
        target: None,
        full_refresh: false,
        retries: 0,
        retry_delay: Duration::from_secs(60),
        timeout: None,
        catchup: Catchup::None,
        webhook: webhook.map(str::to_owned),
    };
    for Entry { key, key_at, value } in entry.value.entries() {
        let text = value.text().unwrap_or_default();
        let odd = |help: &str| wrong(&value.at, format!("`{text}` is no value of `{key}`"), help);
        match key.as_str() {
            "cron" => cron = Some((text, value)),
            "timezone" => {
                zone =
                    text.parse().map_err(|_| odd("write a name of the IANA's list: Europe/Berlin, UTC"))?;
            }
            "command" if COMMANDS.contains(&text.as_str()) => schedule.command = text,
            "command" => {
                let help = did_you_mean(&text, COMMANDS);
                return Err(odd(&help.unwrap_or_else(|| format!("use one of: {}", COMMANDS.join(", ")))));
            }
            "select" => schedule.select = texts(value),
            "exclude" => schedule.exclude = texts(value),
            "target" => schedule.target = Some(text),
            "full_refresh" => {
                schedule.full_refresh = text.parse().map_err(|_| odd("write true or false"))?;
            }
            "retries" => {
                let retries = text.parse().ok().filter(|retries| *retries <= MOST_RETRIES);
                schedule.retries = retries.ok_or_else(|| odd("write a whole number from 0 to 20"))?;
            }
            "retry_delay" | "timeout" => {
                let long = parse_duration(&text);
                let long =
                    long.ok_or_else(|| odd("write seconds, as 90, or a number with its unit: 30s, 10m, 2h"))?;
                match key.as_str() {
                    "timeout" => schedule.timeout = Some(long),
                    _ => schedule.retry_delay = long,
                }
            }
            "catchup" => {
                schedule.catchup = match text.as_str() {
                    "false" | "none" => Catchup::None,
                    "last" => Catchup::Last,
                    "true" | "all" => Catchup::All,
                    _ => {
                        return Err(odd(
                            "write false (missed runs are left out), last (one run for all) or all",
                        ));
                    }
                };
            }
            "webhook" => {
                schedule.webhook = Some(address(value)?).filter(|text| !text.is_empty() && text != "none")
            }
            _ => return Err(unknown(key, key_at, &KEYS)),
        }
    }
    let Some((cron, value)) = cron else {
        let what = format!("the schedule `{}` does not say when", schedule.name);
        return Err(wrong(&entry.key_at, what, "write `cron: '0 2 * * *'`, or `cron: '@daily'`"));
    };
    schedule.times = Times::read(&cron, zone).map_err(|why| {
        let what = format!("`{cron}` is no pattern of cron: {why}");
        wrong(
            &value.at,
            what,
            "write minute, hour, day, month and weekday: `0 2 * * *`; or `@hourly`, `@daily`, `@weekly`",
        )
    })?;
    if schedule.times.next(DateTime::UNIX_EPOCH).is_none() {
        let what = format!("`{cron}` never comes: there is no such day");
        return Err(wrong(&value.at, what, "write a day that its month has: `0 2 28 2 *`"));
    }
    Ok(schedule)
}

/// One text, or a list of them; a text may hold several, with spaces between.
fn texts(value: &Yaml) -> Vec<String> {
    let all = match value.text() {
        Some(text) => vec![text],
        None => value.items().iter().filter_map(Yaml::text).collect(),
    };
    all.iter().flat_map(|text| text.split_whitespace().map(str::to_owned)).collect()
}

fn address(value: &Yaml) -> Result<String, Diagnostic> {
    let text = value.text().unwrap_or_default();
    let is_one =
        text.is_empty() || text == "none" || text.starts_with("http://") || text.starts_with("https://");
    match is_one {
        true => Ok(text),
        false => Err(wrong(&value.at, "a webhook is an address of the web".to_owned(), "write `https://…`")),
    }
}

fn wrong(at: &crate::base::Span, what: String, help: &str) -> Diagnostic {
    Diagnostic::error("elt::schedule", what).at(at, "here").help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl YamlJinja for Plain {
        fn render(&self, text: &str, _: &RenderScope<'_>) -> Result<String, String> {
            Ok(text.to_owned())
        }
    }

    fn read(text: &str) -> Result<Vec<Schedule>, String> {
        let (vars, env, docs) = Default::default();
        let scope = RenderScope { vars: &vars, env: &env, target: None, docs: &docs };
        let read = read_schedules(&SourceText::new("elt.yml", text), &Plain, &scope);
        read.map_err(|error| format!("{} ({})", error.message(), error.help_text().unwrap_or_default()))
    }

    #[test]
    fn schedules_are_read_whole() {
        let all = read(
            "users: {}\nnotifications: {webhook: 'https://a.example/x'}\nschedules:\n  nightly:\n    cron: '30 2 * * 1-5'\n    \
             timezone: Europe/Berlin\n    select: [tag:nightly, +orders]\n    exclude: slow big\n    retries: 2\n    \
             retry_delay: 5m\n    timeout: 2h\n    catchup: last\n  hourly: {cron: '@hourly', command: run, webhook: none}\n",
        )
        .unwrap();
        let [nightly, hourly] = &all[..] else { panic!("{all:?}") };
        assert_eq!(nightly.select, ["tag:nightly", "+orders"]);
        assert_eq!(nightly.exclude, ["slow", "big"]);
        assert_eq!(
            (nightly.retries, nightly.retry_delay.as_secs(), nightly.catchup),
            (2, 300, Catchup::Last)
        );
        assert_eq!(nightly.webhook.as_deref(), Some("https://a.example/x"));
        assert_eq!((hourly.command.as_str(), &hourly.webhook), ("run", &None));
        assert!(read("packages: {}").unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_would() {
        for (text, told) in [
            ("schedules: {a: {cron: 'soon'}}", "`soon` is no pattern of cron"),
            ("schedules: {a: {}}", "the schedule `a` does not say when"),
            ("schedules: {a: {cron: '@daily', timezone: Berlin}}", "`Berlin` is no value of `timezone`"),
            ("schedules: {a: {cron: '@daily', retries: many}}", "`many` is no value of `retries`"),
            (
                "schedules: {a: {cron: '@daily', slect: x}}",
                "`slect` is not known in elt.yml (did you mean `select`?)",
            ),
            ("schedules: {'a b': {cron: '@daily'}}", "`a b` cannot name a schedule"),
            ("schedules: {a: {cron: '* * * * * *'}}", "`* * * * * *` is no pattern of cron"),
            ("schedules: {a: {cron: '0 0 30 2 *'}}", "`0 0 30 2 *` never comes: there is no such day"),
            ("notifications: {webhook: here}", "a webhook is an address of the web"),
            ("schedule: {}", "`schedule` is not known in elt.yml (did you mean `schedules`?)"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_day_of_leap_years_comes() {
        let times = Times::read("0 0 29 2 *", Tz::UTC).unwrap();
        let next = times.next("2026-03-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(next.to_rfc3339(), "2028-02-29T00:00:00+00:00");
        assert!(times.is_in_minute(next + chrono::Duration::seconds(59)));
        assert!(!times.is_in_minute(next + chrono::Duration::seconds(60)));
        assert!(!times.is_in_minute(next - chrono::Duration::seconds(1)));
    }

    #[test]
    fn times_are_those_of_the_zone_also_when_clocks_change() {
        let times = Times::read("30 2 * * *", Tz::Europe__Berlin).unwrap();
        let mut at: DateTime<Utc> = "2026-03-28T00:00:00Z".parse().unwrap();
        let mut told = Vec::new();
        for _ in 0..3 {
            at = times.next(at).unwrap();
            told.push(at.to_rfc3339());
        }
        // On the 29th there is no half past two: the run comes when the gap is over.
        assert_eq!(
            told,
            ["2026-03-28T01:30:00+00:00", "2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]
        );
        let autumn = times.next("2026-10-24T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(autumn.to_rfc3339(), "2026-10-25T00:30:00+00:00");
        assert_eq!(times.next(autumn).unwrap().to_rfc3339(), "2026-10-26T01:30:00+00:00");
    }
}
