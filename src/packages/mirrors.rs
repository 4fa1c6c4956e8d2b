//! From where are packages had?
//!
//! From the hub and from wherever its documents and the project's own entries point. A company behind a firewall has
//! mirrors of both: another address of the hub, and for the beginnings of addresses others that stand for them.

/// The hub, unless somebody says otherwise.
pub const HUB: &str = "https://hub.getdbt.com/";

/// Where packages are had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrors {
    /// The hub, with a `/` at its end.
    hub: String,
    /// For the beginning of an address, what stands for it.
    instead: Vec<(String, String)>,
}

impl Mirrors {
    /// The hub itself or, if one is given, a mirror of it; and what stands for the beginnings of addresses.
    pub fn new(hub: Option<&str>, instead: Vec<(String, String)>) -> Self {
        let hub = hub.filter(|hub| !hub.trim().is_empty()).unwrap_or(HUB).trim();
        Self { hub: format!("{}/", hub.trim_end_matches('/')), instead }
    }

    /// The address of a document of the hub.
    pub(super) fn document(&self, name: &str) -> String {
        self.address(&format!("{}api/v1/{name}.json", self.hub))
    }

    /// The address to ask instead of `url`: the longest beginning that is known is taken.
    pub(super) fn address(&self, url: &str) -> String {
        let fits = self
            .instead
            .iter()
            .filter_map(|(from, to)| Some((from.len(), to, url.strip_prefix(from.as_str())?)));
        match fits.max_by_key(|(length, ..)| *length) {
            Some((_, to, rest)) => format!("{to}{rest}"),
            None => url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_is_replaced() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let mirrors = Mirrors::new(
            Some("http://mirror/hub"),
            vec![
                pair("https://github.com/", "https://m/gh/"),
                pair("https://github.com/acme/", "ssh://git@acme/"),
            ],
        );
        assert_eq!(
            mirrors.document("dbt-labs/dbt_utils"),
            "http://mirror/hub/api/v1/dbt-labs/dbt_utils.json"
        );
        assert_eq!(mirrors.address("https://github.com/a/b.git"), "https://m/gh/a/b.git");
        assert_eq!(mirrors.address("https://github.com/acme/b"), "ssh://git@acme/b");
        assert_eq!(mirrors.address("https://else/x"), "https://else/x");
        assert_eq!(Mirrors::new(Some(" "), Vec::new()).document("index"), format!("{HUB}api/v1/index.json"));
    }
}
