//! What of the project is meant, and against what is it held?

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::base::{Diagnostic, Error, Result};
use crate::cli::ui::Ui;
use crate::lakehouse::{Defer, Earlier, Indirect, Kinds, Lakehouse, Selector, StudyRequest};

/// dbt's words for kinds of nodes.
const KINDS: [&str; 14] = [
    "model",
    "seed",
    "snapshot",
    "test",
    "unit_test",
    "source",
    "analysis",
    "exposure",
    "metric",
    "semantic_model",
    "saved_query",
    "function",
    "default",
    "all",
];

/// Which nodes of the project.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(in crate::cli) struct Selection {
    /// Only these nodes: `orders`, `+orders`, `orders+`, `tag:nightly`, `path:models/marts`
    #[arg(long, short, value_name = "SELECTOR", num_args = 1.., alias = "models", short_alias = 'm')]
    select: Vec<String>,
    /// Not these
    #[arg(long, value_name = "SELECTOR", num_args = 1..)]
    exclude: Vec<String>,
    /// The definition of this name in selectors.yml
    #[arg(long, value_name = "NAME", conflicts_with_all = ["select", "exclude"])]
    selector: Option<String>,
    /// Which tests a selected node brings: eager (all that read it), cautious, buildable or empty [default: eager]
    #[arg(long, value_name = "WHICH")]
    pub(in crate::cli) indirect_selection: Option<Indirect>,
    /// Folder with the manifest.json or run_results.json that `state:` and `result:` compare with
    #[arg(long, value_name = "DIR", env = "DBT_STATE", hide_env = true)]
    state: Option<PathBuf>,
    /// Only nodes of this kind: model, seed, snapshot, test, unit_test, source (can be repeated)
    #[arg(long = "resource-type", visible_alias = "resource-types", value_name = "KIND", value_parser = KINDS, hide_possible_values = true)]
    resource_types: Vec<String>,
    /// No nodes of this kind
    #[arg(long = "exclude-resource-type", alias = "exclude-resource-types", value_name = "KIND", value_parser = KINDS, hide_possible_values = true)]
    exclude_resource_types: Vec<String>,
}

impl Selection {
    pub(in crate::cli) fn include(&self) -> Result<Vec<Selector>> {
        let written = selectors(&self.select)?;
        let included = written.into_iter().chain(self.selector.iter().map(|name| Selector::named(name)));
        Ok(match self.indirect_selection {
            Some(indirect) => included.map(|selector| selector.bringing(indirect)).collect(),
            None => included.collect(),
        })
    }

    /// The kinds of nodes that are meant.
    pub(in crate::cli) fn kinds(&self) -> Kinds {
        Kinds { only: self.resource_types.clone(), never: self.exclude_resource_types.clone() }
    }

    /// What is meant, to be looked at.
    pub(in crate::cli) fn study(&self) -> Result<StudyRequest> {
        let (select, exclude) = (self.include()?, self.exclude()?);
        let (kinds, earlier) = (self.kinds(), self.earlier()?);
        Ok(StudyRequest { select, exclude, kinds, earlier, ..StudyRequest::default() })
    }

    /// What `state:` and `result:` compare with.
    pub(in crate::cli) fn earlier(&self) -> Result<Earlier> {
        let Some(folder) = &self.state else { return Ok(Earlier::default()) };
        let read = |name: &str| -> Option<serde_json::Value> {
            serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).ok()
        };
        let earlier = Earlier {
            manifest: read("manifest.json"),
            results: read("run_results.json"),
            sources: read("sources.json"),
            ..Earlier::default()
        };
        if earlier.manifest.is_none() && earlier.results.is_none() && earlier.sources.is_none() {
            return Err(Error::user(
                "elt::state",
                format!(
                    "{} holds neither a manifest.json nor a run_results.json nor a sources.json",
                    folder.display()
                ),
                "copy the target folder of the run to compare with, and give that folder",
            ));
        }
        Ok(earlier)
    }

    /// Says so if the state to compare with is where artifacts go: the next run overwrites it.
    pub(in crate::cli) fn warn_of_state(&self, lakehouse: &Lakehouse, ui: &Ui) {
        let Some(folder) = self.state.as_ref().filter(|folder| lakehouse.is_target_path(folder)) else {
            return;
        };
        let what = format!("The state and target directories are the same: '{}'", folder.display());
        ui.diagnostic(
            &Diagnostic::warning("elt::state", what)
                .help("what is written there is what is compared with next; copy the artifacts of the run to compare with to another folder"),
        );
    }

    pub(in crate::cli) fn exclude(&self) -> Result<Vec<Selector>> {
        selectors(&self.exclude)
    }
}

fn selectors(texts: &[String]) -> Result<Vec<Selector>> {
    let read = |text: &String| text.parse::<Selector>().map_err(|error: Diagnostic| Error::from(error));
    texts.iter().map(read).collect()
}

/// What is read of another state instead of being built.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(in crate::cli) struct Deferral {
    /// Read what is not selected and not there from the state of `--state`; without one from production, as an environment does anyway
    #[arg(long, overrides_with = "no_defer", env = "DBT_DEFER", hide_env = true)]
    defer: bool,
    /// Build an environment apart: take nothing over from production
    #[arg(long)]
    no_defer: bool,
    /// With --defer, read it from there even where it is there
    #[arg(long, overrides_with = "no_favor_state", env = "DBT_FAVOR_STATE", hide_env = true)]
    favor_state: bool,
    #[arg(long, hide = true)]
    no_favor_state: bool,
    /// Folder with the manifest.json that --defer reads, if it is not the one of `--state`
    #[arg(long, value_name = "DIR", env = "DBT_DEFER_STATE", hide_env = true)]
    defer_state: Option<PathBuf>,
}

impl Deferral {
    /// Whether nothing is to be read from elsewhere, not even from production.
    pub(in crate::cli) fn is_refused(&self) -> bool {
        self.no_defer
    }

    /// Whether what is not built is to be read from production, as no folder is given to read it from.
    pub(in crate::cli) fn reads_production(&self, selection: &Selection) -> bool {
        let has_folder = self.defer_state.is_some() || selection.state.is_some();
        self.defer && !self.no_defer && !has_folder
    }

    /// Refuses to read from production if there is none beside, or if nothing is to be read from where it is.
    pub(in crate::cli) fn check(&self, selection: &Selection, lakehouse: &Lakehouse) -> Result<()> {
        if !self.reads_production(selection) {
            return Ok(());
        }
        if self.favor_state && !self.no_favor_state {
            return Err(Error::user(
                "elt::state",
                "--favor-state needs a state that is favoured: production is read only for what the environment has not made itself",
                "give the folder of a manifest.json: `--state DIR`; or drop what the environment made",
            ));
        }
        if !lakehouse.is_environment()? {
            return Err(Error::user(
                "elt::state",
                "there is no state to defer to: the target is no environment beside a production",
                "give the folder of another state's manifest.json: `--state DIR`; or a target beside one that is called `prod`",
            ));
        }
        Ok(())
    }

    /// The state to read from, if it is asked for.
    pub(in crate::cli) fn read(&self, selection: &Selection) -> Result<Option<Defer>> {
        if self.reads_production(selection) {
            return Ok(None);
        }
        self.read_state(selection)
    }

    /// The same where nothing is built, and production is not read without being told from where.
    pub(in crate::cli) fn read_state(&self, selection: &Selection) -> Result<Option<Defer>> {
        if !self.defer || self.no_defer {
            return Ok(None);
        }
        let folder = self.defer_state.as_ref().or(selection.state.as_ref());
        let manifest = folder.and_then(|folder| {
            serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).ok()?).ok()
        });
        match manifest {
            Some(manifest) => Ok(Some(Defer { manifest, favor: self.favor_state && !self.no_favor_state })),
            None => Err(Error::user(
                "elt::state",
                match folder {
                    Some(folder) => format!("{} holds no manifest.json to defer to", folder.display()),
                    None => "there is no state to defer to".to_owned(),
                },
                "give the folder of another state's manifest.json: `--state DIR`",
            )),
        }
    }
}
