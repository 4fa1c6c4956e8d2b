//! How is a name written in SQL?

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::base::TableName;

/// Words that a name must be quoted to be. Quoting too many does no harm.
static RESERVED: LazyLock<HashSet<&str>> = LazyLock::new(|| RESERVED_WORDS.split(' ').collect());
const RESERVED_WORDS: &str = "\
    all analyze and anti any array as asc asof between both by case cast cluster column connect \
    constraint create cross cube current current_date current_time current_timestamp default delete \
    desc describe distinct distribute do drop else end except exists explain extract false fetch filter \
    final for format from full global group having if in inner insert intersect interval into is join \
    lateral leading left like limit match_recognize merge minus natural not null offset on or order \
    outer over partition pivot prewhere primary qualify recursive references right rollup row rows \
    sample select semi set settings some sort start table tablesample then to top trailing trim true \
    truncate union unique unnest unpivot update use user using values view when where window with \
    within";

/// One part of a name, in quotes if SQL would not read it as a name otherwise.
pub(super) fn quoted(part: &str) -> String {
    let starts_well = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_plain =
        starts_well && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain && !RESERVED.contains(part) { part.to_owned() } else { in_quotes(part) }
}

/// A name in quotes, whether it needs them or not, as templates of dbt get it: they compare it as a text.
pub(super) fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The column that a setting names, which may stand in quotes there: `"Id"` is `Id`. Anything else stays as it is.
pub(super) fn unquoted(written: String) -> String {
    let within =
        |quote: char| written.strip_prefix(quote)?.strip_suffix(quote).filter(|name| !name.contains(quote));
    within('"').or_else(|| within('`')).filter(|name| !name.is_empty()).map(str::to_owned).unwrap_or(written)
}

/// A table's name as SQL.
pub(super) fn shown(name: &TableName) -> String {
    format!("{}.{}", quoted(name.schema()), quoted(name.table()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_be_named_in_quotes() {
        let names = ["id", "\"A b\"", "`x`", "\"a\" || \"b\"", "\""].map(|name| unquoted(name.to_owned()));
        assert_eq!(names, ["id", "A b", "x", "\"a\" || \"b\"", "\""]);
    }

    #[test]
    fn names_are_quoted_only_if_needed() {
        for (name, sql) in [
            ("main.orders", "main.orders"),
            ("main.order", "main.\"order\""),
            ("my-crm.a$", "\"my-crm\".\"a$\""),
        ] {
            assert_eq!(shown(&name.parse().unwrap()), sql);
        }
    }
}
