//! What tells another scheduler to run the schedules: a service of systemd, lines of a crontab, jobs of Kubernetes.

use crate::base::World;
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
    pub(super) fn text(&self, of: &str) -> String {
        match of {
            "systemd" => self.systemd(),
            "cron" => self.cron(),
            _ => self.schedules.iter().map(|one| self.kubernetes(one)).collect::<Vec<_>>().join("---\n"),
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
        let root = self.lakehouse.root().display();
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
            lines.push(match times.is_each_hour() && zone == "UTC" {
                true => format!("{cron} cd {root} && {command} schedule --run {name}"),
                false => format!("* * * * * cd {root} && {command} schedule --run {name} --if-due"),
            });
        }
        lines.join("\n")
    }

    fn kubernetes(&self, schedule: &Schedule) -> String {
        let Schedule { name, times, catchup, .. } = schedule;
        let label = name.replace('_', "-").to_lowercase();
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
        let deadline = match catchup {
            Catchup::None => "  startingDeadlineSeconds: 300\n",
            Catchup::Last | Catchup::All => "",
        };
        format!(
            "apiVersion: batch/v1\n\
             kind: CronJob\n\
             metadata:\n  name: elt-{label}\n\
             spec:\n  schedule: \"{}\"\n  timeZone: {}\n  concurrencyPolicy: Forbid\n{deadline}  \
             jobTemplate:\n    spec:\n      backoffLimit: 0\n      template:\n        spec:\n          \
             restartPolicy: Never\n          containers:\n            - name: elt\n              image: {image}\n              \
             args: {args}\n              \
             # where the project and the credentials of the lake come from is yours to say\n              \
             volumeMounts:\n                - {{name: project, mountPath: /project}}\n          volumes:\n            \
             - name: project\n              persistentVolumeClaim: {{claimName: elt-project}}\n",
            times.cron,
            times.zone.name(),
        )
    }
}

/// The same options, without the project's folder, which is another in a container.
fn without_project(mut words: Vec<String>) -> Vec<String> {
    if let Some(at) = words.iter().position(|word| word == "--project-dir") {
        words.drain(at..at + 2);
    }
    words
}
