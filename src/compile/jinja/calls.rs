//! Which macros does a text call, as far as that can be seen without rendering it?
//!
//! Names before a `(` inside tags, and what `adapter.dispatch('name', 'package')` would find.

use std::collections::BTreeSet;

use super::macros::MacroLibrary;
use super::pieces::{PieceKind, pieces};

/// The ids of the macros that a macro of `package` calls.
pub(super) fn calls_of(macros: &MacroLibrary, package: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for piece in pieces(text) {
        if matches!(piece.kind, PieceKind::Expression | PieceKind::Statement) {
            in_tag(macros, package, &text[piece.at.start + 2..piece.at.end.saturating_sub(2)], &mut found);
        }
    }
    found
}

fn in_tag(macros: &MacroLibrary, package: &str, code: &str, found: &mut BTreeSet<String>) {
    let words = words(code);
    for (at, word) in words.iter().enumerate() {
        let is_call = words.get(at + 1).is_some_and(|next| next == "(");
        // After these a macro is defined, or a filter is named.
        let is_other = at > 0 && matches!(words[at - 1].as_str(), "macro" | "test" | "materialization" | "|");
        if !is_call || is_other || !word.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            continue;
        }
        let block = match word.split_once('.') {
            Some(("adapter", "dispatch")) => {
                let text = |at: usize| words.get(at)?.strip_prefix('\'').map(str::to_owned);
                let Some(name) = text(at + 2) else { continue };
                let second = words.get(at + 3).filter(|comma| *comma == ",").and_then(|_| {
                    let named = words.get(at + 4).is_some_and(|word| word == "macro_namespace");
                    if named { text(at + 6) } else { text(at + 4) }
                });
                let (namespace, name) = match name.split_once('.') {
                    Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
                    None => (second, name),
                };
                macros.dispatch(&name, namespace.as_deref(), &[], package)
            }
            Some((of, name)) if !name.contains('.') => macros.of(of, name),
            Some(_) => None,
            None => macros.users(package, word).or_else(|| macros.builtin(word)),
        };
        found.extend(block.map(|block| format!("macro.{}.{}", block.package, block.name)));
    }
}

/// The words of a tag: names with their dots, strings with a `'` before them, and single signs.
fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        if letter == '\'' || letter == '"' {
            let mut word = String::from('\'');
            while let Some(inside) = letters.next() {
                match inside {
                    '\\' => word.extend(letters.next()),
                    inside if inside == letter => break,
                    inside => word.push(inside),
                }
            }
            words.push(word);
        } else if is_word(letter) {
            let mut word = String::from(letter);
            while let Some(more) = letters.next_if(|more| is_word(*more)) {
                word.push(more);
            }
            words.push(word);
        } else if !letter.is_whitespace() {
            words.push(letter.to_string());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_cut_into_words() {
        assert_eq!(
            words("return(adapter.dispatch('a b', \"p\")(x))").join("|"),
            "return|(|adapter.dispatch|(|'a b|,|'p|)|(|x|)|)"
        );
    }
}
