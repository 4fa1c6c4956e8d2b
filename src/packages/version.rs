//! Which versions of a package will do?
//!
//! Versions are semantic versions; a [`Bound`] is one of the texts under `version:`, such as `>=0.8.0`. Of several
//! bounds all have to hold. As in dbt, a version before a release is only taken where it is asked for, and
//! `<2.0.0` does not mean `2.0.0-rc1`.

use std::cmp::Ordering;
use std::fmt;

use semver::Version;

/// A bound of a version: `1.1.1`, `=1.1.1`, `>0.8.0`, `>=0.8.0`, `<2.0.0`, `<=2.0.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    relation: Relation,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Exactly,
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Reads a version, with or without a `v` before it; `1.0.0rc1` is read as `1.0.0-rc1`.
pub(super) fn read(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches('v');
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let (mut dots, mut end) = (0, text.len());
    for (at, letter) in text.char_indices() {
        match letter {
            '.' => dots += 1,
            letter if letter.is_ascii_digit() => {}
            _ => {
                end = at;
                break;
            }
        }
    }
    (dots == 2 && end < text.len())
        .then(|| Version::parse(&format!("{}-{}", &text[..end], &text[end..])).ok())?
}

impl Bound {
    /// Reads a bound; nothing if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        const RELATIONS: [(&str, Relation); 6] = [
            (">=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            ("==", Relation::Exactly),
            ("=", Relation::Exactly),
            (">", Relation::Above),
            ("<", Relation::Below),
        ];
        let text = text.trim();
        let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, text.strip_prefix(sign)?)));
        let (relation, rest) = found.unwrap_or((Relation::Exactly, text));
        Some(Self { relation, version: read(rest)? })
    }

    /// Whether a version is within it.
    pub(super) fn holds(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        let base = |version: &Version| (version.major, version.minor, version.patch);
        let is_just_before =
            !version.pre.is_empty() && self.version.pre.is_empty() && base(version) == base(&self.version);
        match self.relation {
            Relation::Exactly => order == Ordering::Equal,
            Relation::Above => order == Ordering::Greater,
            Relation::AtLeast => order != Ordering::Less,
            Relation::AtMost => order != Ordering::Greater,
            Relation::Below => order == Ordering::Less && !is_just_before,
        }
    }

    /// Whether it names a version before a release itself.
    pub(super) fn is_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.relation {
            Relation::Exactly => "=",
            Relation::Above => ">",
            Relation::AtLeast => ">=",
            Relation::Below => "<",
            Relation::AtMost => "<=",
        };
        write!(f, "{sign}{}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(bound: &str, version: &str) -> bool {
        Bound::read(bound).unwrap().holds(&read(version).unwrap())
    }

    #[test]
    fn bounds_hold_as_in_dbt() {
        assert!(holds("1.1.1", "v1.1.1") && holds("=1.1.1", "1.1.1+build") && !holds("1.1.1", "1.1.2"));
        assert!(holds(">=0.8.0", "0.8.0") && !holds(">0.8.0", "0.8.0") && holds("<=2.0.0", "2.0.0"));
        assert!(holds("<2.0.0", "1.10.0") && !holds("<1.9.0", "1.10.0"));
        assert!(
            !holds("<2.0.0", "2.0.0-rc1")
                && holds("<=2.0.0", "2.0.0-rc1")
                && holds("<2.0.0-rc2", "2.0.0-rc1")
        );
        assert!(holds(">=1.0.0rc1", "1.0.0-rc2") && !holds(">=1.0.0", "1.0.0-rc2"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        assert_eq!(Bound::read("latest"), None);
        assert_eq!(Bound::read(">= 1.0"), None);
        assert_eq!(read("1.2"), None);
        assert_eq!(read("1.2.x").map(|version| version.to_string()), None);
        assert_eq!(Bound::read(">= 1.0.0b1").unwrap().to_string(), ">=1.0.0-b1");
    }
}
