//! What does the hub have of a package?
//!
//! Two documents: `api/v1/OWNER/NAME.json` with every version of a package, and `api/v1/index.json` with the names of
//! all, which is only asked for to guess what a wrong name meant. A mirror serves the same files.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::Value;

use super::error::PackageError;
use super::mirrors::Mirrors;
use super::version::{self, Bound};
use super::web::Web;
use crate::base::nearest;

/// A package of the hub.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Its name, if it has moved to another.
    pub(super) moved_to: Option<String>,
    /// Its versions, by their order.
    pub(super) versions: BTreeMap<Version, Edition>,
}

/// One version of a package.
#[derive(Clone, Debug)]
pub(super) struct Edition {
    /// The version as the hub writes it.
    pub(super) written: String,
    /// The name that the package gives itself.
    pub(super) name: String,
    /// Where its archive is.
    pub(super) tarball: String,
    /// What it stands on, as `packages.yml` would have it.
    pub(super) packages: Value,
    /// The versions of dbt that it works with.
    pub(super) requires: Vec<Bound>,
}

impl Edition {
    /// Whether it works with this version of dbt.
    pub(super) fn works_with(&self, dbt: &Version) -> bool {
        self.requires.iter().all(|bound| bound.holds(dbt))
    }
}

/// Asks the hub for a package.
pub(super) async fn offer(web: &Web, mirrors: &Mirrors, package: &str) -> Result<Offer, PackageError> {
    let url = mirrors.document(package);
    let Some(document) = web.document(&url).await? else {
        return Err(not_found(web, mirrors, package, url).await);
    };
    read(&document).ok_or_else(|| PackageError::Unreachable {
        url,
        because: "the answer has no `versions`, as the hub's documents have".to_owned(),
    })
}

async fn not_found(web: &Web, mirrors: &Mirrors, package: &str, url: String) -> PackageError {
    let index = web.document(&mirrors.document("index")).await.ok().flatten();
    let names: Vec<String> = index
        .iter()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect();
    let short = package.rsplit('/').next().unwrap_or(package);
    let same = names.iter().find(|name| name.rsplit('/').next() == Some(short));
    let close = same.map(String::as_str).or_else(|| nearest(package, names.iter().map(String::as_str)));
    let help = close.map(|name| format!("did you mean `{name}`?"));
    let help =
        help.or_else(|| Some("names of the hub are `owner/name`, such as `dbt-labs/dbt_utils`".to_owned()));
    PackageError::NotFound { what: format!("the package `{package}`"), url, help }
}

fn read(document: &Value) -> Option<Offer> {
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    let moved = ["redirectnamespace", "redirectname"].iter().any(|key| text(document, key).is_some());
    let moved_to = moved.then(|| {
        let owner =
            text(document, "redirectnamespace").or_else(|| text(document, "namespace")).unwrap_or_default();
        let name = text(document, "redirectname").or_else(|| text(document, "name")).unwrap_or_default();
        format!("{owner}/{name}")
    });
    let edition = |(written, about): (&String, &Value)| {
        let requires = match about.get("require_dbt_version") {
            Some(Value::Array(bounds)) => bounds.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(bound)) => vec![bound.as_str()],
            _ => Vec::new(),
        };
        let requires = requires.iter().flat_map(|text| text.split(',')).filter_map(Bound::read).collect();
        let edition = Edition {
            written: written.clone(),
            name: text(about, "name")?,
            tarball: text(about.get("downloads")?, "tarball")?,
            packages: about.get("packages").cloned().unwrap_or_default(),
            requires,
        };
        Some((version::read(written)?, edition))
    };
    let versions = document.get("versions")?.as_object()?.iter().filter_map(edition).collect();
    Some(Offer { moved_to, versions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_versions() {
        let about = |bound: &str| {
            serde_json::json!({
                "name": "tools", "packages": [], "require_dbt_version": [bound],
                "downloads": {"tarball": "https://x/y.tar.gz"},
            })
        };
        let document = serde_json::json!({
            "name": "tools", "namespace": "acme", "redirectnamespace": "new",
            "versions": {"1.10.0": about(">=1.3.0"), "1.9.0": about(">=3.0.0"), "odd": about(">=1.0.0"), "2.0.0-rc1": about("")},
        });
        let offer = read(&document).unwrap();
        let names: Vec<String> = offer.versions.values().map(|one| one.written.clone()).collect();
        assert_eq!(names, ["1.9.0", "1.10.0", "2.0.0-rc1"]);
        assert_eq!(offer.moved_to.as_deref(), Some("new/tools"));
        let works: Vec<bool> =
            offer.versions.values().map(|one| one.works_with(&Version::new(1, 11, 0))).collect();
        assert_eq!(works, [false, true, true]);
        assert!(read(&serde_json::json!([])).is_none());
    }
}
