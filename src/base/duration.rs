//! How long is `10m`?

use std::time::Duration;

/// Reads a stretch of time that is longer than nothing: seconds, as `90`, or with a unit: `200ms`, `30s`, `10m`, `2h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = digits.trim().parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time_are_read() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("90"), Some(90.0));
        assert_eq!(seconds("1.5 m"), Some(90.0));
        assert_eq!((seconds("200ms"), seconds("2h")), (Some(0.2), Some(7200.0)));
        for wrong in ["", "0", "-1", "1d", "soon", "nan", "1e300h"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
