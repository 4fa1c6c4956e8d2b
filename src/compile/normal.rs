//! What does a query say, whatever it looks like?
//!
//! [`normal`] takes off comments, line breaks, indentation and the case of keywords, so that two texts that differ
//! in nothing else are one. It works on the words of the query and not on its meaning: what it cannot read
//! it leaves as it is, and a query that is written in another way is another query.

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

/// The words whose case says nothing: those that cannot be a column's name.
const WITHOUT_CASE: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::DISTINCT,
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::BY,
    Keyword::HAVING,
    Keyword::QUALIFY,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::JOIN,
    Keyword::INNER,
    Keyword::LEFT,
    Keyword::RIGHT,
    Keyword::FULL,
    Keyword::OUTER,
    Keyword::CROSS,
    Keyword::ON,
    Keyword::USING,
    Keyword::UNION,
    Keyword::ALL,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::WITH,
    Keyword::AS,
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IN,
    Keyword::IS,
    Keyword::NULL,
    Keyword::BETWEEN,
    Keyword::LIKE,
    Keyword::CASE,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::END,
    Keyword::OVER,
    Keyword::PARTITION,
    Keyword::ASC,
    Keyword::DESC,
];

/// Returns the words of a query, a space between them; the query as it is, if its words cannot be told apart.
pub(super) fn normal(sql: &str) -> String {
    let Some(mut tokens) = tokens(sql) else { return sql.to_owned() };
    if tokens.last() == Some(&Token::SemiColon) {
        tokens.pop();
    }
    let words = tokens.into_iter().map(|token| match token {
        Token::Word(word) if word.quote_style.is_some() => format!("{:?}", word.to_string()),
        Token::Word(word) if WITHOUT_CASE.contains(&word.keyword) => word.value.to_lowercase(),
        Token::Word(word) => word.value,
        // As a program has it: where a text ends stays clear, whatever is in it.
        token => format!("{token:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a query gives only so many of its rows, somewhere in it.
pub(super) fn has_limit(sql: &str) -> bool {
    let is_limit = |token: &Token| match token {
        Token::Word(word) => {
            word.quote_style.is_none() && matches!(word.keyword, Keyword::LIMIT | Keyword::FETCH)
        }
        _ => false,
    };
    tokens(sql).is_none_or(|tokens| tokens.iter().any(is_limit))
}

fn tokens(sql: &str) -> Option<Vec<Token>> {
    let mut tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_do_not_count_and_words_do() {
        let plain = normal("select a, 'it''s -- x' as b from t where c = 1");
        let same = [
            "SELECT a,\n  'it''s -- x' AS b -- why\nFROM t\n/* not\nyet */ WHERE c=1",
            "select a ,'it''s -- x' as b from t where c = 1 ;\n",
        ];
        for text in same {
            assert_eq!(normal(text), plain, "{text}");
        }
        let others = [
            "select a, 'it''s  -- x' as b from t where c = 1",
            "select A, 'it''s -- x' as b from t where c = 1",
            "select a, 'it''s -- x' as \"b\" from t where c = 1",
            "select a, 'it''s -- x' as b from t where c = 1.0",
            "select a, 'it''s -- x' as b from t where c = 'unclosed",
        ];
        for text in others {
            assert_ne!(normal(text), plain, "{text}");
        }
        assert_ne!(normal("select 'a' 'b'"), normal("select 'a'' ''b'"));
    }

    #[test]
    fn a_limit_is_found_as_a_word() {
        assert!(has_limit("select * from t LIMIT 5") && has_limit("select 1 fetch first 2 rows only"));
        assert!(!has_limit("select 'limit' as x, limit_1 from t -- limit"));
    }
}
