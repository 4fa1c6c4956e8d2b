//! Where in the lake is everything?
//!
//! ```text
//! tables/<schema>/<table>/            a Delta table: data files and `_delta_log/`
//! raw/<schema>/<table>/<load>/<file>  raw files, byte for byte as they came
//! _elt/prepared/<n>.json              what release n is going to be, written before any table moves
//! _elt/releases/<n>.json              release n, sealed: what readers see
//! _elt/runs/<run>.json                what a build did
//! _elt/running/<run>.json             what a build has done so far that has not come to its end
//! _elt/probe                          shows that the store keeps the first of two writers (not on a local disk)
//! _elt/lock                           who is writing (on a local disk)
//! _elt/schedules.lock                 who keeps the schedules (on a local disk)
//! _elt/replay.lock                    who replays a run (on a local disk)
//! ```

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::base::{ReleaseNumber, TableName, TableVersion};

/// The folder of sealed releases.
pub const RELEASES: &str = "_elt/releases";
/// The folder of prepared releases.
pub const PREPARED: &str = "_elt/prepared";
/// The folder of reports of runs.
pub const RUNS: &str = "_elt/runs";
/// The folder of what runs have done so far that have not come to their end.
pub const RUNNING: &str = "_elt/running";
/// The file that a writer locks, on a local disk.
pub const LOCK: &str = "_elt/lock";

/// The file that whoever keeps the schedules locks, on a local disk.
pub const SCHEDULES_LOCK: &str = "_elt/schedules.lock";

/// The file that whoever replays a run locks, on a local disk.
pub const REPLAY_LOCK: &str = "_elt/replay.lock";

/// The document that is written to see whether a store keeps the first of two writers.
pub const PROBE: &str = "_elt/probe";

/// The root of a Delta table. One outside the lake is opened as if it were all of a lake.
pub fn table(name: &TableName) -> Path {
    if name.is_outside() {
        return Path::default();
    }
    Path::from(format!("tables/{}/{}", name.schema(), name.table()))
}

/// A Delta table's log.
pub fn log(name: &TableName) -> Path {
    table(name).join("_delta_log")
}

/// One entry of a Delta table's log.
pub fn log_entry(name: &TableName, version: TableVersion) -> Path {
    log(name).join(format!("{:020}.json", version.0))
}

/// The checkpoint of a Delta table at a version.
pub fn checkpoint(name: &TableName, version: TableVersion) -> Path {
    log(name).join(format!("{:020}.checkpoint.parquet", version.0))
}

/// The version of a checkpoint that is one file.
pub fn checkpoint_of(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".checkpoint.parquet")?.parse().ok()
}

/// `month=2013-01-01` or `city=New%20York`: the folder of the rows with this value in a column, as Hive has it, and Spark
/// and delta-rs after it.
pub fn partition(column: &str, value: Option<&str>) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    let escaped = |text| utf8_percent_encode(text, PLAIN).to_string();
    format!("{}={}", escaped(column), value.map_or("__HIVE_DEFAULT_PARTITION__".to_owned(), escaped))
}

/// Where one raw file is kept, by the load that brought it.
pub fn raw(name: &TableName, load: &str, file: &str) -> Path {
    Path::from(format!("raw/{}/{}/{load}/{file}", name.schema(), name.table()))
}

/// The document that announces a release.
pub fn prepared(number: ReleaseNumber) -> Path {
    Path::from(format!("{PREPARED}/{:020}.json", number.0))
}

/// The document that is a release.
pub fn release(number: ReleaseNumber) -> Path {
    Path::from(format!("{RELEASES}/{:020}.json", number.0))
}

/// The report of a run.
pub fn run(id: &str) -> Path {
    Path::from(format!("{RUNS}/{id}.json"))
}

/// What a run has done so far.
pub fn running(id: &str) -> Path {
    Path::from(format!("{RUNNING}/{id}.json"))
}

/// The version that a Delta log's file, an entry or a checkpoint of any kind, belongs to.
pub fn version_of(path: &Path) -> Option<u64> {
    let (digits, rest) = path.filename()?.split_at_checked(20)?;
    let is_known = rest == ".json" || rest.starts_with(".checkpoint.");
    is_known.then(|| digits.parse().ok()).flatten()
}

/// The number in the name of a release, prepared release or log entry.
pub fn number_of(path: &Path) -> Option<u64> {
    number_in(path.filename()?)
}

/// The number that such a name says.
pub fn number_in(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok()
}
