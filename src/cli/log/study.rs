//! What do programs read of commands that make nothing?
//!
//! Of `ls`, `show`, `compile`, `docs generate` and `source freshness`: what was asked for, as events of dbt.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::lines::{dotted, node_info};
use super::{Log, Said};
use crate::cli::args::Level;
use crate::lakehouse::{Age, INLINE};

impl Log {
    /// What the project holds.
    pub(in crate::cli) fn found(&self, found: &str) {
        let data = json!({"stat_line": found});
        let message = format!("Found {found}");
        self.say(&Said { name: "FoundStats", code: "W006", level: Level::Info, message, data });
    }

    /// How much is done at once, and to how many nodes.
    pub(in crate::cli) fn concurrency(&self, threads: usize, target: &str, nodes: usize) {
        let message = format!("Concurrency: {threads} threads (target='{target}')");
        let data = json!({"num_threads": threads, "target_name": target, "node_count": nodes});
        self.say(&Said { name: "ConcurrencyLine", code: "Q027", level: Level::Info, message, data });
    }

    /// The rows of a node that `show` was asked for: `preview` is what is laid out, or JSON of them.
    pub(in crate::cli) fn shown(&self, (name, id): (&str, &str), preview: &str, is_json: bool) {
        let is_inline = name == INLINE;
        let message = match (is_json, is_inline) {
            (true, _) => in_json(name, preview),
            (false, true) => format!("Previewing inline node:\n{preview}"),
            (false, false) => format!("Previewing node '{name}':\n{preview}"),
        };
        let data = json!({
            "node_name": name, "unique_id": id, "preview": preview, "is_inline": is_inline,
            "output_format": if is_json { "json" } else { "text" }, "quiet": false,
        });
        self.always(&Said { name: "ShowNode", code: "Q041", level: Level::Info, message, data });
    }

    /// The SQL of a node that `compile` was asked for.
    pub(in crate::cli) fn compiled(&self, name: &str, id: &str, sql: &str) {
        let is_inline = name == INLINE;
        let message = match is_inline {
            true => format!("Compiled inline node is:\n{sql}"),
            false => format!("Compiled node '{name}' is:\n{sql}"),
        };
        let data = json!({
            "node_name": name, "unique_id": id, "compiled": sql, "is_inline": is_inline, "output_format": "text",
            "quiet": false,
        });
        self.always(&Said { name: "CompiledNode", code: "Q042", level: Level::Info, message, data });
    }

    /// Where the artifact of a command is.
    pub(in crate::cli) fn written(&self, name: &'static str, path: &Path) {
        let (code, what) = match name {
            "ParsePerfInfoPath" => ("I010", "Performance info:"),
            _ => ("E042", "Catalog written to"),
        };
        let message = format!("{what} {}", path.display());
        let data = json!({"path": path});
        self.say(&Said { name, code, level: Level::Info, message, data });
    }

    /// That the catalog is made.
    pub(in crate::cli) fn building_catalog(&self) {
        let message = "Building catalog".to_owned();
        self.say(&Said {
            name: "BuildingCatalog",
            code: "E044",
            level: Level::Info,
            message,
            data: json!({}),
        });
    }

    /// That there will be no catalog, as something could not be compiled.
    pub(in crate::cli) fn cannot_document(&self) {
        let message = "compile failed, cannot generate docs".to_owned();
        let data = json!({});
        self.say(&Said { name: "CannotGenerateDocs", code: "E043", level: Level::Info, message, data });
    }

    /// How old the rows of sources are.
    pub(in crate::cli) fn ages(&self, ages: &[Age], took: Duration) {
        let total = ages.len();
        for (at, age) in ages.iter().enumerate() {
            self.age(age, at + 1, total);
        }
        let stat_line = format!("{total} source{}", if total == 1 { "" } else { "s" });
        let seconds = took.as_secs_f64();
        let execution = super::lines::execution(seconds);
        let message = format!("Finished running {stat_line}{execution} ({seconds:.2}s).");
        let data = json!({"stat_line": stat_line, "execution": execution, "execution_time": seconds});
        self.say(&Said { name: "FinishedRunningStats", code: "E047", level: Level::Info, message, data });
        for age in ages {
            if let Some(why) = &age.because {
                let message = format!("  {why}");
                let data = json!({"msg": why, "node_info": node_info(&age.facts, "None", None, None)});
                self.say(&Said { name: "RunResultError", code: "Z024", level: Level::Error, message, data });
            }
        }
        let message = "Done.".to_owned();
        self.say(&Said {
            name: "FreshnessCheckComplete",
            code: "Q003",
            level: Level::Info,
            message,
            data: json!({}),
        });
    }

    fn age(&self, age: &Age, index: usize, total: usize) {
        let description = format!("freshness of {}", age.name);
        let node = node_info(&age.facts, "started", Some(age.began), None);
        let message = dotted(index, total, &format!("START {description}"), "RUN", None);
        let data = json!({"description": description, "index": index, "total": total, "node_info": node});
        self.say(&Said { name: "LogStartLine", code: "Q011", level: Level::Info, message, data });
        let (level, word, end) = match age.status {
            "pass" => (Level::Info, "PASS", "PASS"),
            "warn" => (Level::Warn, "WARN", "WARN"),
            "error" => (Level::Error, "ERROR STALE", "ERROR STALE"),
            _ => (Level::Error, "ERROR", "ERROR"),
        };
        let seconds = age.took.as_secs_f64();
        let message = dotted(index, total, &format!("{word} {description}"), end, Some(seconds));
        let ended = age.began + age.took;
        let node = node_info(&age.facts, age.status, Some(age.began), Some(ended));
        let (source, table) = age.name.split_once('.').unwrap_or(("", &age.name));
        let data = json!({
            "execution_time": seconds, "index": index, "node_info": node, "source_name": source,
            "status": age.status, "table_name": table, "total": total,
        });
        self.say(&Said { name: "LogFreshnessResult", code: "Q018", level, message, data });
    }
}

/// Rows as `show --output json` writes them: below the name of what was asked for, if it has one.
pub(in crate::cli) fn in_json(name: &str, rows: &str) -> String {
    let rows: Value = serde_json::from_str(rows).unwrap_or_default();
    let whole = match name == INLINE {
        true => json!({"show": rows}),
        false => json!({"node": name, "show": rows}),
    };
    serde_json::to_string_pretty(&whole).expect("rows are plain data")
}
