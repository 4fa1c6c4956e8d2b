//! How are lists written in PostgreSQL?
//!
//! `{1,2,NULL,"a, b"}`, and lists within lists. Clients send them so, and people write them into SQL with a cast: `'{1,2}'::int[]`.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer};

/// What stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Null,
    Text(String),
    List(Vec<Item>),
}

/// Lists within lists at most.
const DEEPEST: usize = 6;

/// Reads a list; nothing if it is none.
pub(super) fn read(text: &str) -> Option<Vec<Item>> {
    // `[0:1]={…}` tells where it begins to count.
    let text = text.trim();
    let text = match text.split_once("={") {
        Some((bounds, _)) if text.starts_with('[') => &text[bounds.len() + 1..],
        _ => text,
    };
    let mut letters = text.chars().peekable();
    let list = list(&mut letters, 0)?;
    letters.all(char::is_whitespace).then_some(list)
}

fn list(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, depth: usize) -> Option<Vec<Item>> {
    if letters.next() != Some('{') || depth == DEEPEST {
        return None;
    }
    let mut items = Vec::new();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.peek()? {
            '}' if items.is_empty() => {
                letters.next();
                return Some(items);
            }
            '{' => items.push(Item::List(list(letters, depth + 1)?)),
            '"' => {
                letters.next();
                let mut text = String::new();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => text.push(letters.next()?),
                        letter => text.push(letter),
                    }
                }
                items.push(Item::Text(text));
            }
            _ => {
                let mut text = String::new();
                let mut is_plain = true;
                while let Some(letter) = letters.next_if(|letter| ![',', '}', '{', '"'].contains(letter)) {
                    if letter == '\\' {
                        is_plain = false;
                        text.push(letters.next()?);
                    } else {
                        text.push(letter);
                    }
                }
                let text = text.trim_end();
                match text {
                    "" => return None,
                    text if is_plain && text.eq_ignore_ascii_case("null") => items.push(Item::Null),
                    text => items.push(Item::Text(text.to_owned())),
                }
            }
        }
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.next()? {
            ',' => {}
            '}' => return Some(items),
            _ => return None,
        }
    }
}

/// The places that stand for a list, counted from 0: those of `any($1)` and `all($1)`.
pub(super) fn asked(sql: &str) -> Vec<usize> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap_or_default();
    let solid: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let place = |window: &[&Token]| match window {
        [Token::Word(word), Token::LParen, Token::Placeholder(place), Token::RParen]
            if ["any", "all", "some"].contains(&word.value.to_lowercase().as_str()) =>
        {
            place.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
        }
        _ => None,
    };
    solid.windows(4).filter_map(place).collect()
}

/// The same statement with a value in each place that stands for a list: of `a = any($1)` it is `a = ($1)`.
pub(super) fn alone(sql: &str) -> String {
    let tokens =
        Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize().unwrap_or_default();
    let next = |at: usize| {
        tokens[at + 1..]
            .iter()
            .filter(|token| !matches!(token, Token::Whitespace(_)))
            .take(2)
            .collect::<Vec<_>>()
    };
    let is_asking = |at: usize, token: &Token| {
        let Token::Word(word) = token else { return false };
        ["any", "all", "some"].contains(&word.value.to_lowercase().as_str())
            && matches!(next(at)[..], [Token::LParen, Token::Placeholder(_)])
    };
    let kept = tokens.iter().enumerate().filter(|(at, token)| !is_asking(*at, token));
    kept.map(|(_, token)| token.to_string()).collect()
}

/// A statement with lists as the lake writes them, where it casts texts to lists: `'{1,2}'::int[]` is `make_array('1', '2')::int[]`.
pub(super) fn spelled(sql: &str) -> Option<String> {
    if !sql.contains("'{") {
        return None;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().ok()?;
    let solid: Vec<_> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let lines: Vec<usize> = std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let byte = |place: Location| {
        let start = *lines.get(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
        sql[start..]
            .char_indices()
            .map(|(at, _)| at)
            .chain([sql.len() - start])
            .nth(column)
            .map(|at| start + at)
    };
    let (mut spelled, mut done) = (String::new(), 0);
    for (at, token) in solid.iter().enumerate() {
        let Token::SingleQuotedString(text) = &token.token else { continue };
        let is_cast = solid.get(at + 1).is_some_and(|next| next.token == Token::DoubleColon);
        // The type, whatever its words, ends with `[]`.
        let after = solid.iter().skip(at + 2).take(6).map(|next| &next.token);
        let mut words = after.skip_while(|token| matches!(token, Token::Word(_) | Token::Period));
        let is_list =
            is_cast && words.next() == Some(&Token::LBracket) && words.next() == Some(&Token::RBracket);
        let Some(items) = is_list.then(|| read(text)).flatten() else { continue };
        spelled.push_str(sql.get(done..byte(token.span.start)?)?);
        spelled.push_str(&make(&items));
        done = byte(token.span.end)?;
    }
    (done > 0).then(|| spelled + &sql[done..])
}

fn make(items: &[Item]) -> String {
    let item = |item: &Item| match item {
        Item::Null => "NULL".to_owned(),
        Item::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Item::List(items) => make(items),
    };
    format!("make_array({})", items.iter().map(item).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Item {
        Item::Text(text.to_owned())
    }

    #[test]
    fn a_list_is_asked_for_one_of_its_items() {
        let sql = "select * from t where a = ANY ($1) and b = $2 and c = all($3)";
        assert_eq!(asked(sql), [0, 2]);
        assert_eq!(alone(sql), "select * from t where a =  ($1) and b = $2 and c = ($3)");
    }

    #[test]
    fn lists_are_read_as_postgresql_writes_them() {
        assert_eq!(read("{}"), Some(vec![]));
        assert_eq!(read("{1, NULL ,\"NULL\"}"), Some(vec![text("1"), Item::Null, text("NULL")]));
        assert_eq!(read(r#"{"a,b","c\"d\\",{}}"#).map(|items| items.len()), Some(3));
        assert_eq!(read(r#"{"a,b","c\"d\\"}"#), Some(vec![text("a,b"), text("c\"d\\")]));
        assert_eq!(read("{{1},{2}}"), Some(vec![Item::List(vec![text("1")]), Item::List(vec![text("2")])]));
        assert_eq!(read("[0:1]={1,2}"), Some(vec![text("1"), text("2")]));
        for nonsense in ["", "1", "{", "{1", "{1,}", "{1}}", "{\"a}", "{{{{{{{{1}}}}}}}}"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn places_for_lists_are_told_from_others() {
        assert_eq!(asked("select $1 where a = ANY ($2) and b <> all($3) and c = any(array[$4])"), [1, 2]);
    }

    #[test]
    fn texts_that_are_cast_to_lists_are_spelled_out() {
        let sql = "select 'ü',\n '{1,2}'::int[], '{a,b}'::varchar, '{\"it''s\"}'::text[] from t";
        assert_eq!(
            spelled(sql).unwrap(),
            "select 'ü',\n make_array('1', '2')::int[], '{a,b}'::varchar, make_array('it''s')::text[] from t"
        );
        assert_eq!(spelled("select '{1}'"), None);
        assert_eq!(spelled("select 1"), None);
    }
}
