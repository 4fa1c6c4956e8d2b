//! How long are the reports of runs kept?
//!
//! `elt.yml`, beside the project, may say so; all are kept if it does not:
//!
//! ```yaml
//! runs:
//!   keep: 90 days
//! ```

use super::users::unknown;
use super::yaml::Yaml;
use crate::base::{Diagnostic, SourceText};

/// Reads from the text of an `elt.yml` for how many days reports of runs are kept; nothing means for ever.
///
/// # Errors
/// Something under `runs:` is not known, or is no number of days, and its place.
pub fn read_run_retention(source: &SourceText) -> Result<Option<u32>, Diagnostic> {
    let yaml = Yaml::parse_own(source)?;
    let mut days = None;
    for entry in yaml.get("runs").map(Yaml::entries).unwrap_or_default() {
        if entry.key != "keep" {
            return Err(unknown(&entry.key, &entry.key_at, &["keep"]));
        }
        let text = entry.value.text().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = match words[..] {
            [number, "day" | "days"] => number.parse::<u32>().ok().filter(|days| *days > 0),
            _ => None,
        };
        if number.is_none() {
            let what = format!("`keep: {text}` is no number of days");
            let diagnostic = Diagnostic::error("elt::runs::keep", what).at(&entry.key_at, "here");
            return Err(diagnostic.help("write it as `keep: 90 days`; without it, all are kept"));
        }
        days = number;
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_days_is_read() {
        let read = |text: &str| {
            let read = read_run_retention(&SourceText::new("elt.yml", text));
            read.map_err(|error| error.message().to_owned())
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("runs: {keep: 90 days}"), Ok(Some(90)));
        assert_eq!(read("runs:\n  keep: 1 day\n"), Ok(Some(1)));
        assert_eq!(read("runs: {keep: 0 days}"), Err("`keep: 0 days` is no number of days".to_owned()));
        assert_eq!(read("runs: {keep: soon}"), Err("`keep: soon` is no number of days".to_owned()));
        assert_eq!(read("runs: {kep: 1 day}"), Err("`kep` is not known in elt.yml".to_owned()));
    }
}
