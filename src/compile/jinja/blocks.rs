//! Which macros and generic tests does a file define?
//!
//! dbt takes a macro file apart at its top level: each `{% macro %}` and `{% test %}` stands alone,
//! whatever the file's other blocks are. [`read_macros`] does the same and prepares each as a
//! template of its own. Tests are macros called `test_…`.

use std::ops::Range;
use std::sync::Arc;

use crate::base::{Diagnostic, SourceText};

use super::materializations::MaterializationBlock;
use super::pieces::{Piece, PieceKind, inside, pieces, word};
use super::prepare::{Prepared, equals_sign, top_commas};

/// A macro, prepared.
#[derive(Debug)]
pub(super) struct MacroBlock {
    /// Its name; a test `unique` is the macro `test_unique`.
    pub(super) name: String,
    /// The names of its parameters.
    pub(super) parameters: Vec<String>,
    /// What it takes beyond them.
    pub(super) takes: Takes,
    /// The file it is in.
    pub(super) source: SourceText,
    /// Its name in that file.
    pub(super) at: Range<usize>,
    /// The template that defines it and nothing else.
    pub(super) prepared: Prepared,
    /// The package it belongs to.
    pub(super) package: String,
    /// The package whose macro it stands in for, if it is elt's own version of one.
    pub(super) overrides: Option<String>,
    /// What it is written as.
    pub(super) written: String,
}

/// What a macro takes beyond its parameters: what its text names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Takes {
    /// Any number of values, as `varargs`.
    pub(super) varargs: bool,
    /// Values by any name, as `kwargs`.
    pub(super) kwargs: bool,
    /// The text of a call block, as `caller`.
    pub(super) caller: bool,
}

impl Takes {
    /// What the template `text` names inside its tags.
    fn read(text: &str) -> Self {
        let mut takes = Self::default();
        for piece in pieces(text) {
            if !matches!(piece.kind, PieceKind::Expression | PieceKind::Statement) {
                continue;
            }
            for word in text[piece.at].split(|c: char| !c.is_alphanumeric() && c != '_') {
                match word {
                    "varargs" => takes.varargs = true,
                    "kwargs" => takes.kwargs = true,
                    "caller" => takes.caller = true,
                    _ => {}
                }
            }
        }
        takes
    }
}

/// Whose macros a file holds.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) package: String,
    pub(super) overrides: Option<String>,
}

/// Takes a macro file apart, adding what is wrong with it to `found`.
pub(super) fn read_macros(
    source: &SourceText,
    owner: &Owner,
    found: &mut Vec<Diagnostic>,
) -> (Vec<Arc<MacroBlock>>, Vec<MaterializationBlock>) {
    let all = pieces(&source.text);
    let (mut macros, mut materializations) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(piece) = all.get(at) {
        at += 1;
        if piece.kind != PieceKind::Statement {
            continue;
        }
        let closing: &[&str] = match word(&source.text, &piece.at) {
            "macro" => &["endmacro"],
            "test" | "data_test" => &["endtest", "enddata_test"],
            // One of the user's own is refused where something asks for it.
            "materialization" => &["endmaterialization"],
            // Snapshots are read by the project.
            "snapshot" => &["endsnapshot"],
            "docs" => &["enddocs"],
            _ => continue,
        };
        let Some(end) = closing_tag(&source.text, &all, at, piece, closing) else {
            found.push(
                Diagnostic::error(
                    "elt::jinja_syntax",
                    format!("this block is never closed by `{}`", closing[0]),
                )
                .at(&source.span(piece.at.clone()), "opened here"),
            );
            continue;
        };
        if closing[0] == "endmacro" || closing[0] == "endtest" {
            match read_macro(source, &piece.at, &all[end].at, owner) {
                Some(block) => macros.push(Arc::new(block)),
                None => found.push(
                    Diagnostic::error("elt::jinja_syntax", "this header is not a macro's")
                        .at(&source.span(piece.at.clone()), "here")
                        .help("write `{% macro name(argument, other=default) %}`"),
                ),
            }
        } else if closing[0] == "endmaterialization" {
            match MaterializationBlock::read(source, &piece.at, &all[end].at, owner) {
                Some(block) => materializations.push(block),
                None => found.push(
                    Diagnostic::error("elt::jinja_syntax", "this header is not a materialization's")
                        .at(&source.span(piece.at.clone()), "here")
                        .help("write `{% materialization name, default %}`, or `adapter='…'` in the place of `default`"),
                ),
            }
        }
        at = end + 1;
    }
    (macros, materializations)
}

/// The piece that closes the block `open`, counting blocks of the same word inside it.
fn closing_tag(text: &str, all: &[Piece], from: usize, open: &Piece, closing: &[&str]) -> Option<usize> {
    let opening = word(text, &open.at);
    let mut depth = 0usize;
    for (at, piece) in all.iter().enumerate().skip(from).filter(|(_, p)| p.kind == PieceKind::Statement) {
        let word = word(text, &piece.at);
        if word == opening {
            depth += 1;
        } else if closing.contains(&word) {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            }
        }
    }
    None
}

fn read_macro(
    source: &SourceText,
    open: &Range<usize>,
    close: &Range<usize>,
    owner: &Owner,
) -> Option<MacroBlock> {
    let text = &*source.text;
    let header = inside(text, open);
    let keyword = word(text, open);
    let bracket = header.start + text[header.clone()].find('(')?;
    let end = header.start + text[header.clone()].rfind(')')?;
    let name_from = header.start + text[header.clone()].find(keyword)? + keyword.len();
    let written = text.get(name_from..bracket)?;
    let name = written.trim();
    if end <= bracket || name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let name_at = name_from + (written.len() - written.trim_start().len());
    let name_at = name_at..name_at + name.len();
    let name = if keyword == "macro" { name.to_owned() } else { format!("test_{name}") };

    let mut prepared = Prepared::default();
    prepared.insert(&format!("{} macro {name}(", &text[open.start..header.start]), open.start);
    let (mut parameters, mut late) = (Vec::new(), Vec::new());
    for range in split(text, bracket + 1..end) {
        let parameter = Parameter::read(text, range)?;
        if !parameters.is_empty() {
            prepared.insert(", ", parameter.name.start);
        }
        prepared.copy(text, parameter.name.clone());
        match parameter.default {
            Some(default) if names_one_of(&text[default.clone()], &parameters) => {
                // Nothing, as yet: a parameter without a default may not come after one that has one.
                prepared.insert("=({}).nothing", default.start);
                late.push((parameter.name.clone(), default));
            }
            Some(default) => {
                prepared.insert("=", default.start);
                prepared.expression(text, default);
            }
            None => {}
        }
        parameters.push(text[parameter.name].to_owned());
    }
    let closing = &text[header.end..open.end];
    prepared.insert(&format!(") {}", if late.is_empty() { closing } else { "%}" }), end);
    // A default that is made of parameters before it is taken once these are known, as in Python.
    let last = late.len().saturating_sub(1);
    for (at, (name, default)) in late.into_iter().enumerate() {
        let name = &text[name];
        prepared.insert(&format!("{{% if {name} is undefined %}}{{% set {name} = "), default.start);
        prepared.expression(text, default.clone());
        let closing = if at == last { closing } else { "%}" };
        prepared.insert(&format!(" %}}{{% endif {closing}"), default.end);
    }
    prepared.body(text, open.end..close.start, false);
    let tail = inside(text, close);
    prepared.insert(
        &format!("{} endmacro {}", &text[close.start..tail.start], &text[tail.end..close.end]),
        close.start,
    );
    Some(MacroBlock {
        name,
        parameters,
        takes: Takes::read(&text[open.end..close.start]),
        source: source.clone(),
        at: name_at,
        prepared,
        package: owner.package.clone(),
        overrides: owner.overrides.clone(),
        written: text[open.start..close.end].to_owned(),
    })
}

/// Whether an expression names one of these.
fn names_one_of(expression: &str, names: &[String]) -> bool {
    let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.into_iter().any(|word| names.iter().any(|name| name == word))
}

/// The parts of `range` between commas, blank ones left out.
fn split(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut starts = vec![range.start];
    let mut ends = Vec::new();
    for comma in top_commas(&text[range.clone()]) {
        ends.push(range.start + comma);
        starts.push(range.start + comma + 1);
    }
    ends.push(range.end);
    starts.into_iter().zip(ends).map(|(s, e)| s..e).filter(|r| !text[r.clone()].trim().is_empty()).collect()
}

/// `name`, `name=default` or `name: type = default`.
struct Parameter {
    name: Range<usize>,
    default: Option<Range<usize>>,
}

impl Parameter {
    fn read(text: &str, range: Range<usize>) -> Option<Self> {
        let written = &text[range.clone()];
        let start = range.start + (written.len() - written.trim_start().len());
        let length = text[start..range.end].find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = start..length.map_or(range.end, |length| start + length);
        if name.is_empty() {
            return None;
        }
        let default = equals_sign(written).map(|at| range.start + at + 1..range.end);
        Some(Self { name, default })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_apart_into_macros_and_tests() {
        let source = SourceText::new(
            "macros/m.sql",
            "junk {% macro a(x: string, y=[1, 2]) -%} {{ x }} {%- endmacro %}\n{%- materialization by_day, adapter = \"duckdb\", supported_languages=['sql', 'python'] -%}{% macro no() %}{% endmacro %}{% endmaterialization %}{% materialization view,default%}{% endmaterialization %}{% test small(model, column_name) %}select{% endtest %}{% docs d %}{% macro no() %}{% enddocs %}",
        );
        let mut found = Vec::new();
        let owner = Owner { package: "shop".into(), overrides: None };
        let (macros, materializations) = read_macros(&source, &owner, &mut found);
        assert!(found.is_empty());
        let named: Vec<_> = materializations.iter().map(MaterializationBlock::macro_name).collect();
        assert_eq!(named, ["materialization_by_day_duckdb", "materialization_view_default"]);
        assert_eq!(&source.text[materializations[0].span().bytes], "by_day");
        let seen: Vec<_> = macros.iter().map(|m| (m.name.as_str(), m.parameters.join(","))).collect();
        assert_eq!(seen, [("a", "x,y".into()), ("test_small", "model,column_name".into())]);
        assert_eq!(macros[0].prepared.text, "{% macro a(x, y=__list([1, 2])) -%} {{ x }} {%- endmacro %}");
        assert_eq!(&source.text[macros[1].at.clone()], "small");
    }

    #[test]
    fn what_cannot_be_read_is_shown() {
        let source = SourceText::new(
            "m.sql",
            "{% macro a() %}{% macro b %}{% endmacro %}{% materialization x, default %}{% endmaterialization %}",
        );
        let mut found = Vec::new();
        read_macros(&source, &Owner { package: "shop".into(), overrides: None }, &mut found);
        let told: Vec<_> = found.iter().map(|diagnostic| diagnostic.place().unwrap()).collect();
        assert_eq!(told, ["m.sql:1:1", "m.sql:1:16"]);
    }
}
