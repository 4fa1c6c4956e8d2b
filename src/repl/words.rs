//! Of which words is a command's line?

/// The words of a line, as a system's shell takes them: quotes keep spaces together, a backslash keeps what follows.
/// Nothing, if a quote has no end.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        let told = |line| words(line).map(|words| words.join("|"));
        assert_eq!(told("-s a  --vars '{\"x\": 1}'").as_deref(), Some("-s|a|--vars|{\"x\": 1}"));
        assert_eq!(told("a\\ b \"c d\"e ''").as_deref(), Some("a b|c de|"));
        assert_eq!(told("'open"), None);
        assert_eq!(told("").as_deref(), Some(""));
    }
}
