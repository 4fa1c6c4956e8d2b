//! How are builds doing, in numbers?
//!
//! From the reports in the lake, so that it makes no difference which process built. In Prometheus' text format, below what the
//! server tells of itself.

use std::fmt::Write as _;

use super::endpoint::Endpoint;

impl Endpoint {
    /// What the last run came to, and the last run of each schedule; nothing if there was none, or the lake cannot be read.
    pub(super) async fn told_runs(&self) -> String {
        let mut seen = self.runs.lock().await;
        if let Err(error) = self.lakehouse.look_at_runs(&mut seen).await {
            tracing::warn!("what runs came to is not told: {error}");
        }
        let mut text = String::new();
        let head = |text: &mut String, name: &str, about: &str| {
            let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} gauge");
        };
        if let Some(last) = &seen.last {
            let command = escaped(&last.command);
            head(&mut text, "elt_last_run_success", "Whether the last run went well.");
            let is_well = u8::from(last.status == "success");
            let _ = writeln!(text, "elt_last_run_success{{command=\"{command}\"}} {is_well}");
            head(&mut text, "elt_last_run_info", "How the last run ended.");
            let status = escaped(&last.status);
            let _ = writeln!(text, "elt_last_run_info{{command=\"{command}\",status=\"{status}\"}} 1");
            if let Some(began) = last.began {
                head(&mut text, "elt_last_run_timestamp_seconds", "When the last run began.");
                let _ = writeln!(text, "elt_last_run_timestamp_seconds {}", began.timestamp());
            }
            head(&mut text, "elt_last_run_duration_seconds", "How long the last run took.");
            let _ = writeln!(text, "elt_last_run_duration_seconds {}", last.seconds);
            head(&mut text, "elt_last_run_nodes", "Nodes of the last run, by how they ended.");
            for (status, count) in &last.nodes {
                let _ = writeln!(text, "elt_last_run_nodes{{status=\"{}\"}} {count}", escaped(status));
            }
        }
        if !seen.schedules.is_empty() {
            head(&mut text, "elt_schedule_last_success", "Whether the last run of a schedule went well.");
            for (name, last) in &seen.schedules {
                let is_well = u8::from(last.is_well());
                let _ =
                    writeln!(text, "elt_schedule_last_success{{schedule=\"{}\"}} {is_well}", escaped(name));
            }
            head(
                &mut text,
                "elt_schedule_last_run_timestamp_seconds",
                "The time that the last run of a schedule was for.",
            );
            for (name, last) in &seen.schedules {
                let (name, at) = (escaped(name), last.at.timestamp());
                let _ = writeln!(text, "elt_schedule_last_run_timestamp_seconds{{schedule=\"{name}\"}} {at}");
            }
        }
        text
    }
}

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
