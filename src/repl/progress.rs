//! How far is a query that takes its time?
//!
//! A line on standard error, from two seconds on: rows read, time gone, and how much is left if the files say how many
//! rows they have. It is taken away before anything else is written.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::render::ShowOptions;
use crate::base::grouped;
use crate::lakehouse::{Progress, Seen};

/// For so long nobody wonders.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(200);

/// Cells of the bar.
const BAR: usize = 20;

/// Tells how far a query is.
pub(super) struct Meter {
    progress: Option<Progress>,
    is_wanted: bool,
    begun: Instant,
    drawn: Option<Instant>,
    color: bool,
    width: usize,
}

impl Meter {
    /// Tells of `progress`, if the options want it; of time alone, if there is none.
    pub(super) fn of(progress: Option<Progress>, options: &ShowOptions) -> Self {
        Self {
            progress,
            is_wanted: options.progress,
            begun: Instant::now(),
            drawn: None,
            color: options.color,
            width: options.width.unwrap_or(80),
        }
    }

    /// Tells of this from now on.
    pub(super) fn see(&mut self, progress: Option<Progress>) {
        self.progress = progress;
    }

    /// Until it is worth looking again; for ever, if nobody wants to know.
    pub(super) async fn pause(&self) {
        if !self.is_wanted {
            return std::future::pending().await;
        }
        tokio::time::sleep(EVERY.max(PATIENCE.saturating_sub(self.begun.elapsed()))).await;
    }

    /// Draws the line, if it is time.
    pub(super) fn tick(&mut self) {
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY);
        if !self.is_wanted || !is_due || self.begun.elapsed() < PATIENCE {
            return;
        }
        let seen = self.progress.as_ref().map(Progress::seen);
        let mut line = words(self.begun.elapsed(), seen.as_ref());
        if line.chars().count() >= self.width {
            line = line.chars().take(self.width.saturating_sub(1)).collect();
        }
        let line = if self.color { format!("\x1b[2m{line}\x1b[0m") } else { line };
        eprint!("\r\x1b[2K{line}");
        let _ = std::io::stderr().flush(); // nobody looks then
        self.drawn = Some(Instant::now());
    }

    /// Takes the line away, for good.
    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[2K");
            let _ = std::io::stderr().flush();
        }
        self.is_wanted = false;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `█████░░░ 42 %  1,204,992 of 2,864,000 rows  3 s, about 4 s left`
fn words(elapsed: Duration, seen: Option<&Seen>) -> String {
    let time = |time: Duration| match time.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    };
    let Some(seen) = seen else { return format!("running for {}", time(elapsed)) };
    let rows = |rows: usize| grouped(u64::try_from(rows).unwrap_or(u64::MAX));
    match seen.total.filter(|total| *total > 0 && seen.rows > 0) {
        Some(total) => {
            let read = seen.rows.min(total);
            let percent = read.saturating_mul(100) / total;
            let full = percent * BAR / 100;
            let bar = "█".repeat(full) + &"░".repeat(BAR - full);
            let mut line =
                format!("{bar} {percent} %  {} of {} rows read  {}", rows(read), rows(total), time(elapsed));
            // At the end only what comes after reading is left, and nobody knows how long that takes.
            if (1..98).contains(&percent) {
                let left = elapsed.mul_f64((total - read) as f64 / read as f64);
                line += &format!(", about {} left", time(left));
            }
            line
        }
        None => format!("{} rows read  {}", rows(seen.rows), time(elapsed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_is_left_only_where_that_is_known() {
        let at = |seconds, rows, total| words(Duration::from_secs(seconds), Some(&Seen { rows, total }));
        assert_eq!(
            at(3, 250, Some(1000)),
            "█████░░░░░░░░░░░░░░░ 25 %  250 of 1,000 rows read  3 s, about 9 s left"
        );
        assert_eq!(
            at(130, 1000, Some(1000)),
            "████████████████████ 100 %  1,000 of 1,000 rows read  2 min 10 s"
        );
        assert_eq!(at(3, 12_000, None), "12,000 rows read  3 s");
        assert_eq!(at(3, 0, Some(10)), "0 rows read  3 s");
        assert_eq!(words(Duration::from_secs(7), None), "running for 7 s");
    }
}
