//! What tells another scheduler to run the schedules: a service of systemd, lines of a crontab, jobs of Kubernetes.

use crate::base::World;
use crate::lakehouse::{Catchup, Lakehouse, Schedule};

/// What a unit is written of.
pub(super) struct Unit<'a> {
    pub(super) schedules: &'a [Schedule],
    pub(super) lakehouse: &'a Lakehouse,
    pub(super) world: &'a World,
    /// The image of a container.
    pub(super) image: &'a str,
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

    fn systemd(&self) -> String {
        let root = self.lakehouse.root().display();
        let program = self.program();
        format!(
            "# ~/.config/systemd/user/elt-schedule.service, then: systemctl --user enable --now elt-schedule\n\
             [Unit]\n\
             Description=Schedules of {root}\n\
             After=network-online.target\n\
             Wants=network-online.target\n\
             \n\
             [Service]\n\
             WorkingDirectory={root}\n\
             ExecStart=\"{program}\" --log-format json schedule --health-file %t/elt-schedule.json\n\
             Restart=on-failure\n\
             RestartSec=30\n\
             KillSignal=SIGTERM\n\
             TimeoutStopSec=60\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n"
        )
    }

    fn cron(&self) -> String {
        let quoted = |text: String| format!("'{}'", text.replace('\'', "'\\''").replace('%', "\\%"));
        let root = quoted(self.lakehouse.root().display().to_string());
        let program = quoted(self.program());
        let mut lines = vec![
            "# for `crontab -e`".to_owned(),
            format!("# made for {} on {}", self.world.user, self.world.host),
        ];
        for schedule in self.schedules {
            lines.push(format!("CRON_TZ={}", schedule.times.zone.name()));
            let (cron, name) = (&schedule.times.cron, &schedule.name);
            lines.push(format!("{cron} cd {root} && {program} schedule --run {name}"));
        }
        lines.join("\n")
    }

    fn kubernetes(&self, schedule: &Schedule) -> String {
        let Schedule { name, times, catchup, .. } = schedule;
        let label = name.replace('_', "-").to_lowercase();
        let image = self.image;
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
             args: [\"--project-dir\", \"/project\", \"--log-format\", \"json\", \"schedule\", \"--run\", \"{name}\"]\n              \
             # where the project and the credentials of the lake come from is yours to say\n              \
             volumeMounts:\n                - {{name: project, mountPath: /project}}\n          volumes:\n            \
             - name: project\n              persistentVolumeClaim: {{claimName: elt-project}}\n",
            times.cron,
            times.zone.name(),
        )
    }
}
