//! Which nodes does a selector mean?
//!
//! dbt's grammar: `[@][n+][method:]value[+n]`; a blank joins, a comma intersects. `selectors.yml` says the same
//! in YAML and gives it a name ([`named`]). A selected model may bring the tests on it, as [`Indirect`] has it.
//!
//! Not here: what one term means ([`term`]).

mod named;
mod term;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};

use super::manifest::Manifest;
use super::node::NodeId;
use term::{Around, Term};

pub use named::NamedSelector;
pub(super) use named::read as read_named;

/// One `--select` or `--exclude`, or one definition of `selectors.yml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
    rule: Rule,
    /// Which tests it was told to bring.
    brings: Option<Indirect>,
}

/// How terms are put together.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Term(Term, Option<Indirect>),
    /// What any of them means.
    Union(Vec<Rule>),
    /// What all of them mean.
    Intersection(Vec<Rule>),
    /// What the first means and the second does not.
    Difference(Box<Rule>, Box<Rule>),
    /// A definition of `selectors.yml`, and what is around its nodes.
    Named(String, Around),
}

/// Which tests a selected node brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indirect {
    /// Every test that reads it.
    #[default]
    Eager,
    /// Those that read nothing else than what is selected.
    Cautious,
    /// Those that read nothing else than what is selected and what that reads directly or not.
    Buildable,
    /// None.
    Empty,
}

/// What a selection may be compared with: an earlier state of the project, and earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// `manifest.json` of that state.
    pub manifest: Option<Value>,
    /// `run_results.json` of that run.
    pub results: Option<Value>,
    /// `sources.json` of that state.
    pub sources: Option<Value>,
    /// `sources.json` as it is now.
    pub sources_now: Option<Value>,
    /// What differs from the release that is published, if there is no `manifest.json` to compare with.
    pub published: Option<Published>,
    /// What `manifest.json` would have of a node now.
    pub entry: Option<fn(&Manifest, &str) -> Option<Value>>,
}

/// How the project differs from the published release, which knows by which code each thing was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Nodes that it knows nothing of.
    pub new: BTreeSet<NodeId>,
    /// Nodes that it knows by another code.
    pub modified: BTreeSet<NodeId>,
}

/// A set of nodes, and the tests that would come with it if more were selected.
#[derive(Clone, Debug, Default)]
struct Selected {
    direct: BTreeSet<NodeId>,
    waiting: BTreeSet<NodeId>,
}

impl FromStr for Indirect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "eager" => Ok(Self::Eager),
            "cautious" => Ok(Self::Cautious),
            "buildable" => Ok(Self::Buildable),
            "empty" => Ok(Self::Empty),
            _ => Err("write eager, cautious, buildable or empty".to_owned()),
        }
    }
}

impl Indirect {
    /// dbt's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Cautious => "cautious",
            Self::Buildable => "buildable",
            Self::Empty => "empty",
        }
    }
}

impl FromStr for Selector {
    type Err = Diagnostic;

    /// Reads a selector.
    ///
    /// # Errors
    /// If it is empty, or names a method elt does not have.
    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        let part = |part: &str| -> Result<Rule, Diagnostic> {
            let terms: Result<Vec<Rule>, Diagnostic> =
                part.split(',').map(|term| Rule::term(term, text)).collect();
            Ok(Rule::Intersection(terms?))
        };
        let union = text.split_whitespace().map(part).collect::<Result<Vec<Rule>, Diagnostic>>()?;
        if union.is_empty() {
            return Err(wrong(text, "it is empty"));
        }
        Ok(Self { text: text.trim().to_owned(), rule: Rule::Union(union), brings: None })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Selector {
    /// The definition of this name in `selectors.yml`: `--selector`.
    pub fn named(name: &str) -> Self {
        let rule = Rule::Named(name.to_owned(), Around::default());
        Self { text: format!("selector:{name}"), rule, brings: None }
    }

    /// The same, bringing tests as `indirect` has it where the selector itself does not say.
    #[must_use]
    pub fn bringing(mut self, indirect: Indirect) -> Self {
        self.rule.bring(indirect);
        self.brings = Some(indirect);
        self
    }

    /// Which tests it was told to [bring](Self::bringing), if it was told.
    pub fn brings(&self) -> Option<Indirect> {
        self.brings
    }
}

impl Rule {
    fn term(term: &str, whole: &str) -> Result<Self, Diagnostic> {
        let (around, rest) = Around::read(term, whole)?;
        match rest.strip_prefix("selector:") {
            Some(name) => Ok(Self::Named(name.to_owned(), around)),
            None => Ok(Self::Term(Term::read(term, whole)?, None)),
        }
    }

    fn bring(&mut self, indirect: Indirect) {
        match self {
            Self::Term(_, own) => *own = own.or(Some(indirect)),
            Self::Union(rules) | Self::Intersection(rules) => {
                rules.iter_mut().for_each(|rule| rule.bring(indirect));
            }
            // What is taken out takes its tests along, as in dbt.
            Self::Difference(rule, _) => rule.bring(indirect),
            Self::Named(..) => {}
        }
    }

    /// What there is to say of terms that mean nothing.
    fn unmatched(&self, manifest: &Manifest, earlier: &Earlier, found: &mut Vec<Diagnostic>) {
        match self {
            Self::Term(term, _) => found.extend(term.unmatched(manifest, earlier)),
            Self::Named(name, _) => {
                if let Ok(named) = named::find(manifest, name) {
                    named.rule.unmatched(manifest, earlier, found);
                }
            }
            Self::Union(rules) | Self::Intersection(rules) => {
                rules.iter().for_each(|rule| rule.unmatched(manifest, earlier, found));
            }
            Self::Difference(rule, out) => {
                rule.unmatched(manifest, earlier, found);
                out.unmatched(manifest, earlier, found);
            }
        }
    }

    fn select(&self, manifest: &Manifest, earlier: &Earlier) -> Result<Selected, Diagnostic> {
        let all = |rules: &[Self]| -> Result<Vec<Selected>, Diagnostic> {
            rules.iter().map(|rule| rule.select(manifest, earlier)).collect()
        };
        Ok(match self {
            Self::Term(term, indirect) => {
                with_tests(manifest, term.select(manifest, earlier)?, indirect.unwrap_or_default())
            }
            Self::Named(name, around) => {
                let selected = named::find(manifest, name)?.rule.select(manifest, earlier)?;
                match *around == Around::default() {
                    true => selected,
                    false => with_tests(manifest, around.of(selected.direct, manifest), Indirect::default()),
                }
            }
            Self::Union(rules) => all(rules)?.into_iter().fold(Selected::default(), |mut whole, part| {
                whole.direct.extend(part.direct);
                whole.waiting.extend(part.waiting);
                whole
            }),
            Self::Intersection(rules) => {
                let both = |a: Selected, b: Selected| Selected {
                    direct: a.direct.intersection(&b.direct).cloned().collect(),
                    waiting: a.waiting.intersection(&b.waiting).cloned().collect(),
                };
                all(rules)?.into_iter().reduce(both).unwrap_or_default()
            }
            Self::Difference(rule, out) => {
                let (mut kept, out) = (rule.select(manifest, earlier)?, out.select(manifest, earlier)?);
                kept.direct.retain(|id| !out.direct.contains(id));
                kept.waiting.retain(|id| !out.direct.contains(id));
                kept
            }
        })
    }
}

/// The nodes that `include` means without those `exclude` means. If both are empty these are the nodes of
/// the default selector of `selectors.yml`, or all of them. A name that means nothing adds nothing; [`unmatched`]
/// tells which those are.
///
/// # Errors
/// If a method is asked for a value that it cannot have, or compares with a state that was not given.
pub fn select(
    manifest: &Manifest,
    include: &[Selector],
    exclude: &[Selector],
    earlier: &Earlier,
) -> Result<BTreeSet<NodeId>, Diagnostic> {
    let mut selected = select_with_documents(manifest, include, exclude, earlier)?;
    selected.retain(|id| manifest.nodes.contains_key(id));
    Ok(selected)
}

/// The same, with exposures, metrics and the like among them.
///
/// # Errors
/// As [`select`].
pub fn select_with_documents(
    manifest: &Manifest,
    include: &[Selector],
    exclude: &[Selector],
    earlier: &Earlier,
) -> Result<BTreeSet<NodeId>, Diagnostic> {
    let by_default = manifest.selectors.values().find(|selector| selector.is_default);
    let included = match (include, by_default) {
        ([], Some(selector)) if exclude.is_empty() => selector.rule.select(manifest, earlier)?,
        ([], _) => {
            let documents = manifest.documents.iter().map(|document| &document.id);
            let direct = manifest.nodes.keys().chain(documents).cloned().collect();
            Selected { direct, ..Selected::default() }
        }
        (some, _) => union(manifest, some, earlier)?,
    };
    let excluded = union(manifest, exclude, earlier)?;
    let mut selected = included.direct;
    selected.retain(|id| !excluded.direct.contains(id));
    // A test of two models, of which two terms selected one each.
    let complete = |id: &&NodeId| manifest.parents(id).iter().all(|parent| selected.contains(parent));
    let complete: Vec<NodeId> = included.waiting.iter().filter(complete).cloned().collect();
    selected.extend(complete.into_iter().filter(|id| !excluded.direct.contains(id)));
    Ok(selected)
}

/// What there is to say of the terms of selectors that mean no node.
pub fn unmatched(
    manifest: &Manifest,
    include: &[Selector],
    exclude: &[Selector],
    earlier: &Earlier,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for selector in include.iter().chain(exclude) {
        selector.rule.unmatched(manifest, earlier, &mut found);
    }
    found
}

fn union(manifest: &Manifest, selectors: &[Selector], earlier: &Earlier) -> Result<Selected, Diagnostic> {
    let rules = selectors.iter().map(|selector| selector.rule.clone()).collect();
    Rule::Union(rules).select(manifest, earlier)
}

/// Adds the tests that `selected` brings.
fn with_tests(manifest: &Manifest, selected: BTreeSet<NodeId>, indirect: Indirect) -> Selected {
    let tests: BTreeSet<NodeId> = selected.iter().flat_map(|id| manifest.tests_of(id)).collect();
    let known: BTreeSet<NodeId> = match indirect {
        Indirect::Buildable => {
            let above = selected.iter().flat_map(|id| manifest.ancestors(id));
            above.chain(selected.iter().cloned()).collect()
        }
        _ => selected.clone(),
    };
    let (mut direct, mut waiting) = (selected, BTreeSet::new());
    for test in tests {
        let is_whole = || manifest.parents(&test).iter().all(|parent| known.contains(parent));
        match indirect {
            Indirect::Eager => drop(direct.insert(test)),
            Indirect::Cautious | Indirect::Buildable if is_whole() => drop(direct.insert(test)),
            Indirect::Cautious | Indirect::Buildable => drop(waiting.insert(test)),
            Indirect::Empty => {}
        }
    }
    Selected { direct, waiting }
}

fn no_such_selector(manifest: &Manifest, name: &str) -> Diagnostic {
    let known = || manifest.selectors.keys().map(String::as_str);
    let listed = known().collect::<Vec<_>>().join(", ");
    Diagnostic::error("elt::selector", format!("there is no selector `{name}` in selectors.yml"))
        .help(match listed.is_empty() {
            true => {
                "define it: `selectors: [{name: …, definition: 'tag:nightly'}]` in selectors.yml".to_owned()
            }
            false => format!("there are: {listed}"),
        })
        .maybe_help(did_you_mean(name, known()))
}

fn wrong(text: &str, why: &str) -> Diagnostic {
    Diagnostic::error("elt::selector", format!("`{text}` is not a selector: {why}"))
        .help("a selector is like `orders`, `+orders`, `tag:daily`, `path:models/staging`, `a,b`")
}
