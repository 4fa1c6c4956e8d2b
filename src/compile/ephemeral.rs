//! How does an ephemeral model get into the queries that read it?
//!
//! As a common table expression `__dbt__cte__<name>` in front of the query's own, each once, in the
//! order in which they need each other.

use super::source_map::SourceMap;

/// A compiled query and where it came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pub(super) sql: String,
    pub(super) map: SourceMap,
}

/// A common table expression: its name and its query.
pub(super) struct Cte<'a> {
    pub(super) name: String,
    pub(super) body: &'a Body,
}

/// The name of the CTE of an ephemeral model.
pub(super) fn cte_name(model: &str) -> String {
    format!("__dbt__cte__{model}")
}

/// Puts `ctes` in front of the query's own, or makes it a `with` query.
pub(super) fn inject(body: Body, ctes: &[Cte<'_>]) -> Body {
    if ctes.is_empty() {
        return body;
    }
    let mut with = Body::default();
    let place = place(&body.sql);
    with.sql.push_str(if place.has_with { " " } else { "with " });
    for (index, cte) in ctes.iter().enumerate() {
        if index > 0 {
            with.sql.push_str(", ");
        }
        with.sql.push_str(&format!("{} as (\n", super::sql_name::quoted(&cte.name)));
        with.map.append(cte.body.map.clone().moved(with.sql.len()));
        with.sql.push_str(&cte.body.sql);
        with.sql.push_str("\n)");
    }
    with.sql.push_str(if place.has_with { "," } else { "\n" });

    let Body { mut sql, mut map } = body;
    map.splice(place.at, with.sql.len(), with.map.moved(place.at));
    sql.insert_str(place.at, &with.sql);
    Body { sql, map }
}

/// Where CTEs go in a query.
struct Place {
    at: usize,
    has_with: bool,
}

fn place(sql: &str) -> Place {
    let start = skip_blanks(sql, 0);
    let Some(after_with) = keyword(sql, start, "with") else { return Place { at: start, has_with: false } };
    let next = skip_blanks(sql, after_with);
    Place { at: keyword(sql, next, "recursive").unwrap_or(after_with), has_with: true }
}

/// One past the word `word`, if it stands at `at`.
fn keyword(sql: &str, at: usize, word: &str) -> Option<usize> {
    let end = at + word.len();
    let is_word = sql.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(word));
    let ends = !sql[end.min(sql.len())..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (is_word && ends).then_some(end)
}

/// The first byte from `at` on that is neither blank nor in a comment.
fn skip_blanks(sql: &str, mut at: usize) -> usize {
    loop {
        let rest = &sql[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let comment = if trimmed.starts_with("--") {
            trimmed.find('\n').map(|end| end + 1)
        } else if trimmed.starts_with("/*") {
            trimmed.find("*/").map(|end| end + 2)
        } else {
            None
        };
        match comment {
            Some(length) => at += length,
            None => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctes_come_first_and_in_their_order() {
        let one = Body { sql: "select 1".into(), map: SourceMap::default() };
        let injected = |sql: &str| {
            let ctes = [Cte { name: "a".into(), body: &one }, Cte { name: "b".into(), body: &one }];
            inject(Body { sql: sql.into(), map: SourceMap::default() }, &ctes).sql.replace('\n', " ")
        };
        assert_eq!(injected("-- x\nselect 2"), "-- x with a as ( select 1 ), b as ( select 1 ) select 2");
        assert_eq!(
            injected("/* */ WITH c as (select 3) select 2"),
            "/* */ WITH a as ( select 1 ), b as ( select 1 ), c as (select 3) select 2"
        );
        assert_eq!(
            injected("with recursive c as (x) y"),
            "with recursive a as ( select 1 ), b as ( select 1 ), c as (x) y"
        );
        assert_eq!(injected("without"), "with a as ( select 1 ), b as ( select 1 ) without");
    }
}
