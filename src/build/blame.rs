//! Where is a value cast that could not be read?
//!
//! The engine says which text it could not read as what, and not where: the cast may stand in the query itself, or in a view
//! that it reads. [`placed`] looks for casts to that type, and points to the one, or names them all.

use std::collections::BTreeSet;

use super::BuildError;
use crate::base::{Diagnostic, parse_data_type, sql_type_name};
use crate::compile::{Manifest, Materialization, Node, NodeId};
use crate::query::VALUE;

/// So many casts are named, if it may be any of them.
const NAMED: usize = 5;

/// A cast that may have failed.
struct Cast<'a> {
    node: &'a Node,
    /// Where it begins in the node's SQL.
    at: usize,
    text: String,
}

/// The same error, with where the cast is that failed, as far as that can be told.
pub(super) fn placed(manifest: &Manifest, node: &Node, error: BuildError) -> BuildError {
    let BuildError::Sql(diagnostic) = &error else { return error };
    let wanted = diagnostic.message().rsplit_once(" cannot be read as ").map(|(_, wanted)| wanted);
    // One that is placed in its line already needs no help.
    let is_open = diagnostic.stable_code() == VALUE && diagnostic.place() == Some(node.at.place());
    let Some(wanted) = wanted.filter(|_| is_open) else { return error };
    let mut casts = Vec::new();
    for id in with_views(manifest, node) {
        let of = if id == node.id { node } else { manifest.node(&id) };
        let found = casts_to(wanted, &of.sql).into_iter();
        casts.extend(found.map(|(at, text)| Cast { node: of, at, text }));
    }
    let (message, help) = (diagnostic.message(), diagnostic.help_text().map(str::to_owned));
    let elsewhere = |of: &Node| match of.id == node.id {
        true => String::new(),
        false => format!(" in `{}`, which it reads", of.shown()),
    };
    let placed = match &casts[..] {
        [] => return error,
        [cast] => {
            let (line, column) = place(&cast.node.sql, cast.at);
            let message = format!("{message}, by `{}`{}", cast.text, elsewhere(cast.node));
            Diagnostic::error(VALUE, message).at(&cast.node.locate(line, column), "cast here")
        }
        casts => {
            let mut named: Vec<String> = casts
                .iter()
                .take(NAMED)
                .map(|cast| format!("`{}`{}", cast.text, elsewhere(cast.node)))
                .collect();
            if casts.len() > NAMED {
                named.push(format!("{} more", casts.len() - NAMED));
            }
            Diagnostic::error(VALUE, format!("{message}, by one of: {}", named.join("; ")))
                .at(&node.at, "here")
        }
    };
    BuildError::Sql(placed.maybe_help(help))
}

/// A node, and the views that its query goes through.
fn with_views(manifest: &Manifest, node: &Node) -> Vec<NodeId> {
    let (mut seen, mut all, mut open) = (BTreeSet::new(), Vec::new(), vec![node.id.clone()]);
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let is_view = |id: &&NodeId| {
            let how = manifest.node(id).materialization();
            matches!(how, Some(Materialization::View | Materialization::Ephemeral))
        };
        open.extend(manifest.parents(&id).iter().filter(is_view).cloned());
        // What is ephemeral stands in the query of whoever reads it.
        if !manifest.node(&id).is_ephemeral() {
            all.push(id);
        }
    }
    all
}

/// The casts of a query to a type: where each begins, and how it is written.
fn casts_to(wanted: &str, sql: &str) -> Vec<(usize, String)> {
    let is_wanted = |written: &str| {
        let written = written.trim();
        parse_data_type(written).map_or(written == wanted, |of| sql_type_name(&of) == wanted)
    };
    let lower = sql.to_ascii_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in lower.match_indices("cast(") {
        if lower[..at].ends_with(is_word) {
            continue;
        }
        let Some(end) = closing(&lower, at + "cast".len()) else { continue };
        let inside = &lower[at + "cast(".len()..end];
        if inside.rsplit_once(" as ").is_some_and(|(_, written)| is_wanted(written)) {
            found.push((at, one_line(&sql[at..=end])));
        }
    }
    for (at, _) in lower.match_indices("::") {
        let after = &lower[at + 2..];
        let word = after.find(|c: char| !is_word(c)).unwrap_or(after.len());
        let end = match after[word..].starts_with('(') {
            true => closing(after, word).map_or(word, |end| end + 1),
            false => word,
        };
        if is_wanted(&after[..end]) {
            let before = lower[..at].char_indices().rev();
            let of_name = before.take_while(|(_, c)| is_word(*c) || matches!(c, '.' | '"'));
            let begin = of_name.last().map_or(at, |(begin, _)| begin);
            found.push((begin, one_line(&sql[begin..at + 2 + end])));
        }
    }
    found
}

/// Where the bracket closes that opens at `at`.
fn closing(text: &str, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, c) in text[at..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + place);
                }
            }
            _ => {}
        }
    }
    None
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line and the column of a place, both from 1 on.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_are_found_by_their_types() {
        let found = |wanted: &str, sql: &str| {
            casts_to(wanted, sql)
                .into_iter()
                .map(|(at, text)| format!("{at}: {text}"))
                .collect::<Vec<_>>()
                .join(" | ")
        };
        assert_eq!(
            found("int", "select cast(dep_delay as int) d, try_cast(a as int) from t"),
            "7: cast(dep_delay as int)"
        );
        assert_eq!(
            found("int", "select CAST(coalesce(a, 'x')\n as INTEGER) from t"),
            "7: CAST(coalesce(a, 'x') as INTEGER)"
        );
        assert_eq!(found("int", "select t.a::int, b::bigint"), "7: t.a::int");
        assert_eq!(found("decimal(10,2)", "select a::decimal(10, 2)"), "7: a::decimal(10, 2)");
        assert_eq!(found("date", "select a, cast(b as int"), "");
    }

    #[test]
    fn a_place_is_told_as_people_count() {
        assert_eq!(place("ab\ncd", 4), (2, 2));
        assert_eq!(place("ä b", 3), (1, 3));
    }
}
