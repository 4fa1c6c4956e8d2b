//! What stands `:name` for?

use std::collections::BTreeMap;
use std::fmt;

use super::scan::{Kind, scan};

/// The variables of a sitting. `:name` is a value as it was given, `:'name'` the value as a text, `:"name"` as a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

/// A statement with values in the places of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) sql: String,
    /// Where pieces begin here, where they began as typed, and whether they are values.
    pieces: Vec<(usize, usize, bool)>,
}

impl Filled {
    /// Where a byte of it was typed: what is in a value, at the name of its variable.
    pub(super) fn typed(&self, at: usize) -> usize {
        match self.pieces.iter().rev().find(|(begin, ..)| *begin <= at) {
            Some((begin, typed, false)) => typed + at - begin,
            Some((_, typed, true)) => *typed,
            None => at,
        }
    }
}

impl Variables {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The statement with values in the places of variables; nothing if it has none. What is not a variable stays,
    /// `::` is a cast, and nothing is replaced inside a text, a quoted name or a comment.
    pub(super) fn fill(&self, sql: &str) -> Option<String> {
        self.filled(sql).map(|filled| filled.sql)
    }

    /// The same, with where each piece was typed.
    pub(super) fn filled(&self, sql: &str) -> Option<Filled> {
        if self.0.is_empty() || !sql.contains(':') {
            return None;
        }
        let bits = scan(sql);
        let mut out = String::with_capacity(sql.len());
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(bit) = bits.get(at) {
            let is_colon = |at: usize| bits.get(at).is_some_and(|bit| bit.text == ":");
            // `a[1:n]` is a slice and `1::n` a cast.
            let is_free = at.checked_sub(1).map(|at| &bits[at]).is_none_or(|before| {
                before.kind == Kind::Space || before.kind == Kind::Sign && !")]}:".contains(before.text)
            });
            let begins = bit.text == ":" && is_free && !is_colon(at + 1);
            match bits.get(at + 1).filter(|_| begins).and_then(|name| self.value(name.kind, name.text)) {
                Some(value) => {
                    let after = bits[at + 1].end();
                    pieces.extend([(out.len(), bit.start, true), (out.len() + value.len(), after, false)]);
                    out.push_str(&value);
                    at += 2;
                }
                None => {
                    out.push_str(bit.text);
                    at += 1;
                }
            }
        }
        let is_changed = !pieces.is_empty();
        is_changed.then_some(Filled { sql: out, pieces })
    }

    fn value(&self, kind: Kind, text: &str) -> Option<String> {
        match kind {
            Kind::Word => self.0.get(text).cloned(),
            Kind::Text => {
                let value = self.0.get(text.trim_matches('\''))?;
                Some(format!("'{}'", value.replace('\'', "''")))
            }
            Kind::Quoted => {
                let value = self.0.get(text.trim_matches('"'))?;
                Some(format!("\"{}\"", value.replace('"', "\"\"")))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name} = {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_where_they_are_named() {
        let mut variables = Variables::default();
        variables.set("n".to_owned(), "3".to_owned());
        variables.set("who".to_owned(), "it's".to_owned());
        let filled = |sql: &str| variables.fill(sql);
        assert_eq!(filled("select :n, :'who', :\"n\"").as_deref(), Some("select 3, 'it''s', \"3\""));
        let typed = "select :n, :'who' + x";
        let told = variables.filled(typed).unwrap();
        for (word, place) in [("select", 0), ("3", 7), ("'it''s'", 11), ("x", 20)] {
            assert_eq!(told.typed(told.sql.find(word).unwrap()), place, "{word}");
        }
        for sql in [
            "select a[1:n]",
            "select {'a':n}",
            "select 1::n",
            "select ':n'",
            "select :other",
            "select 1 -- :n",
            "select 1",
        ] {
            assert_eq!(filled(sql), None, "{sql}");
        }
    }
}
