//! What tells another scheduler to run the schedules: a service of systemd, lines of a crontab, jobs of Kubernetes.

use crate::base::{Error, Result, World};
use crate::cli::args::Place;
use crate::lakehouse::{Catchup, Lakehouse, Schedule};

/// What a unit is written of.
pub(super) struct Unit<'a> {
    pub(super) schedules: &'a [Schedule],
    pub(super) lakehouse: &'a Lakehouse,
    pub(super) world: &'a World,
    /// The image of a container.
    pub(super) image: &'a str,
    /// Where the project and its lake are, as it was given.
    pub(super) place: &'a Place,
}

impl Unit<'_> {
    /// The text of the unit.
    ///
    /// # Errors
    /// A schedule says what the other scheduler has no words for.
    pub(super) fn text(&self, of: &str) -> Result<String> {
        match of {
            "systemd" => Ok(self.systemd()),
            "cron" => Ok(self.cron()),
            _ => {
                let jobs: Result<Vec<String>> =
                    self.schedules.iter().map(|one| self.kubernetes(one)).collect();
                Ok(jobs?.join("---\n"))
            }
        }
    }

    fn program(&self) -> String {
        std::env::current_exe().map_or_else(|_| "elt".to_owned(), |path| path.display().to_string())
    }

    /// The options that it was asked with, as they are given on this machine.
    fn options(&self) -> Vec<String> {
        self.place.words(|path| Some(path.display().to_string()))
    }

    fn systemd(&self) -> String {
        // What systemd would put something else for, in any line.
        let root = self.lakehouse.root().display().to_string().replace('%', "%%");
        let quoted = |text: &String| {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", escaped.replace('%', "%%").replace('$', "$$"))
        };
        let words = [vec![self.program()], self.options()].concat();
        let command = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
        format!(
            "# ~/.config/systemd/user/elt-schedule.service, then: systemctl --user enable --now elt-schedule\n\
             [Unit]\n\
             Description=Schedules of {root}\n\
             After=network-online.target\n\
             Wants=network-online.target\n\
             \n\
             [Service]\n\
             WorkingDirectory={root}\n\
             ExecStart={command} --log-format json schedule --health-file %t/elt-schedule.json\n\
             Restart=on-failure\n\
             RestartSec=30\n\
             KillSignal=SIGTERM\n\
             TimeoutStopSec=60\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n"
        )
    }

    /// Lines of a crontab. Many crons (Debian's, Ubuntu's) ignore `CRON_TZ` and go by their machine's clock, so only what is
    /// the same by every clock is left to them.
    fn cron(&self) -> String {
        let quoted = |text: String| format!("'{}'", text.replace('\'', "'\\''").replace('%', "\\%"));
        let root = quoted(self.lakehouse.root().display().to_string());
        let words = [vec![self.program()], self.options()].concat();
        let command = words.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
        let mut lines = vec![
            "# for `crontab -e`".to_owned(),
            format!("# made for {} on {}", self.world.user, self.world.host),
            "# CRON_TZ is not used: some crons (Debian's, Ubuntu's) ignore it, and run by the clock of their machine.".to_owned(),
            "# So elt looks at the clock of the schedule itself, every minute, and does nothing unless its time has come.".to_owned(),
        ];
        for schedule in self.schedules {
            let (times, name) = (&schedule.times, &schedule.name);
            let (cron, zone) = (&times.cron, times.zone.name());
            lines.push(format!("# {name}: {cron} in {zone}"));
            if schedule.catchup != Catchup::None {
                lines.push(
                    "# its `catchup` is not kept by cron, which forgets the times it was not there: `elt schedule` does"
                        .to_owned(),
                );
            }
            lines.push(match times.is_each_hour() && zone == "UTC" {
                true => format!("{cron} cd {root} && {command} schedule --run {name}"),
                false => format!("* * * * * cd {root} && {command} schedule --run {name} --if-due"),
            });
        }
        lines.join("\n")
    }

    fn kubernetes(&self, schedule: &Schedule) -> Result<String> {
        let Schedule { name, times, catchup, .. } = schedule;
        let label = label(name);
        let cron = cron_of_kubernetes(&times.cron).map_err(|part| {
            let what = format!("the schedule `{name}` says `{part}`, which Kubernetes has no word for");
            let help = "write it in plain numbers, or let `elt schedule` keep it in the cluster, as a Deployment of one replica";
            Error::user("elt::schedule", what, help)
        })?;
        let image = self.image;
        // The project is mounted; what is elsewhere is said as it is here.
        let root = self.lakehouse.root();
        let words = self.place.words(|path| match path.strip_prefix(root) {
            Ok(inside) if inside.as_os_str().is_empty() => None,
            Ok(inside) => Some(format!("/project/{}", inside.display())),
            Err(_) => Some(path.display().to_string()),
        });
        let words = without_project(words)
            .into_iter()
            .chain(["--log-format", "json", "schedule", "--run", name.as_str()].map(str::to_owned));
        let words = ["--project-dir", "/project"].map(str::to_owned).into_iter().chain(words);
        let args = serde_json::json!(words.collect::<Vec<_>>());
        // A CronJob makes up for one time that was missed, whatever is said.
        let catchup_note = match catchup {
            Catchup::All => {
                "# `catchup: all` is not kept by Kubernetes, which makes up for the last time alone: `elt schedule` does\n"
            }
            Catchup::None | Catchup::Last => "",
        };
        let deadline = match catchup {
            Catchup::None => "  startingDeadlineSeconds: 300\n",
            Catchup::Last | Catchup::All => "",
        };
        Ok(format!(
            "{catchup_note}apiVersion: batch/v1\n\
             kind: CronJob\n\
             metadata:\n  name: elt-{label}\n\
             spec:\n  schedule: \"{}\"\n  timeZone: {}\n  concurrencyPolicy: Forbid\n{deadline}  \
             jobTemplate:\n    spec:\n      backoffLimit: 0\n      template:\n        spec:\n          \
             restartPolicy: Never\n          containers:\n            - name: elt\n              image: {image}\n              \
             args: {args}\n              \
             # where the project and the credentials of the lake come from is yours to say\n              \
             volumeMounts:\n                - {{name: project, mountPath: /project}}\n          volumes:\n            \
             - name: project\n              persistentVolumeClaim: {{claimName: elt-project}}\n",
            cron,
            times.zone.name(),
        ))
    }
}

/// The most letters that the name of a job may have, with what is put before it.
const LONGEST: usize = 52 - "elt-".len();

/// A name that Kubernetes takes: small letters, digits and dashes, so many at most. A longer one ends with what tells it apart.
fn label(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = name.chars().map(kept).collect();
    let label = label.trim_matches('-');
    if label.len() <= LONGEST {
        return label.to_owned();
    }
    // FNV-1a: the same on every machine.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}-{hash:08x}", label[..LONGEST - 9].trim_end_matches('-'))
}

/// The same times as Kubernetes reads them, where Sunday is 0 and never 7.
///
/// # Errors
/// The part that it cannot read: the last day, the nearest weekday, the second Friday.
fn cron_of_kubernetes(cron: &str) -> std::result::Result<String, String> {
    // `@hourly` and its like.
    if cron.starts_with('@') {
        return Ok(cron.to_owned());
    }
    let parts: Vec<&str> = cron.split_whitespace().collect();
    let [times @ .., days] = &parts[..] else { return Err(cron.to_owned()) };
    let has_more = |part: &&&str| {
        part.contains('#')
            || part.chars().any(|c| c.is_ascii_digit()) && part.ends_with(['L', 'W'])
            || matches!(**part, "L" | "LW" | "W")
    };
    if let Some(part) = parts.iter().find(has_more) {
        return Err((*part).to_owned());
    }
    if parts.len() != 5 {
        return Err(cron.to_owned());
    }
    let day = |item: &str| -> String {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        match (range, range.split_once('-'), step) {
            ("7", _, None) => "0".to_owned(),
            (_, Some(("7", "7")), None) => "0".to_owned(),
            (_, Some((from, "7")), None) => format!("{from}-6,0"),
            (_, Some((from, "7")), Some(step)) => {
                let (Ok(from), Ok(step)) = (from.parse::<usize>(), step.parse::<usize>()) else {
                    return item.to_owned();
                };
                let days = (from..=7).step_by(step.max(1)).map(|day| (day % 7).to_string());
                days.collect::<Vec<_>>().join(",")
            }
            _ => item.to_owned(),
        }
    };
    let days: Vec<String> = days.split(',').map(day).collect();
    Ok(format!("{} {}", times.join(" "), days.join(",")))
}

/// The same options, without the project's folder, which is another in a container.
fn without_project(mut words: Vec<String>) -> Vec<String> {
    if let Some(at) = words.iter().position(|word| word == "--project-dir") {
        words.drain(at..at + 2);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_reads_the_same_times() {
        let read = |cron: &str| cron_of_kubernetes(cron).unwrap_or_else(|part| format!("not {part}"));
        assert_eq!(read("0 6 * * 7"), "0 6 * * 0");
        assert_eq!(read("0 6 * * 5-7"), "0 6 * * 5-6,0");
        assert_eq!(read("0 6 * * 1,7"), "0 6 * * 1,0");
        assert_eq!(read("0 6 * * 1-7/2"), "0 6 * * 1,3,5,0");
        assert_eq!(read("*/7 7 7 7 MON-FRI"), "*/7 7 7 7 MON-FRI");
        assert_eq!(read("@hourly"), "@hourly");
        assert_eq!(read("0 6 L * *"), "not L");
        assert_eq!(read("0 6 * * 5L"), "not 5L");
        assert_eq!(read("0 6 * * 5#2"), "not 5#2");
        assert_eq!(read("0 6 * * JUL"), "0 6 * * JUL");
    }

    #[test]
    fn names_of_jobs_are_short_and_tell_schedules_apart() {
        assert_eq!(label("Nightly_run"), "nightly-run");
        let (a, b) = (label(&format!("{}a", "long_".repeat(20))), label(&format!("{}b", "long_".repeat(20))));
        assert!(a.len() <= LONGEST && a != b, "{a} {b}");
    }
}
