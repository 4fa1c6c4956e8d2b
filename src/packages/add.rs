//! How does a package get into `packages.yml`?
//!
//! As lines, so that everything else in the file stays as it was written.

use super::error::PackageError;
use super::lock::scalar;

/// Where a package that is added is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The hub.
    #[default]
    Hub,
    /// A repository.
    Git,
    /// A folder of this machine.
    Local,
}

/// A package to add to the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPackage {
    /// Its name in the hub, its address, or its folder.
    pub name: String,
    /// Its version or revision.
    pub version: Option<String>,
    /// Where it is from.
    pub origin: Origin,
}

impl NewPackage {
    /// Reads `dbt-labs/dbt_utils@1.1.1`, `https://host/a/b.git@main` or `../tools`.
    pub fn read(text: &str, origin: Origin) -> Self {
        let parts = text.rsplit_once('@').filter(|(name, version)| {
            !name.is_empty()
                && !version.is_empty()
                && !version.contains([':', '/'])
                && origin != Origin::Local
        });
        let (name, version) = parts.map_or((text, None), |(name, version)| (name, Some(version.to_owned())));
        Self { name: name.to_owned(), version, origin }
    }

    /// The lines of its entry, the first with the `-`.
    fn lines(&self, indent: &str) -> Vec<String> {
        let (key, version) = match self.origin {
            Origin::Hub => ("package", "version"),
            Origin::Git => ("git", "revision"),
            Origin::Local => ("local", ""),
        };
        let mut lines = vec![format!("{indent}- {key}: {}", scalar(&self.name))];
        if let Some(text) = self.version.as_ref().filter(|_| !version.is_empty()) {
            let bounds: Vec<String> = text.split(',').map(|one| scalar(one.trim())).collect();
            let written =
                if bounds.len() == 1 { bounds[0].clone() } else { format!("[{}]", bounds.join(", ")) };
            lines.push(format!("{indent}  {version}: {written}"));
        }
        lines
    }
}

/// The text of a list with one package more; an entry for the same package goes. Says whether one went.
///
/// # Errors
/// [`PackageError::CannotAdd`] if the list has a form that lines cannot be added to.
pub(super) fn added(text: &str, file: &str, package: &NewPackage) -> Result<(String, bool), PackageError> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let cannot = |because: &str| PackageError::CannotAdd {
        file: file.to_owned(),
        because: because.to_owned(),
        entry: package.lines("").join("; "),
    };
    let head = lines.iter().position(|line| line.starts_with("packages:"));
    let Some(head) = head else {
        if !lines.is_empty() && lines.last().is_some_and(|line| !line.trim().is_empty()) {
            lines.push(String::new());
        }
        lines.push("packages:".to_owned());
        lines.extend(package.lines("  "));
        return Ok((joined(&lines), false));
    };
    let rest = lines[head]["packages:".len()..].split('#').next().unwrap_or_default().trim();
    match rest {
        "" => {}
        "[]" | "null" | "~" => lines[head] = "packages:".to_owned(),
        _ => return Err(cannot("its list is written on one line")),
    }
    let is_after = |line: &String| {
        line.starts_with(|first: char| !first.is_whitespace() && first != '#' && first != '-')
            && !line.is_empty()
    };
    let end = lines[head + 1..].iter().position(is_after).map_or(lines.len(), |at| head + 1 + at);
    let starts: Vec<usize> = (head + 1..end).filter(|at| lines[*at].trim_start().starts_with("- ")).collect();
    let indent_of = |line: &str| line[..line.len() - line.trim_start().len()].to_owned();
    let indent = starts.first().map_or_else(|| "  ".to_owned(), |at| indent_of(&lines[*at]));
    let starts: Vec<usize> = starts.into_iter().filter(|at| indent_of(&lines[*at]) == indent).collect();
    // An entry ends with its last line that is indented below its dash; comments between entries belong to none.
    let ends_at = |start: usize| {
        let next = starts.iter().copied().find(|at| *at > start).unwrap_or(end);
        let is_its = |at: &usize| {
            let line = &lines[*at];
            !line.trim().is_empty() && indent_of(line).len() > indent.len()
        };
        (start + 1..next).rev().find(is_its).map_or(start + 1, |at| at + 1)
    };
    let last = starts.last().map_or(head + 1, |start| ends_at(*start));
    let same: Vec<(usize, usize)> = starts
        .iter()
        .map(|start| (*start, ends_at(*start)))
        .filter(|(start, end)| {
            lines[*start..*end].iter().any(|line| names(line) == Some(short(&package.name)))
        })
        .collect();
    let mut written: Vec<String> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if at == last {
            written.extend(package.lines(&indent));
        }
        if !same.iter().any(|(start, end)| (*start..*end).contains(&at)) {
            written.push(line.clone());
        }
    }
    if last == lines.len() {
        written.extend(package.lines(&indent));
    }
    Ok((joined(&written), !same.is_empty()))
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The short name of the package that a line names, if it names one.
fn names(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ").trim();
    let value = ["package:", "git:", "local:", "tarball:"].iter().find_map(|key| line.strip_prefix(key))?;
    Some(short(value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\''])))
}

/// The last part of a name or an address: of one package, both are the same.
fn short(name: &str) -> String {
    let bare = name.trim_end_matches('/').trim_end_matches(".git");
    bare.rsplit(['/', ':']).next().unwrap_or(bare).replace('-', "_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, package: &str, origin: Origin) -> String {
        added(text, "packages.yml", &NewPackage::read(package, origin)).unwrap().0
    }

    #[test]
    fn entries_are_added_and_replaced_and_the_rest_stays() {
        let first = with("", "dbt-labs/dbt_utils@1.1.1", Origin::Hub);
        assert_eq!(first, "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.1.1\n");
        let text = "# ours\npackages:\n- package: dbt-labs/dbt_utils # tools\n  version: 1.0.0\n\n# dates\n- local: ../dates\n\nprojects: []\n";
        assert_eq!(
            with(text, "https://github.com/dbt-labs/dbt-utils.git@main", Origin::Git),
            "# ours\npackages:\n\n# dates\n- local: ../dates\n- git: https://github.com/dbt-labs/dbt-utils.git\n  revision: main\n\nprojects: []\n"
        );
        assert_eq!(
            with("packages: []\n", "a/b@>=1.0.0,<2.0.0", Origin::Hub),
            "packages:\n  - package: a/b\n    version: ['>=1.0.0', '<2.0.0']\n"
        );
        assert_eq!(with("", "../tools@home", Origin::Local), "packages:\n  - local: ../tools@home\n");
    }

    #[test]
    fn a_list_on_one_line_is_refused() {
        let told =
            added("packages: [{local: x}]\n", "packages.yml", &NewPackage::read("a/b@1.0.0", Origin::Hub));
        assert_eq!(
            told.unwrap_err().to_string(),
            "packages.yml cannot be added to: its list is written on one line"
        );
    }

    #[test]
    fn a_user_in_an_address_is_no_version() {
        let package = NewPackage::read("git@host:a/b.git", Origin::Git);
        assert_eq!((package.name.as_str(), package.version), ("git@host:a/b.git", None));
    }
}
