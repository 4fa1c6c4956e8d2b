//! Which files of a place are meant?

use std::path::Path;

use super::LandingError;
use super::fetch::is_url;

/// Returns the patterns that mean `files` of the folder `from`, or those of its files that are like `pattern`; `from`
/// itself if neither is given.
///
/// In a pattern `{a,b}` means either. A relative `from` starts at the folder in which elt runs.
///
/// # Errors
/// [`LandingError::Unreadable`] if there is no such folder any more; [`LandingError::BadBraces`].
pub fn within(from: &str, files: &[String], pattern: Option<&str>) -> Result<Vec<String>, LandingError> {
    let place = match is_url(from) {
        true => from.to_owned(),
        false => {
            let absolute = std::path::absolute(from)
                .map_err(|source| LandingError::Unreadable { path: from.to_owned(), source })?;
            absolute.to_string_lossy().into_owned()
        }
    };
    if files.is_empty() && pattern.is_none() {
        return Ok(vec![place]);
    }
    // A folder of this name is this folder, whatever letters it has; otherwise it may be a pattern itself.
    let literal = Path::new(&place).is_dir();
    let joined = |escaped: bool, name: &str| {
        let place = if escaped { glob::Pattern::escape(&place) } else { place.clone() };
        format!("{}/{name}", place.trim_end_matches('/'))
    };
    match pattern {
        Some(pattern) => {
            let names = alternatives(pattern)?;
            let several = names.len() > 1;
            let name = |name: &String| if several { as_wildcard(name) } else { name.clone() };
            Ok(names.iter().map(|one| joined(literal, &name(one))).collect())
        }
        None => Ok(files.iter().map(|name| joined(false, name)).collect()),
    }
}

/// The same name as a pattern, so that it need not be there: one of several is enough.
fn as_wildcard(name: &str) -> String {
    let first = name.find(|letter: char| letter.is_ascii_alphanumeric());
    match first.filter(|_| !name.contains(['*', '?', '['])) {
        Some(at) => format!("{}[{}]{}", &name[..at], &name[at..=at], &name[at + 1..]),
        None => name.to_owned(),
    }
}

/// What a pattern with braces means: `*.{csv,tsv}` is `*.csv` and `*.tsv`.
fn alternatives(pattern: &str) -> Result<Vec<String>, LandingError> {
    let bad = || LandingError::BadBraces { pattern: pattern.to_owned() };
    let Some(open) = pattern.find('{') else {
        return if pattern.contains('}') { Err(bad()) } else { Ok(vec![pattern.to_owned()]) };
    };
    let (mut depth, mut parts, mut close, mut begin) = (0, Vec::new(), None, open + 1);
    for (at, letter) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                parts.push(&pattern[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            parts.push(&pattern[begin..at]);
            close = Some(at);
            break;
        }
    }
    let close = close.ok_or_else(bad)?;
    let mut all = Vec::new();
    for part in parts {
        // 1,000 is more than anybody writes, and less than braces in braces can make.
        if all.len() > 1000 {
            return Err(bad());
        }
        all.extend(alternatives(&format!("{}{part}{}", &pattern[..open], &pattern[close + 1..]))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_patterns_are_those_of_the_folder() {
        let meant = |from: &str, files: &[&str], pattern: Option<&str>| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            within(from, &files, pattern).unwrap().join(" ")
        };
        assert_eq!(meant("/in", &[], None), "/in");
        assert_eq!(meant("s3://b/in/", &["a.csv", "b.csv"], None), "s3://b/in/a.csv s3://b/in/b.csv");
        assert_eq!(meant("/in/*", &[], Some("*.{csv,t{s,x}v}")), "/in/*/*.csv /in/*/*.tsv /in/*/*.txv");
        assert_eq!(meant("/in", &[], Some("{a,b}.csv")), "/in/[a].csv /in/[b].csv");
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a[1]");
        std::fs::create_dir(&odd).unwrap();
        let odd = odd.to_str().unwrap();
        assert_eq!(meant(odd, &[], Some("*")), format!("{}/*", glob::Pattern::escape(odd)));
        assert_eq!(meant(odd, &["b"], None), format!("{odd}/b"));
        for pattern in ["{a", "a}", "a{b}}"] {
            assert!(matches!(alternatives(pattern), Err(LandingError::BadBraces { .. })), "{pattern}");
        }
    }
}
