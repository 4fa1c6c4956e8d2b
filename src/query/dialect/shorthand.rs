//! Which short forms are put into longer words before the parser reads them?
//!
//! DuckDB's `[x * 2 for x in list if x > 1]`, `select total: a + b`, `filter (a > 1)` without WHERE, and `table t`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Whitespace};

use crate::query::SqlMistake;

type Tokens = Vec<TokenWithSpan>;

/// Puts them into the parser's words.
///
/// # Errors
/// A comprehension that is half written.
pub(super) fn spell(mut tokens: Tokens) -> Result<Tokens, SqlMistake> {
    signs(&mut tokens);
    tops(&mut tokens);
    alike(&mut tokens);
    functions(&mut tokens);
    frames(&mut tokens)?;
    percents(&mut tokens);
    unpacked(&mut tokens);
    blanks(&mut tokens);
    whole_table(&mut tokens);
    intervals(&mut tokens);
    filters(&mut tokens);
    labels(&mut tokens);
    comprehensions(tokens)
}

fn solid(tokens: &[TokenWithSpan]) -> Vec<usize> {
    (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect()
}

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn is_open(token: &Token) -> bool {
    matches!(token, Token::LParen | Token::LBracket | Token::LBrace)
}

fn is_close(token: &Token) -> bool {
    matches!(token, Token::RParen | Token::RBracket | Token::RBrace)
}

/// What `limit 10%` calls for so many percent of the rows.
pub(in crate::query) const PERCENT: &str = "_elt_percent";

fn is_word(token: &TokenWithSpan, wanted: &[&str]) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none()
        && wanted.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted)))
}

fn plain(word: &str, near: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_word(word, None), span: near.span }
}

/// `create function f(a, b) as …` is a macro, as in DuckDB, if it says nothing of types.
fn functions(tokens: &mut Tokens) {
    let at = solid(tokens);
    let Some(place) = at.iter().take(5).position(|index| is_word(&tokens[*index], &["function"])) else {
        return;
    };
    let before = &at[..place];
    let is_create = before.first().is_some_and(|first| is_word(&tokens[*first], &["create"]))
        && before[1..].iter().all(|index| is_word(&tokens[*index], &["or", "replace", "temp", "temporary"]));
    let rest = &at[place + 1..];
    let open = rest.get(1).is_some_and(|index| tokens[*index].token == Token::LParen);
    let close = rest.iter().position(|index| tokens[*index].token == Token::RParen);
    let Some(close) = close.filter(|_| is_create && open) else { return };
    let is_plain = rest[2..close].windows(2).all(|pair| {
        !matches!((&tokens[pair[0]].token, &tokens[pair[1]].token), (Token::Word(_), Token::Word(_)))
    });
    let is_as = rest.get(close + 1).is_some_and(|index| keyword(&tokens[*index]) == Keyword::AS);
    let is_text = rest.get(close + 2).is_some_and(|index| {
        matches!(tokens[*index].token, Token::SingleQuotedString(_) | Token::DollarQuotedString(_))
    });
    if is_plain && is_as && !is_text {
        tokens[at[place]].token = Token::make_keyword("MACRO");
    }
}

/// `@a` and `@(a` are words to the tokenizer: they are the sign, and what follows it.
fn signs(tokens: &mut Tokens) {
    for at in (0..tokens.len()).rev() {
        let Token::Word(word) = &tokens[at].token else { continue };
        let Some(rest) = word.value.strip_prefix('@').filter(|_| word.quote_style.is_none()) else {
            continue;
        };
        let Ok(rest) = super::tokenize(rest) else { continue };
        let sign = tokens[at].span.start;
        let moved = |place: Location| Location { line: sign.line, column: sign.column + place.column };
        let rest = rest.into_iter().map(|token| {
            let span = Span::new(moved(token.span.start), moved(token.span.end));
            TokenWithSpan::new(token.token, span)
        });
        let rest: Vec<TokenWithSpan> = rest.collect();
        tokens[at].token = Token::AtSign;
        tokens.splice(at + 1..at + 1, rest);
    }
}

/// `top` is a name, unless a number of rows follows.
fn tops(tokens: &mut Tokens) {
    let at = solid(tokens);
    for (place, index) in at.iter().enumerate() {
        let next = at.get(place + 1).map(|next| &tokens[*next].token);
        if keyword(&tokens[*index]) == Keyword::TOP
            && !matches!(next, Some(Token::Number(..) | Token::LParen))
        {
            tokens[*index] = plain_name(&tokens[*index]);
        }
    }
}

/// The same word as a name, which no clause begins with.
fn plain_name(token: &TokenWithSpan) -> TokenWithSpan {
    let mut named = token.clone();
    if let Token::Word(word) = &mut named.token {
        word.keyword = Keyword::NoKeyword;
    }
    named
}

/// `select * like 'a%'` selects the columns whose names are so, as in DuckDB.
fn alike(tokens: &mut Tokens) {
    let at = solid(tokens);
    for place in (1..at.len()).rev() {
        let token = |offset: usize| at.get(place + offset).map(|index| &tokens[*index]);
        let before = &tokens[at[place - 1]];
        let begins = is_word(before, &["select", "distinct"]) || before.token == Token::Comma;
        let negated = usize::from(token(1).is_some_and(|next| is_word(next, &["not"])));
        let is_like = token(1 + negated).is_some_and(|next| is_word(next, &["like", "glob"]));
        let is_text =
            token(2 + negated).is_some_and(|text| matches!(text.token, Token::SingleQuotedString(_)));
        if !(begins && is_like && is_text && tokens[at[place]].token == Token::Mul) {
            continue;
        }
        let near = tokens[at[place]].clone();
        let sign = |token: Token| TokenWithSpan { token, span: near.span };
        let blank = || sign(Token::Whitespace(Whitespace::Space));
        let close = at[place + 2 + negated] + 1;
        tokens.insert(close, sign(Token::RParen));
        let begun = [
            plain("columns", &near),
            sign(Token::LParen),
            plain(ALIKE, &near),
            blank(),
            sign(Token::Arrow),
            blank(),
            plain(ALIKE, &near),
        ];
        tokens.splice(at[place]..=at[place], begun);
    }
}

/// What the name of a column is called that is looked at.
const ALIKE: &str = "_elt_c";

/// A frame that leaves no row out is a frame. One that does is refused: the engine has none.
fn frames(tokens: &mut Tokens) -> Result<(), SqlMistake> {
    let at = solid(tokens);
    for place in (0..at.len()).rev() {
        let token = |offset: usize| at.get(place + offset).map(|index| &tokens[*index]);
        let is = |offset: usize, wanted: &[&str]| token(offset).is_some_and(|token| is_word(token, wanted));
        let before = place.checked_sub(1).map(|before| &tokens[at[before]]);
        let in_frame = before.is_some_and(|before| is_word(before, &["row", "preceding", "following"]));
        if !in_frame || !is(0, &["exclude"]) {
            continue;
        }
        if is(1, &["no"]) && is(2, &["others"]) {
            tokens.drain(at[place]..=at[place + 2]);
        } else if is(1, &["current", "group", "ties"]) {
            let start = tokens[at[place]].span.start;
            let mistake = SqlMistake::new(
                "elt::sql::not_supported",
                "EXCLUDE in the frame of a window is not supported",
            );
            return Err(mistake.at(start.line, start.column).help(
                "take the row's own part off: `sum(x) over w - x`; or frame both sides: `rows between unbounded preceding \
                 and 1 preceding` and `rows between 1 following and unbounded following`",
            ));
        }
    }
    Ok(())
}

/// `limit 10%` and `limit 10 percent` call for so many percent.
fn percents(tokens: &mut Tokens) {
    let at = solid(tokens);
    for place in (0..at.len()).rev() {
        let token = |offset: usize| at.get(place + offset).map(|index| &tokens[*index]);
        let is_share = keyword(&tokens[at[place]]) == Keyword::LIMIT
            && token(1).is_some_and(|number| matches!(number.token, Token::Number(..)))
            && token(2).is_some_and(|sign| sign.token == Token::Mod || is_word(sign, &["percent"]));
        // `10 % 3` is a number.
        let ends = token(3).is_none_or(|next| {
            matches!(next.token, Token::RParen | Token::SemiColon | Token::EOF | Token::Comma)
                || is_word(next, &["offset", "union", "except", "intersect"])
        });
        if !(is_share && ends) {
            continue;
        }
        let near = tokens[at[place + 1]].clone();
        let bracket = |token: Token| TokenWithSpan { token, span: near.span };
        let call = [plain(PERCENT, &near), bracket(Token::LParen), near.clone(), bracket(Token::RParen)];
        tokens.splice(at[place + 1]..=at[place + 2], call);
    }
}

/// `coalesce(*columns(…))` has as many arguments as there are columns.
fn unpacked(tokens: &mut Tokens) {
    let at = solid(tokens);
    for four in at.windows(4).rev() {
        let is_spread = matches!(tokens[four[0]].token, Token::LParen | Token::Comma)
            && tokens[four[1]].token == Token::Mul
            && is_word(&tokens[four[2]], &["columns"])
            && tokens[four[3]].token == Token::LParen;
        if is_spread {
            tokens[four[2]] = plain(UNPACKED, &tokens[four[2]].clone());
            tokens.remove(four[1]);
        }
    }
}

/// What the arguments are called that are columns of a table.
pub(in crate::query) const UNPACKED: &str = "_elt_unpacked";

/// `trim(leading from a)` takes blanks off.
fn blanks(tokens: &mut Tokens) {
    let at = solid(tokens);
    for four in at.windows(4).rev() {
        let is_bare = is_word(&tokens[four[0]], &["trim"])
            && tokens[four[1]].token == Token::LParen
            && is_word(&tokens[four[2]], &["leading", "trailing", "both"])
            && keyword(&tokens[four[3]]) == Keyword::FROM;
        if is_bare {
            let span = tokens[four[3]].span;
            let blank = |token: Token| TokenWithSpan { token, span };
            let between = [
                blank(Token::SingleQuotedString(" ".to_owned())),
                blank(Token::Whitespace(Whitespace::Space)),
            ];
            tokens.splice(four[3]..four[3], between);
        }
    }
}

/// `table t` is `from t`, where a query begins.
fn whole_table(tokens: &mut [TokenWithSpan]) {
    let at = solid(tokens);
    for place in 0..at.len() {
        let begins = place == 0 || tokens[at[place - 1]].token == Token::LParen;
        let is_named = at.get(place + 1).is_some_and(|next| matches!(tokens[*next].token, Token::Word(_)));
        if begins && is_named && keyword(&tokens[at[place]]) == Keyword::TABLE {
            tokens[at[place]].token = Token::make_keyword("FROM");
        }
    }
}

/// `interval (2) hours` is `interval 2 hours`: the parser takes what is in the brackets for a precision.
fn intervals(tokens: &mut Tokens) {
    let at = solid(tokens);
    let in_brackets: Vec<[usize; 2]> = at
        .windows(5)
        .filter(|five| {
            keyword(&tokens[five[0]]) == Keyword::INTERVAL
                && tokens[five[1]].token == Token::LParen
                && matches!(tokens[five[2]].token, Token::Number(..))
                && tokens[five[3]].token == Token::RParen
                && matches!(tokens[five[4]].token, Token::Word(_))
        })
        .map(|five| [five[1], five[3]])
        .collect();
    for [open, close] in in_brackets.into_iter().rev() {
        tokens.remove(close);
        tokens.remove(open);
    }
}

/// `sum(a) filter (b > 1)` is `sum(a) filter (where b > 1)`.
fn filters(tokens: &mut Tokens) {
    let at = solid(tokens);
    let missing: Vec<usize> = at
        .windows(4)
        .filter(|four| {
            tokens[four[0]].token == Token::RParen
                && keyword(&tokens[four[1]]) == Keyword::FILTER
                && tokens[four[2]].token == Token::LParen
                && keyword(&tokens[four[3]]) != Keyword::WHERE
        })
        .map(|four| four[3])
        .collect();
    for place in missing.into_iter().rev() {
        let span = tokens[place].span;
        tokens.insert(place, TokenWithSpan { token: Token::make_keyword("WHERE"), span });
    }
}

/// `select total: a + b` is `select a + b as total`.
fn labels(tokens: &mut Tokens) {
    // What is open, and whether it is a select list.
    let mut lists = vec![false];
    let mut begins = false;
    let mut place = 0;
    let mut at = solid(tokens);
    loop {
        let Some(index) = at.get(place).copied() else { return };
        let token = &tokens[index].token;
        if begins && let Some(end) = labelled(tokens, &at, place) {
            let name = tokens[index].clone();
            let token = |token: Token| TokenWithSpan { token, span: name.span };
            let blank = || token(Token::Whitespace(Whitespace::Space));
            let end = at.get(end).copied().unwrap_or(tokens.len());
            let alias = [blank(), token(Token::make_keyword("AS")), blank(), name.clone(), blank()];
            tokens.splice(end..end, alias);
            tokens.drain(index..=at[place + 1]);
            at = solid(tokens);
            begins = false;
            continue;
        }
        let in_list = std::mem::take(&mut begins);
        match token {
            open if is_open(open) => lists.push(false),
            close if is_close(close) => {
                lists.pop();
                if lists.is_empty() {
                    lists.push(false);
                }
            }
            Token::Word(word) if in_list && matches!(word.keyword, Keyword::DISTINCT | Keyword::ALL) => {
                begins = true;
            }
            Token::Comma => begins = lists.last() == Some(&true),
            Token::SemiColon => lists = vec![false],
            Token::Word(word) if word.keyword == Keyword::SELECT => {
                if let Some(list) = lists.last_mut() {
                    *list = true;
                }
                begins = true;
            }
            Token::Word(word) if ends_list(word.keyword) => {
                if let Some(list) = lists.last_mut() {
                    *list = false;
                }
            }
            _ => {}
        }
        place += 1;
    }
}

fn ends_list(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::FROM
            | K::WHERE
            | K::GROUP
            | K::HAVING
            | K::QUALIFY
            | K::WINDOW
            | K::ORDER
            | K::LIMIT
            | K::UNION
            | K::INTERSECT
            | K::EXCEPT
            | K::MINUS
            | K::INTO
    )
}

/// Where the item that begins with `name:` ends, if it does begin so.
fn labelled(tokens: &[TokenWithSpan], at: &[usize], place: usize) -> Option<usize> {
    let name = &tokens[at[place]];
    let is_name = match &name.token {
        Token::Word(word) => word.quote_style.is_some() || !ends_list(word.keyword),
        _ => false,
    };
    let colon = at.get(place + 1)?;
    if !is_name || tokens[*colon].token != Token::Colon || place + 2 >= at.len() {
        return None;
    }
    let mut depth = 0_usize;
    for end in place + 2..at.len() {
        match &tokens[at[end]].token {
            open if is_open(open) => depth += 1,
            close if is_close(close) && depth == 0 => return Some(end),
            close if is_close(close) => depth -= 1,
            Token::Comma | Token::SemiColon | Token::EOF if depth == 0 => return Some(end),
            Token::Word(word) if depth == 0 && ends_list(word.keyword) => return Some(end),
            _ => {}
        }
    }
    Some(at.len())
}

/// `[f(x) for x in list if p(x)]` is `array_transform(array_filter(list, x -> p(x)), x -> f(x))`.
fn comprehensions(mut tokens: Tokens) -> Result<Tokens, SqlMistake> {
    loop {
        let at = solid(&tokens);
        let Some(form) = Comprehension::find(&tokens, &at)? else { return Ok(tokens) };
        let near = tokens[at[form.open]].span;
        let part = |from: usize, to: usize| -> Tokens {
            if from >= to { Vec::new() } else { tokens[at[from]..=at[to - 1]].to_vec() }
        };
        let word = |token: Token| TokenWithSpan { token, span: near };
        let called = |name: &str| [word(Token::make_word(name, None)), word(Token::LParen)];
        let mut out: Tokens = called("array_transform").into();
        let name = part(form.name, form.name + 1);
        let lambda = |body: Tokens| -> Tokens {
            let head = [word(Token::Comma)].into_iter().chain(name.clone());
            let head = head.chain([word(Token::Arrow), word(Token::LParen)]);
            head.chain(body).chain([word(Token::RParen), word(Token::RParen)]).collect()
        };
        let list = part(form.list, form.condition.map_or(form.close, |condition| condition - 1));
        match form.condition {
            Some(condition) => {
                out.extend(called("array_filter"));
                out.extend(list);
                out.extend(lambda(part(condition, form.close)));
            }
            None => out.extend(list),
        }
        out.extend(lambda(part(form.open + 1, form.name - 1)));
        tokens.splice(at[form.open]..=at[form.close], out);
    }
}

/// Where the parts of one are, as places among the tokens that are no blanks.
struct Comprehension {
    open: usize,
    name: usize,
    list: usize,
    /// What is behind IF.
    condition: Option<usize>,
    close: usize,
}

impl Comprehension {
    /// The first that is found.
    fn find(tokens: &[TokenWithSpan], at: &[usize]) -> Result<Option<Self>, SqlMistake> {
        let mut open: Vec<usize> = Vec::new();
        for (place, index) in at.iter().enumerate() {
            let token = &tokens[*index];
            if is_open(&token.token) {
                open.push(place);
            } else if is_close(&token.token) {
                open.pop();
            } else if keyword(token) == Keyword::FOR
                && let Some(start) = open.last()
                && tokens[at[*start]].token == Token::LBracket
            {
                return Self::from(tokens, at, *start, place).map(Some);
            }
        }
        Ok(None)
    }

    fn from(tokens: &[TokenWithSpan], at: &[usize], open: usize, word: usize) -> Result<Self, SqlMistake> {
        let start = tokens[at[word]].span.start;
        let wrong = |what: &str| {
            SqlMistake::new("elt::sql::syntax", what)
                .at(start.line, start.column)
                .help("write `[x * 2 for x in list if x > 1]`")
        };
        let is_name =
            |place: usize| at.get(place).is_some_and(|index| matches!(&tokens[*index].token, Token::Word(_)));
        let is_in = |place: usize| at.get(place).is_some_and(|index| keyword(&tokens[*index]) == Keyword::IN);
        if open + 1 == word || !is_name(word + 1) || !is_in(word + 2) {
            return Err(wrong("this list is made of one name for each item, and of a list"));
        }
        let (mut depth, mut condition) = (0_usize, None);
        for place in word + 3..at.len() {
            let token = &tokens[at[place]];
            if is_open(&token.token) {
                depth += 1;
            } else if is_close(&token.token) && depth > 0 {
                depth -= 1;
            } else if is_close(&token.token) {
                let is_whole = token.token == Token::RBracket
                    && place > word + 3
                    && condition.is_none_or(|condition| condition < place);
                return match is_whole {
                    true => Ok(Self { open, name: word + 1, list: word + 3, condition, close: place }),
                    false => Err(wrong("this list is not closed")),
                };
            } else if depth == 0 && keyword(token) == Keyword::IF && condition.is_none() {
                condition = Some(place + 1);
            }
        }
        Err(wrong("this list is not closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    #[test]
    fn short_forms_are_read_as_the_longer_ones() {
        for (sql, means) in [
            ("table u", "SELECT * FROM u"),
            ("select 1 from (table u)", "SELECT 1 FROM (SELECT * FROM u)"),
            ("select interval (2) hours", "SELECT INTERVAL 2 HOURS"),
            ("select sum(a) filter (b > 1) from t", "SELECT sum(a) FILTER (WHERE b > 1) FROM t"),
            (
                "select x: a + 1, b, y: case when c then 1 end from t",
                "SELECT a + 1 AS x, b, CASE WHEN c THEN 1 END AS y FROM t",
            ),
            ("select distinct x: a from t", "SELECT DISTINCT a AS x FROM t"),
            ("select (select x: max(a) from t), z: 1", "SELECT (SELECT max(a) AS x FROM t), 1 AS z"),
            ("select a::int, {'k': 1} from t", "SELECT a::INT, {'k': 1} FROM t"),
            (
                "select [x * 2 for x in l if x > 1]",
                "SELECT array_transform(array_filter(l, x -> (x > 1)), x -> (x * 2))",
            ),
            (
                "select [[y for y in x] for x in [[1]]]",
                "SELECT array_transform([[1]], x -> (array_transform(x, y -> (y))))",
            ),
        ] {
            assert_eq!(parse_query(sql).map(|query| query.to_string()), Ok(means.to_owned()), "{sql}");
        }
        for sql in
            ["select [for x in l]", "select [x for x l]", "select [x for x in l if]", "select [x for x in l"]
        {
            assert!(parse_query(sql).is_err(), "{sql}");
        }
    }
}
