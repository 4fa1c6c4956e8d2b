//! What does the project stand on, and is it here?

use std::collections::BTreeMap;
use std::path::Path;

use semver::Version;

use super::Lakehouse;
use crate::base::{Diagnostic, Error, Result, SourceText, Watch};
use crate::compile::{DBT_VERSION, YamlRenderer};
use crate::packages::{self, InstallReport, Mirrors, NewPackage, Order};
use crate::project::{
    self, PackagePlaces, RenderScope, USERS_FILE, dependencies, dependencies_in, read_package_places,
};

/// The environment variable with the hub's address, which is dbt's.
const HUB_VARIABLE: &str = "DBT_PACKAGE_HUB_URL";

/// What the names of variables begin with that are secrets, which is dbt's too.
const SECRET: &str = "DBT_ENV_SECRET";

/// How packages are to be installed.
#[derive(Clone, Debug, Default)]
pub struct DepsRequest {
    /// Settle versions anew, whatever `package-lock.yml` says.
    pub upgrade: bool,
    /// Write `package-lock.yml` and install nothing.
    pub only_lock: bool,
    /// A package to add to the list first.
    pub add: Option<NewPackage>,
    /// The hub, over what the environment and `elt.yml` say.
    pub hub: Option<String>,
    /// For the beginning of an address, what stands for it, before what `elt.yml` says.
    pub mirrors: Vec<(String, String)>,
    /// Take versions that say they do not work with the version of dbt that elt answers for.
    pub any_dbt_version: bool,
}

/// What became of the packages.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The file that a package was added to, and whether an entry for it went.
    pub added_to: Option<(&'static str, bool)>,
    /// What was installed, and what was there.
    pub report: InstallReport,
}

impl Lakehouse {
    /// Installs the packages that the project stands on; `watch` is told of each.
    ///
    /// # Errors
    /// What is wrong with the list of packages, or why one of them cannot be had. Others stay as they are.
    pub async fn install_packages(&self, request: &DepsRequest, watch: &dyn Watch) -> Result<Deps> {
        let Some(options) = &self.project else {
            return Err(self.no_project());
        };
        let added_to = request.add.as_ref().map(|new| packages::add(&options.root, new)).transpose()?;
        let jinja = YamlRenderer::new();
        let Some(outline) = project::outline(options, &jinja) else {
            return Err(Error::project(project::load(options, &jinja).1));
        };
        let no_docs = BTreeMap::new();
        let scope = RenderScope {
            vars: &options.vars,
            env: &options.env,
            target: Some(&outline.target),
            docs: &no_docs,
        };
        let mut found = Vec::new();
        let own = dependencies(&options.root, "", &jinja, &scope, &mut found);
        if found.iter().any(Diagnostic::is_error) {
            return Err(Error::project(found));
        }
        // What is wrong in the lists of packages is not the user's to mend.
        let read = |folder: &Path, shown: &str| dependencies(folder, shown, &jinja, &scope, &mut Vec::new());
        let read_text =
            |text: &SourceText| dependencies_in(text, &options.root, &jinja, &scope, &mut Vec::new());
        let mirrors = self.mirrors(request, &jinja, &scope)?;
        let is_secret = |(key, value): (&String, &String)| key.starts_with(SECRET).then(|| value.clone());
        let order = Order {
            name: &outline.name,
            root: &options.root,
            install_path: &outline.packages_path,
            dependencies: own,
            mirrors: &mirrors,
            dbt_version: Version::parse(DBT_VERSION).ok().filter(|_| !request.any_dbt_version),
            read: &read,
            read_text: &read_text,
            upgrade: request.upgrade,
            only_lock: request.only_lock,
            secrets: options.env.iter().filter_map(is_secret).collect(),
        };
        let mut report = packages::install(&order, watch).await?;
        report.notes.extend(found.iter().map(|warning| warning.to_string()));
        Ok(Deps { added_to, report })
    }

    /// From where packages are had: as the request says, then the environment, then `elt.yml`.
    fn mirrors(
        &self,
        request: &DepsRequest,
        jinja: &YamlRenderer,
        scope: &RenderScope<'_>,
    ) -> Result<Mirrors> {
        let text = std::fs::read_to_string(self.root.join(USERS_FILE)).unwrap_or_default();
        let PackagePlaces { hub, mirrors } =
            read_package_places(&SourceText::new(USERS_FILE, &text), jinja, scope)?;
        let variable = self.world.env.get(HUB_VARIABLE).filter(|url| !url.is_empty()).cloned();
        let hub = request.hub.clone().or(variable).or(hub);
        let instead = request.mirrors.iter().cloned().chain(mirrors).collect();
        Ok(Mirrors::new(hub.as_deref(), instead))
    }
}
