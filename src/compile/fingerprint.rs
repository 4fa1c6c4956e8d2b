//! Has this node changed since it was last built?

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::said::said;

/// The SHA-256 of all that decides what a node builds, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of these parts, in this order. Each is counted with its length.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that decides what a node builds, to be compared by what it says and not by how it is spelled.
///
/// It is only worked out if the [`Fingerprint`] is another: reading a query takes longer than taking its words apart.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// The queries; an incremental model has two.
    queries: Arc<[String]>,
    /// All that is not a query.
    rest: Arc<str>,
}

impl Meaning {
    pub(super) fn new(queries: [&str; 2], rest: String) -> Self {
        let queries = queries.into_iter().filter(|query| !query.is_empty()).map(str::to_owned).collect();
        Self { queries, rest: rest.into() }
    }

    /// A text that is the same for everything that says the same; empty for what has no query.
    pub fn mark(&self) -> String {
        if self.queries.is_empty() {
            return String::new();
        }
        let queries: Vec<String> = self.queries.iter().map(|query| said(query)).collect();
        let parts = queries.iter().map(String::as_str).chain([&*self.rest]);
        let mut mark = Fingerprint::of(parts).0;
        mark.truncate(32);
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_eq!(Fingerprint::of(["a", "b"]), Fingerprint::of(["a", "b"]));
        assert_ne!(Fingerprint::of(["ab", ""]), Fingerprint::of(["a", "b"]));
        assert_eq!(Fingerprint::of([]).as_str().len(), 64);
    }
}
