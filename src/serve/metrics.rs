//! How is the server doing, in numbers?
//!
//! In Prometheus' text format. Names end as its users expect: `_total` counts up, seconds and bytes are seconds and bytes.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;

/// The upper bounds of the times that are told apart, in milliseconds.
const BOUNDS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 300_000];

/// What is counted while the server runs.
pub(super) struct Metrics {
    begun: Instant,
    /// By how it ended: told to the end, failed, refused, given up.
    ended: [AtomicU64; 4],
    times: [AtomicU64; BOUNDS.len() + 1],
    /// Microseconds of all statements together.
    time: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Succeeded,
    Failed,
    Refused,
    Cancelled,
}

impl Ended {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Succeeded, "succeeded"),
        (Self::Failed, "failed"),
        (Self::Refused, "refused"),
        (Self::Cancelled, "cancelled"),
    ];

    /// How a statement ended that was answered with a status.
    pub(super) fn of(code: tonic::Code) -> Self {
        match code {
            tonic::Code::Ok => Self::Succeeded,
            tonic::Code::Cancelled | tonic::Code::DeadlineExceeded => Self::Cancelled,
            tonic::Code::PermissionDenied | tonic::Code::ResourceExhausted | tonic::Code::Unavailable => {
                Self::Refused
            }
            _ => Self::Failed,
        }
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            ended: Default::default(),
            times: Default::default(),
            time: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// A statement has ended that took so long.
    pub(super) fn ended(&self, how: Ended, took: Duration) {
        self.ended[how as usize].fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| millis <= *bound).unwrap_or(BOUNDS.len());
        self.times[bucket].fetch_add(1, Ordering::Relaxed);
        self.time.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// So many rows and bytes were sent.
    pub(super) fn sent(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Endpoint {
    /// All numbers, as Prometheus reads them. `release` is the newest, if it could be read.
    pub(super) fn told_metrics(&self, release: Option<u64>) -> String {
        let metrics = &self.metrics;
        let mut text = String::new();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let head = |text: &mut String, name: &str, kind: &str, about: &str| {
            let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
        };
        head(&mut text, "elt_statements_total", "counter", "Statements that have ended, by how.");
        for (how, word) in Ended::ALL {
            let count = number(&metrics.ended[how as usize]);
            let _ = writeln!(text, "elt_statements_total{{outcome=\"{word}\"}} {count}");
        }
        head(&mut text, "elt_statement_seconds", "histogram", "How long statements took, to their last row.");
        let mut so_far = 0;
        for (bound, counter) in BOUNDS.iter().zip(&metrics.times) {
            so_far += number(counter);
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            let seconds = *bound as f64 / 1000.0;
            let _ = writeln!(text, "elt_statement_seconds_bucket{{le=\"{seconds}\"}} {so_far}");
        }
        so_far += number(&metrics.times[BOUNDS.len()]);
        #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries")]
        let sum = number(&metrics.time) as f64 / 1e6;
        let _ = writeln!(text, "elt_statement_seconds_bucket{{le=\"+Inf\"}} {so_far}");
        let _ = writeln!(text, "elt_statement_seconds_sum {sum}\nelt_statement_seconds_count {so_far}");
        let (running, waiting, idle) = self.workers.at_work();
        let mut tell = |name: &str, kind: &str, about: &str, value: u64| {
            head(&mut text, name, kind, about);
            let _ = writeln!(text, "{name} {value}");
        };
        tell("elt_rows_sent_total", "counter", "Rows that were sent.", number(&metrics.rows));
        tell("elt_bytes_sent_total", "counter", "Bytes of rows that were sent.", number(&metrics.bytes));
        tell(
            "elt_logins_refused_total",
            "counter",
            "Calls of who was not let in.",
            self.clients.turned_away(),
        );
        tell("elt_statements_running", "gauge", "Statements that run.", running as u64);
        tell("elt_statements_waiting", "gauge", "Statements that wait for their turn.", waiting as u64);
        tell(
            "elt_statements_idle",
            "gauge",
            "Statements that rest because nobody reads their rows.",
            idle as u64,
        );
        tell("elt_sessions", "gauge", "Sessions that are remembered.", self.clients.count() as u64);
        let memory = self.lakehouse.tables().runtime().memory_pool.reserved();
        tell("elt_query_memory_bytes", "gauge", "Memory that running statements have taken.", memory as u64);
        let (asked, found, bytes) = self.cache.told();
        tell(
            "elt_cache_lookups_total",
            "counter",
            "Queries that were looked for among the answers that are kept.",
            asked,
        );
        tell("elt_cache_hits_total", "counter", "Queries whose answer was kept.", found);
        tell("elt_cache_bytes", "gauge", "Bytes of answers that are kept.", bytes as u64);
        if let Some(release) = release {
            tell("elt_release", "gauge", "The newest release.", release);
        }
        if let Some(bytes) = resident() {
            tell("process_resident_memory_bytes", "gauge", "Memory of the process.", bytes);
        }
        tell(
            "elt_uptime_seconds",
            "gauge",
            "Seconds since the server began.",
            metrics.begun.elapsed().as_secs(),
        );
        text
    }
}

/// Bytes of memory that the process takes; nothing where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
