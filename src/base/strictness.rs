//! Which warnings are mistakes, and which are not worth a word?

use super::Diagnostic;

/// What a person wants of warnings: `--warn-error` and `--warn-error-options`.
///
/// Names are dbt's of its events (`NoNodesForSelectionCriteria`, `LogTestResult`) or elt's own codes, with or
/// without `elt::` (`unknown_key`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strictness {
    /// Whether every warning is a mistake.
    pub all: bool,
    /// Those that are.
    pub error: Vec<String>,
    /// Those that are not, though all others may be.
    pub warn: Vec<String>,
    /// Those that are not told.
    pub silence: Vec<String>,
}

/// For a code of elt the name of dbt's event for the same thing.
const EVENTS: [(&str, &str); 6] = [
    ("elt::nothing_selected", "NoNodesForSelectionCriteria"),
    ("elt::nothing_to_do", "NothingToDo"),
    ("elt::raised", "JinjaLogWarning"),
    ("elt::unknown_key", "CustomKeyInConfigDeprecation"),
    ("elt::test", "LogTestResult"),
    ("elt::freshness", "LogFreshnessResult"),
];

/// dbt's name for what a code of elt tells, if dbt has one.
pub fn event_name(code: &str) -> Option<&'static str> {
    EVENTS.iter().find(|(known, _)| *known == code).map(|(_, event)| *event)
}

impl Strictness {
    /// Whether a warning of this code is a mistake.
    pub fn is_mistake(&self, code: &str) -> bool {
        !names(&self.warn, code) && !self.is_silent(code) && (self.all || names(&self.error, code))
    }

    /// Whether a warning of this code is not told.
    pub fn is_silent(&self, code: &str) -> bool {
        names(&self.silence, code)
    }

    /// The same diagnostics as this has it.
    pub fn judge(&self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let judge = |one: Diagnostic| match one.stable_code() {
            _ if one.is_error() => Some(one),
            code if self.is_silent(code) => None,
            code if self.is_mistake(code) => Some(one.as_error()),
            _ => Some(one),
        };
        found.into_iter().filter_map(judge).collect()
    }
}

fn names(list: &[String], code: &str) -> bool {
    let event = event_name(code);
    let bare = code.trim_start_matches("elt::");
    list.iter().any(|name| {
        let is_deprecation =
            name == "Deprecations" && event.is_some_and(|event| event.ends_with("Deprecation"));
        name == "*"
            || name == "all"
            || name == code
            || name == bare
            || Some(name.as_str()) == event
            || is_deprecation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_mistakes_as_they_are_named() {
        let told = |strict: &Strictness| {
            let found = vec![
                Diagnostic::warning("elt::nothing_selected", "a"),
                Diagnostic::warning("elt::unknown_key", "b"),
                Diagnostic::error("elt::name", "c"),
            ];
            let one = |d: &Diagnostic| format!("{d}{}", if d.is_error() { "!" } else { "" });
            strict.judge(found).iter().map(one).collect::<Vec<_>>().join(" ")
        };
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(told(&Strictness::default()), "a b c!");
        assert_eq!(told(&Strictness { all: true, ..Strictness::default() }), "a! b! c!");
        let some =
            Strictness { all: true, warn: list(&["NoNodesForSelectionCriteria"]), ..Strictness::default() };
        assert_eq!(told(&some), "a b! c!");
        let some = Strictness {
            error: list(&["unknown_key"]),
            silence: list(&["elt::nothing_selected"]),
            ..Strictness::default()
        };
        assert_eq!(told(&some), "b! c!");
    }
}
