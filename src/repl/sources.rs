//! What does a statement read, as far as it is typed?
//!
//! Tables with their aliases, queries in brackets, and the queries that `with` gives names to. Columns of a query are
//! those of its text, asked for as a query of its own.

use super::scan::{Bit, Kind};

/// Where columns come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `orders`, `crm.people`
    Table(String),
    /// A query, which can be asked as it stands.
    Query(String),
}

/// A source, and the name that it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) source: Source,
    pub(super) alias: String,
    /// Whether it is one that `with` names, and nothing reads yet.
    pub(super) is_cte: bool,
}

/// What a statement reads, in the order in which it is named. `text` is what was typed up to here, `begun` the pieces
/// of the statement in it, and `bits` those of the statement, as far as it goes.
pub(super) fn sources<'a>(text: &str, begun: &[Bit<'a>], bits: impl Iterator<Item = Bit<'a>>) -> Vec<Read> {
    let solid = |bit: &Bit<'_>| !matches!(bit.kind, Kind::Space | Kind::Comment);
    let typed: Vec<Bit<'a>> = begun.iter().copied().filter(|bit| solid(bit)).collect();
    let (ctes, end) = ctes(text, &typed);
    // What a query of the WITH reads is seen only in its own brackets.
    let bits: Vec<Bit<'a>> = bits.filter(|bit| solid(bit) && bit.start >= end).collect();
    let mut read = tables(text, &bits, &ctes);
    read.extend(ctes.into_iter().filter(|(alias, _)| !alias.is_empty()).map(|(alias, sql)| Read {
        source: Source::Query(sql),
        alias,
        is_cte: true,
    }));
    read
}

/// The names that `with` gives, each with a query for its rows; and where the last of those queries ends.
fn ctes(text: &str, typed: &[Bit<'_>]) -> (Vec<(String, String)>, usize) {
    let (mut found, mut end) = (Vec::new(), 0);
    let Some(start) = typed.first().filter(|bit| bit.is("with")) else { return (found, end) };
    let mut at = 1 + usize::from(typed.get(1).is_some_and(|bit| bit.is("recursive")));
    while let Some(name) = typed.get(at).filter(|bit| is_name(bit)) {
        let Some(open) = (at + 1..typed.len()).find(|at| typed[*at].text == "(" && typed[at - 1].is("as"))
        else {
            break;
        };
        let Some(close) = closing(typed, open) else { break };
        end = typed[close].end();
        let head = &text[start.start..end];
        found.push((plain(name), format!("{head} select * from {}", name.text)));
        if typed.get(close + 1).is_none_or(|bit| bit.text != ",") {
            break;
        }
        at = close + 2;
    }
    (found, end)
}

/// Where the bracket at `open` is closed.
fn closing(bits: &[Bit<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (open..bits.len()).find(|at| {
        match bits[*at].text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// Words after which stands what is read, or changed.
const BEFORE: [&str; 8] = ["from", "join", "into", "update", "pivot", "unpivot", "table", "summarize"];

fn tables(text: &str, bits: &[Bit<'_>], ctes: &[(String, String)]) -> Vec<Read> {
    let mut read = Vec::new();
    let mut at = 0;
    let mut expects = false;
    while at < bits.len() {
        let bit = &bits[at];
        if BEFORE.iter().any(|word| bit.is(word)) {
            expects = true;
            at += 1;
            continue;
        }
        if expects
            && bit.text == "("
            && bits.get(at + 1).is_some_and(|next| next.is("select") || next.is("from"))
        {
            if let Some(close) = closing(bits, at) {
                let alias = usize::from(bits.get(close + 1).is_some_and(|bit| bit.is("as"))) + close + 1;
                if let Some(alias) =
                    bits.get(alias).filter(|bit| is_name(bit) && !super::complete::is_keyword(bit.text))
                    && let Some(inside) = text.get(bit.start..bits[close].end())
                {
                    let source = Source::Query(format!("select * from {inside}"));
                    read.push(Read { source, alias: plain(alias), is_cte: false });
                }
            }
            // What is inside is read too: the cursor may be there.
            expects = false;
            at += 1;
            continue;
        }
        if expects && is_name(bit) {
            let mut table = plain(bit);
            at += 1;
            while let [dot, name, ..] = &bits[at..]
                && dot.text == "."
                && is_name(name)
            {
                table = format!("{table}.{}", plain(name));
                at += 2;
            }
            if bits.get(at).is_some_and(|bit| bit.is("as")) {
                at += 1;
            }
            let alias =
                bits.get(at).filter(|bit| is_name(bit) && !super::complete::is_keyword(bit.text)).map(plain);
            let own = table.rsplit('.').next().unwrap_or_default().to_owned();
            let source = match ctes.iter().find(|(name, _)| *name == table) {
                Some((_, sql)) => Source::Query(sql.clone()),
                None => Source::Table(table),
            };
            read.push(Read { source, alias: alias.unwrap_or(own), is_cte: false });
            expects = false;
            continue;
        }
        // `from a, b`: a comma goes on with tables until the next clause.
        expects = bit.text == "," && in_from(&bits[..at].iter().collect::<Vec<_>>());
        at += 1;
    }
    read
}

fn is_name(bit: &Bit<'_>) -> bool {
    matches!(bit.kind, Kind::Word | Kind::Quoted)
}

/// Whether the last clause that began is a `from`.
pub(super) fn in_from(bits: &[&Bit<'_>]) -> bool {
    let clauses = [
        "from", "join", "on", "using", "where", "select", "group", "order", "having", "set", "by", "qualify",
    ];
    let last = bits.iter().rev().find(|bit| clauses.iter().any(|clause| bit.is(clause)));
    last.is_some_and(|bit| bit.is("from"))
}

/// A name as the lake knows it: without quotes, or in lower case.
pub(super) fn plain(bit: &Bit<'_>) -> String {
    match bit.kind {
        Kind::Quoted => bit.text.trim_matches('"').replace("\"\"", "\""),
        _ => bit.text.to_lowercase(),
    }
}
