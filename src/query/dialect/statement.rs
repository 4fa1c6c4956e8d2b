//! What is being asked?

use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::EltDialect;
use super::convert::Convert;
use super::copy::{Copy, CopyTo, copy};
use super::copy_into::CopyInto;
use super::depth::{balance, refuse_too_deep};
use super::from_first::select_all;
use super::own::{OwnStatement, own};
use super::references::versioned;
use super::reports::Reports;
use super::roles::RoleOrder;
use super::split::LineStarts;
use super::time_travel::spell_out_releases;
use super::write::{OwnWrite, Vacuum, in_known_words, own_write};
use super::{elsewhere, lambdas, numbers, pivot_on, quantified, shorthand, spoken, type_words};
use crate::base::with_stack;
use crate::query::SqlMistake;
use crate::query::explain::Explain;
use crate::query::own::Write;

/// A statement, understood as far as words go.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Rows are asked for, or how they would be found (`EXPLAIN`), or a setting is set or shown.
    Query(Box<ast::Statement>),
    /// How rows would be found, or were.
    Explain(Explain),
    /// Something is to be written.
    Write(Box<ast::Statement>),
    /// Only the session changes.
    Own(OwnStatement),
    /// Something temporary is to be written.
    Temporary(Box<Write>),
    /// The same, in words that sqlparser does not know.
    OwnWrite(OwnWrite),
    /// Files that nobody needs are to be deleted.
    Vacuum(Vacuum),
    /// Files are to be landed.
    CopyInto(Box<CopyInto>),
    /// Rows are to be written to a file.
    CopyTo(CopyTo),
    /// Rights are to be given or taken, or told.
    Roles(RoleOrder),
    /// Parquet files are to become a Delta table where they are.
    Convert(Convert),
    /// `USE schema`
    Use {
        /// The schema, as written, without the catalog.
        schema: String,
    },
    /// `SHOW CREATE TABLE t`
    ShowCreate {
        /// The table, or view, as written.
        table: String,
    },
    /// `SHOW TBLPROPERTIES t`
    ShowProperties {
        /// The table, as written.
        table: String,
    },
    /// `DESCRIBE DETAIL t`
    Detail {
        /// The table, as written.
        table: String,
    },
    /// `SHOW TABLES [IN schema] [LIKE 'pattern']`
    ShowTables {
        /// Only tables of this schema.
        schema: Option<String>,
        /// Only tables whose names are like this.
        like: Option<String>,
    },
    /// `PRAGMA table_info('t')`
    TableInfo {
        /// The table or view, as written.
        table: String,
    },
    /// `SHOW ALL [LIKE 'pattern']`
    ShowSettings {
        /// Only settings whose names are like this.
        like: Option<String>,
    },
    /// `SHOW RELEASES`
    ShowReleases,
    /// `SHOW SCHEMAS [LIKE 'pattern']`
    ShowSchemas {
        /// Only schemas whose names are like this.
        like: Option<String>,
    },
    /// `SHOW VIEWS`
    ShowViews,
    /// `SHOW FUNCTIONS [LIKE 'pattern']`
    ShowFunctions {
        /// Only functions whose names are like this.
        like: Option<String>,
    },
    /// `DESCRIBE SELECT …`
    DescribeQuery {
        /// The query.
        sql: String,
    },
    /// `SUMMARIZE t`, `SUMMARIZE SELECT …`
    Summarize {
        /// The table as written, or the query.
        what: String,
        /// Whether it is a query.
        is_query: bool,
    },
    /// `FROM (DESCRIBE t)`
    OfReports(Reports),
    /// `DESCRIBE t`
    Describe {
        /// The table or view, as written.
        table: String,
    },
    /// `DESCRIBE HISTORY t [LIMIT n]`
    History {
        /// The table, as written.
        table: String,
        /// At most so many commits.
        limit: Option<usize>,
    },
}

impl Statement {
    /// Whether it changes tables.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::OwnWrite(_) | Self::Vacuum(_) | Self::CopyInto(_))
    }
}

/// Reads one statement.
///
/// # Errors
/// What is wrong and where; and, for a statement that SQL has and elt does not, what to do instead.
pub fn parse(sql: &str) -> Result<Statement, SqlMistake> {
    let tokens = elsewhere::respelt(tokenize(sql)?);
    elsewhere::refuse(&tokens)?;
    if let Some(own) = own_statement(sql, &tokens)? {
        return Ok(own);
    }
    if let Some(reports) = Reports::within(sql, &tokens) {
        return Ok(Statement::OfReports(reports));
    }
    if let Some(own) = own_write(&tokens)? {
        return Ok(Statement::OwnWrite(own));
    }
    if let Some(order) = RoleOrder::read(&tokens)? {
        return Ok(Statement::Roles(order));
    }
    if let Some(convert) = Convert::read(&tokens)? {
        return Ok(Statement::Convert(convert));
    }
    match copy(&tokens)? {
        Some(Copy::Into(copy)) => return Ok(Statement::CopyInto(copy)),
        Some(Copy::To(copy)) => return Ok(Statement::CopyTo(copy)),
        None => {}
    }
    let statement = with_inside(parse_tokens(in_known_words(tokens)?)?);
    let statement = match own(statement)? {
        Ok(own) => return Ok(Statement::Own(own)),
        Err(statement) => statement,
    };
    if writes(&statement) {
        return Ok(Statement::Write(Box::new(statement)));
    }
    refuse_writes(&statement)?;
    match statement {
        explain @ ast::Statement::Explain { .. } => Ok(Statement::Explain(Explain::read(explain)?)),
        ast::Statement::ShowFunctions { filter } => {
            use ast::ShowStatementFilter as F;
            let like = match filter {
                None => None,
                Some(F::Like(pattern) | F::ILike(pattern) | F::NoKeyword(pattern)) => Some(pattern),
                Some(F::Where(_)) => {
                    let mistake =
                        SqlMistake::new("elt::sql::not_supported", "SHOW FUNCTIONS WHERE is not supported");
                    return Err(mistake.help("write `select * from (show functions) f where …`"));
                }
            };
            Ok(Statement::ShowFunctions { like })
        }
        query => Ok(Statement::Query(Box::new(query))),
    }
}

/// `with c as (…) insert into t select …` as `insert into t with c as (…) select …`.
fn with_inside(statement: ast::Statement) -> ast::Statement {
    let ast::Statement::Query(query) = &statement else { return statement };
    let (Some(with), ast::SetExpr::Insert(ast::Statement::Insert(insert))) = (&query.with, &*query.body)
    else {
        return statement;
    };
    let (with, mut insert) = (with.clone(), insert.clone());
    let Some(source) = &mut insert.source else { return statement };
    match &mut source.with {
        Some(own) => {
            own.recursive |= with.recursive;
            own.cte_tables.splice(0..0, with.cte_tables);
        }
        none => *none = Some(with),
    }
    ast::Statement::Insert(insert)
}

/// Reads one query, and nothing but a query.
pub fn parse_query(sql: &str) -> Result<ast::Statement, SqlMistake> {
    match parse_tokens(elsewhere::respelt(tokenize(sql)?))? {
        query @ ast::Statement::Query(_) => Ok(query),
        _ => Err(SqlMistake::new("elt::sql::not_a_query", "this is not a query").help("write a `select`")),
    }
}

pub(in crate::query) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    Tokenizer::new(&EltDialect::default(), sql).tokenize_with_location().map_err(|error| {
        SqlMistake::new("elt::sql::syntax", error.message.trim())
            .at(error.location.line, error.location.column)
    })
}

/// Reads a statement that is not too deep, with rows of conditions balanced.
pub(super) fn parse_tokens(tokens: Vec<TokenWithSpan>) -> Result<ast::Statement, SqlMistake> {
    refuse_too_deep(&tokens)?;
    with_stack(|| {
        let mut statement = parsed(tokens)?;
        balance(&mut statement);
        Ok(statement)
    })
}

fn parsed(tokens: Vec<TokenWithSpan>) -> Result<ast::Statement, SqlMistake> {
    let mut tokens =
        shorthand::spell(type_words::spell(who_asks(numbers::read(quantified::of_values(tokens))?)))?;
    let dialect = EltDialect::with_lambdas(lambdas::tell_apart(&mut tokens));
    let tokens = pivot_on::spell(spoken::spell(versioned(spell_out_releases(without_hints(tokens))))?)?;
    let tokens = select_all(tokens);
    let read = tokens.clone();
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTED).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| with_meant(syntax(error), &read))?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(statement);
    }
    let Location { line, column } = next.span.start;
    let mistake = SqlMistake::new("elt::sql::syntax", format!("`{}` is not expected here", next.token));
    Err(with_meant(mistake.at(line, column), &read))
}

/// How often a query, or an expression, may stand in another: there is stack for it, and for whoever walks it.
const NESTED: usize = 200;

/// Words that are often mistyped, and then taken for names.
const WORDS: &[&str] = &[
    "select",
    "from",
    "where",
    "join",
    "group",
    "order",
    "having",
    "limit",
    "union",
    "left",
    "right",
    "inner",
    "outer",
    "cross",
    "using",
    "values",
    "insert",
    "update",
    "delete",
    "table",
    "create",
    "drop",
    "alter",
    "distinct",
    "between",
    "case",
    "when",
    "then",
    "else",
    "over",
    "partition",
    "window",
    "qualify",
    "offset",
    "exists",
    "into",
    "merge",
    "with",
];

/// The mistake with the word that was probably meant: where it was found, or just before, taken for a name.
fn with_meant(mistake: SqlMistake, tokens: &[TokenWithSpan]) -> SqlMistake {
    let Some((line, column)) = mistake.place().filter(|_| mistake.help_text().is_none()) else {
        return mistake;
    };
    let solid: Vec<&TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let count = |keyword: Keyword| {
        solid
            .iter()
            .filter(|token| matches!(&token.token, Token::Word(word) if word.keyword == keyword))
            .count()
    };
    if count(Keyword::CASE) > count(Keyword::END) {
        return mistake.help("a CASE has no END: `case when a then b else c end`");
    }
    let place = |token: &&TokenWithSpan| {
        (token.span.start.line as usize, token.span.start.column as usize) >= (line, column)
    };
    let at = solid.iter().position(place).unwrap_or(solid.len());
    // What stands behind these is a name, however it is spelled.
    let names = ["from", "join", "into", "update", "table", "as", ",", ".", "ref"];
    let is_name = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| solid.get(at));
        before.is_some_and(|before| names.contains(&before.token.to_string().to_lowercase().as_str()))
    };
    let places = [at.checked_sub(1), Some(at)].into_iter().flatten().filter(|at| !is_name(*at));
    for token in places.filter_map(|at| solid.get(at)) {
        let Token::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword }) = &token.token else {
            continue;
        };
        let word = value.to_lowercase();
        if let Some(meant) = WORDS.iter().find(|known| is_slip(&word, known)) {
            let start = token.span.start;
            return mistake
                .at(start.line, start.column)
                .help(format!("did you mean `{meant}` instead of `{value}`?"));
        }
    }
    mistake
}

/// Whether a word is another with one letter too many, too few or wrong, or two of them turned round.
fn is_slip(word: &str, of: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (word.chars().collect(), of.chars().collect());
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one[same..], &other[same..]);
    match (one, other) {
        ([a, b, one @ ..], [c, d, other @ ..]) if (a, b) == (d, c) && one == other => true,
        ([_, one @ ..], [_, other @ ..]) if one == other => true,
        ([_, one @ ..], other) if one == other => true,
        (one, [_, other @ ..]) => one == other,
        _ => false,
    }
}

/// Makes calls of `current_user`, `session_user`, `current_role` and `current_catalog`, with brackets or without: sqlparser has them as words.
fn who_asks(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const WORDS: [&str; 4] = ["current_user", "session_user", "current_role", "current_catalog"];
    let is_one = |token: &Token| {
        matches!(token, Token::Word(Word { value, quote_style: None, .. })
            if WORDS.iter().any(|word| word.eq_ignore_ascii_case(value)))
    };
    if !tokens.iter().any(|token| is_one(&token.token)) {
        return tokens;
    }
    let mut spelt: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 2);
    for (at, token) in tokens.iter().enumerate() {
        let after = tokens.get(at + 1).map(|next| &next.token);
        let before = spelt.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
        let is_name = before.is_some_and(|before| {
            before.token == Token::Period
                || matches!(&before.token, Token::Word(word) if word.keyword == Keyword::AS)
        }) || after == Some(&Token::Period);
        if !is_one(&token.token) || is_name {
            spelt.push(token.clone());
            continue;
        }
        let Token::Word(word) = &token.token else { continue };
        let named = Token::Word(Word {
            value: word.value.to_lowercase(),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        });
        spelt.push(TokenWithSpan { token: named, span: token.span });
        if after != Some(&Token::LParen) {
            spelt.push(TokenWithSpan { token: Token::LParen, span: token.span });
            spelt.push(TokenWithSpan { token: Token::RParen, span: token.span });
        }
    }
    spelt
}

/// Takes out `[NOT] MATERIALIZED` between `AS` and the bracket of a CTE: how often it is worked out is the engine's to choose.
fn without_hints(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let word = |token: &Token, wanted: Keyword| matches!(token, Token::Word(word) if word.keyword == wanted);
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let mut hints = Vec::new();
    for four in solid.windows(3) {
        let [before, hint, after] = four else { continue };
        let is_hint =
            word(&tokens[*hint].token, Keyword::MATERIALIZED) && tokens[*after].token == Token::LParen;
        if is_hint && word(&tokens[*before].token, Keyword::AS) {
            hints.push(*hint);
        } else if is_hint && word(&tokens[*before].token, Keyword::NOT) {
            hints.extend([*before, *hint]);
        }
    }
    for at in hints.into_iter().rev() {
        tokens.remove(at);
    }
    tokens
}

/// Takes the place out of sqlparser's message: `… at Line: 1, Column: 8`.
fn syntax(error: ParserError) -> SqlMistake {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            let mistake = SqlMistake::new("elt::sql::too_deep", "the statement is nested too deeply");
            return mistake
                .help("give the inner parts names: `with a as (select …), b as (select … from a) select …`");
        }
    };
    let message = match message.strip_prefix("No infix parser for token ") {
        Some(token) => in_one_word(token),
        None => message,
    };
    if let Some(wanted) =
        message.strip_prefix("Expected: ").and_then(|rest| rest.strip_suffix(", found: EOF"))
    {
        let what = match wanted.chars().count() {
            1 => format!("the statement ends, and `{wanted}` is missing"),
            _ => format!("the statement ends where {wanted} is expected"),
        };
        return SqlMistake::new("elt::sql::syntax", what);
    }
    let Some((what, place)) = message.rsplit_once(" at Line: ") else {
        return SqlMistake::new("elt::sql::syntax", message);
    };
    let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>());
    let mistake = SqlMistake::new("elt::sql::syntax", what);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => mistake.at(line, column),
        _ => mistake,
    }
}

/// A token that stands where an operator would, without the parser's own words for it.
fn in_one_word(token: &str) -> String {
    let place = token.rsplit_once(" at Line: ").map(|(_, place)| format!(" at Line: {place}"));
    let word = token.split_once("value: \"").and_then(|(_, rest)| rest.split_once('"')).map(|(word, _)| word);
    let said = word.map_or_else(|| "this is".to_owned(), |word| format!("`{word}` is"));
    format!("{said} not expected here{}", place.unwrap_or_default())
}

/// The statements that sqlparser does not know.
fn own_statement(sql: &str, tokens: &[TokenWithSpan]) -> Result<Option<Statement>, SqlMistake> {
    let solid: Vec<&Token> = tokens
        .iter()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF))
        .collect();
    let words: Vec<String> = solid.iter().take(3).map(|token| token.to_string().to_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(Some(match words.as_slice() {
        ["SHOW", "TABLES"] => Statement::ShowTables { schema: None, like: None },
        ["SHOW", "ALL", "TABLES"] => Statement::ShowTables { schema: None, like: None },
        ["SHOW", "TABLES", "LIKE"] => Statement::ShowTables { schema: None, like: like(&solid[2..])? },
        ["SHOW", "ALL"] => Statement::ShowSettings { like: None },
        ["SHOW", "ALL", "LIKE"] => Statement::ShowSettings { like: like(&solid[2..])? },
        ["SHOW", "TABLES", "IN" | "FROM"] => {
            let (schema, rest) = name(&solid[3..], "SHOW TABLES IN")?;
            Statement::ShowTables { schema: Some(schema), like: like(rest)? }
        }
        ["DROP", "MACRO", ..] | ["DROP", "FUNCTION", ..] => {
            let rest = match &solid[2..] {
                [Token::Word(word), rest @ ..] if word.keyword == Keyword::TABLE => rest,
                rest => rest,
            };
            let (rest, if_exists) = match rest {
                [Token::Word(one), Token::Word(two), rest @ ..]
                    if one.keyword == Keyword::IF && two.keyword == Keyword::EXISTS =>
                {
                    (rest, true)
                }
                rest => (rest, false),
            };
            let name = only_name(rest, "DROP MACRO")?;
            Statement::Own(OwnStatement::DropMacro { name, if_exists })
        }
        ["PRAGMA", "TABLE_INFO", "("] => {
            let inside = solid[3..].split_last().filter(|(last, _)| **last == &Token::RParen);
            let Some((_, named)) = inside else {
                return Err(SqlMistake::new("elt::sql::syntax", "the bracket of TABLE_INFO is not closed"));
            };
            let text = match named {
                [Token::SingleQuotedString(text)] => text.clone(),
                named => only_name(named, "PRAGMA TABLE_INFO (")?,
            };
            Statement::TableInfo { table: text }
        }
        ["SHOW", "RELEASES"] => Statement::ShowReleases,
        ["SHOW", "SCHEMAS" | "DATABASES"] => Statement::ShowSchemas { like: None },
        ["SHOW", "SCHEMAS" | "DATABASES", "LIKE"] => Statement::ShowSchemas { like: like(&solid[2..])? },
        ["SHOW", "VIEWS"] => Statement::ShowViews,
        ["SHOW", "COLUMNS", "FROM" | "IN"] => {
            Statement::Describe { table: only_name(&solid[3..], "SHOW COLUMNS FROM")? }
        }
        ["SHOW", "CREATE", "TABLE" | "VIEW"] => {
            Statement::ShowCreate { table: only_name(&solid[3..], "SHOW CREATE TABLE")? }
        }
        ["SHOW", "TBLPROPERTIES", _] => {
            Statement::ShowProperties { table: only_name(&solid[2..], "SHOW TBLPROPERTIES")? }
        }
        ["SUMMARIZE" | "SUMMARISE", next, ..] => {
            let is_query = begins_query(next);
            let what =
                if is_query { text_after(sql, tokens, 1) } else { only_name(&solid[1..], "SUMMARIZE")? };
            Statement::Summarize { what, is_query }
        }
        ["DESCRIBE" | "DESC", next, ..] if begins_query(next) => {
            Statement::DescribeQuery { sql: in_its_place(sql, &text_after(sql, tokens, 1)) }
        }
        ["USE", next, ..] => {
            let skipped = if matches!(*next, "SCHEMA" | "DATABASE") && solid.len() > 2 { 2 } else { 1 };
            let name = only_name(&solid[skipped..], "USE")?;
            Statement::Use { schema: name.strip_prefix("elt.").unwrap_or(&name).to_owned() }
        }
        ["SET", "VARIABLE", ..] => {
            let (name, skipped) = match &solid[2..] {
                [Token::Word(name), Token::Eq | Token::Assignment, _, ..] => (name.value.clone(), 4),
                [Token::Word(name), Token::Word(to), _, ..] if to.keyword == Keyword::TO => {
                    (name.value.clone(), 4)
                }
                _ => {
                    return Err(SqlMistake::new("elt::sql::syntax", "this sets no variable").help(
                        "write `set variable name = expression`, and `getvariable('name')` where it is wanted",
                    ));
                }
            };
            let value = only_expression(tokens, skipped)?;
            Statement::Own(OwnStatement::SetVariable { name, value: Box::new(value) })
        }
        ["RESET", "VARIABLE", _] if solid.len() == 3 => {
            Statement::Own(OwnStatement::ResetVariable { name: solid[2].to_string().replace('"', "") })
        }
        ["RESET", first, ..] if *first != "ALL" => {
            let name: String = solid[1..].iter().map(ToString::to_string).collect();
            let name = if name.eq_ignore_ascii_case("timezone") { "timezone".to_owned() } else { name };
            let set = parse_tokens(tokenize(&format!("set {name} = default"))?)?;
            Statement::Query(Box::new(set))
        }
        ["DESCRIBE" | "DESC", "HISTORY", ..] => {
            let (table, rest) = name(&solid[2..], "DESCRIBE HISTORY")?;
            Statement::History { table, limit: limit(rest)? }
        }
        ["VACUUM", ..] => Statement::Vacuum(Vacuum::read(&solid)?),
        ["DESCRIBE" | "DESC", "DETAIL", ..] => {
            Statement::Detail { table: only_name(&solid[2..], "DESCRIBE DETAIL")? }
        }
        ["DESCRIBE" | "DESC", "TABLE", ..] => {
            Statement::Describe { table: only_name(&solid[2..], "DESCRIBE TABLE")? }
        }
        ["DESCRIBE" | "DESC", ..] if solid.len() > 1 => {
            Statement::Describe { table: only_name(&solid[1..], "DESCRIBE")? }
        }
        _ => return Ok(None),
    }))
}

fn begins_query(word: &str) -> bool {
    matches!(word, "SELECT" | "WITH" | "(" | "FROM" | "VALUES" | "PIVOT" | "UNPIVOT")
}

/// What was written after the first `skipped` words.
fn text_after(sql: &str, tokens: &[TokenWithSpan], skipped: usize) -> String {
    let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let first = tokens.iter().filter(is_solid).nth(skipped).map(|token| token.span.start);
    let lines = LineStarts::of(sql);
    first.map_or_else(String::new, |first| {
        sql[lines.byte(sql, first)..].trim_end().trim_end_matches(';').to_owned()
    })
}

/// The last part of a text behind as many lines and blanks as come before it, so that mistakes in it are told where they are.
fn in_its_place(sql: &str, part: &str) -> String {
    let before = sql.rfind(part).map_or("", |start| &sql[..start]);
    before.chars().map(|c| if c == '\n' { c } else { ' ' }).chain(part.chars()).collect()
}

/// `SELECT *`, from nothing yet.
pub(in crate::query) fn empty_query() -> ast::Query {
    let statement = parse_tokens(tokenize("select * from t").expect("our own words are correct"));
    match statement {
        Ok(ast::Statement::Query(mut query)) => {
            if let ast::SetExpr::Select(select) = &mut *query.body {
                select.from.clear();
            }
            *query
        }
        _ => unreachable!("a select is a query"),
    }
}

/// Reads the name of a type, as `describe` tells it.
pub(in crate::query) fn data_type(sql: &str) -> Option<ast::DataType> {
    let dialect = EltDialect::default();
    Parser::new(&dialect).try_with_sql(sql).ok()?.parse_data_type().ok()
}

/// Reads an expression of our own.
pub(super) fn parse_expression(sql: &str) -> Option<ast::Expr> {
    let dialect = EltDialect::default();
    let mut parser = Parser::new(&dialect).try_with_sql(sql).ok()?;
    let expression = parser.parse_expr().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(expression)
}

/// The expression that is all there is after the first `skipped` words.
fn only_expression(tokens: &[TokenWithSpan], skipped: usize) -> Result<ast::Expr, SqlMistake> {
    let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let Some(first) = tokens.iter().filter(is_solid).nth(skipped).map(|token| token.span) else {
        return Err(SqlMistake::new("elt::sql::syntax", "an expression is missing"));
    };
    let unexpected = |what: &str, at: Location| {
        SqlMistake::new("elt::sql::syntax", format!("`{what}` is not expected here"))
            .at(at.line, at.column)
            .help("write one expression, and a statement of its own for each variable")
    };
    let select = TokenWithSpan { token: Token::make_keyword("SELECT"), span: first };
    let blank = TokenWithSpan { token: Token::Whitespace(Whitespace::Space), span: first };
    let rest = tokens.iter().filter(|token| token.span.start >= first.start).cloned();
    let rest = rest.filter(|token| token.token != Token::EOF);
    let comma = outermost_comma(tokens, first.start);
    let read = parse_tokens([select, blank].into_iter().chain(rest).collect())?;
    let ast::Statement::Query(query) = read else { return Err(unexpected("this", first.start)) };
    let is_plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    let ast::SetExpr::Select(select) = *query.body else { return Err(unexpected("this", first.start)) };
    if let Some(at) = comma {
        return Err(unexpected(",", at));
    }
    match &select.projection[..] {
        [ast::SelectItem::UnnamedExpr(value)]
            if is_plain && select.from.is_empty() && select.selection.is_none() =>
        {
            Ok(value.clone())
        }
        [ast::SelectItem::ExprWithAlias { alias, .. }] => Err(unexpected(&alias.value, alias.span.start)),
        _ => Err(unexpected("this", first.start)),
    }
}

/// The first comma from a place on that is in no brackets.
fn outermost_comma(tokens: &[TokenWithSpan], from: Location) -> Option<Location> {
    let mut depth = 0_usize;
    for token in tokens.iter().filter(|token| token.span.start >= from) {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => return Some(token.span.start),
            _ => {}
        }
    }
    None
}

/// Whether a text is one expression, and stays one between brackets.
pub(in crate::query) fn is_one_expression(text: &str) -> bool {
    let Ok(ast::Statement::Query(query)) = parse_query(&format!("select (\n{text}\n) as a")) else {
        return false;
    };
    let ast::SetExpr::Select(select) = *query.body else { return false };
    let is_plain = select.from.is_empty() && select.selection.is_none();
    let inside = |item: &ast::SelectItem| {
        matches!(
            item,
            ast::SelectItem::ExprWithAlias { expr: ast::Expr::Nested(_) | ast::Expr::Subquery(_), .. }
        )
    };
    is_plain && select.projection.len() == 1 && select.projection.iter().all(inside)
}

/// Reads `a`, `a.b` or a quoted file name; returns it and what follows.
pub(super) fn name<'a>(
    tokens: &'a [&'a Token],
    after: &str,
) -> Result<(String, &'a [&'a Token]), SqlMistake> {
    let mut text = String::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Word(Word { value, quote_style, .. }) if text.is_empty() || text.ends_with('.') => {
                text.push_str(&if quote_style.is_some() { value.clone() } else { value.to_lowercase() });
            }
            Token::SingleQuotedString(file) if text.is_empty() => text = format!("'{file}'"),
            Token::Period if !text.is_empty() => text.push('.'),
            _ => break,
        }
        at += 1;
    }
    if text.is_empty() {
        return Err(SqlMistake::new("elt::sql::syntax", format!("`{after}` needs the name of a table")));
    }
    Ok((text, &tokens[at..]))
}

fn only_name(tokens: &[&Token], after: &str) -> Result<String, SqlMistake> {
    match name(tokens, after)? {
        (name, []) => Ok(name),
        (_, rest) => Err(SqlMistake::new("elt::sql::syntax", format!("`{}` is not expected here", rest[0]))),
    }
}

/// `LIKE 'pattern'`, or nothing.
fn like(rest: &[&Token]) -> Result<Option<String>, SqlMistake> {
    match rest {
        [] => Ok(None),
        [Token::Word(word), Token::SingleQuotedString(pattern)] if word.keyword == Keyword::LIKE => {
            Ok(Some(pattern.clone()))
        }
        [other, ..] => Err(SqlMistake::new("elt::sql::syntax", format!("`{other}` is not expected here"))
            .help("write `SHOW TABLES IN schema LIKE 'ord%'`")),
    }
}

fn limit(rest: &[&Token]) -> Result<Option<usize>, SqlMistake> {
    match rest {
        [] => Ok(None),
        [Token::Word(word), Token::Number(number, _)] if word.keyword == Keyword::LIMIT => {
            Ok(Some(number.parse().unwrap_or(usize::MAX)))
        }
        [other, ..] => Err(SqlMistake::new("elt::sql::syntax", format!("`{other}` is not expected here"))
            .help("write `DESCRIBE HISTORY table LIMIT 10`")),
    }
}

/// What is refused, and what to do instead.
const CHANGING_ROWS: (&str, &str) = (
    "changing rows inside a query",
    "write the INSERT, UPDATE, DELETE or MERGE as a statement of its own, which is published as a release; a WITH stands in its query: \
     `insert into t with x as (…) select …`",
);

/// Whether a statement changes tables.
fn writes(statement: &ast::Statement) -> bool {
    use ast::Statement as S;
    matches!(
        statement,
        S::Insert(_)
            | S::Update { .. }
            | S::Delete(_)
            | S::Merge { .. }
            | S::Truncate { .. }
            | S::CreateTable(_)
            | S::CreateView(_)
            | S::CreateSchema { .. }
            | S::AlterTable { .. }
            | S::Comment { .. }
            | S::Drop { .. }
    )
}

/// Refuses what would write, in words that say how the same is done here.
fn refuse_writes(statement: &ast::Statement) -> Result<(), SqlMistake> {
    use ast::Statement as S;
    let (what, instead) = match statement {
        S::Query(query) if makes_a_table(query) => {
            ("SELECT … INTO", "make a model of it under models/ and run `elt build`")
        }
        S::Explain { statement, .. } if writes(statement) => {
            ("EXPLAIN of a statement that writes", "explain the query that finds its rows")
        }
        S::Explain { statement, .. } => return refuse_writes(statement),
        S::Set(ast::Set::SingleAssignment { hivevar: true, .. }) => {
            ("SET HIVEVAR", "write `set variable name = value`")
        }
        S::Set(
            ast::Set::SetTimeZone { local: true, .. }
            | ast::Set::SingleAssignment {
                scope: Some(ast::ContextModifier::Local | ast::ContextModifier::Global),
                ..
            },
        ) => ("SET LOCAL and SET GLOBAL", "a setting holds for its session: write `set name = value`"),
        S::Query(query) if changes_rows(query) => CHANGING_ROWS,
        S::Query(_) | S::Set(_) | S::Reset(_) | S::ShowVariable { .. } | S::ShowFunctions { .. } => {
            return Ok(());
        }
        S::Commit { chain: true, .. } | S::Rollback { chain: true, .. } => {
            ("AND CHAIN", "write `begin` after it, which begins the next one")
        }
        S::StartTransaction { .. } | S::Commit { .. } | S::Rollback { .. } => (
            "BEGIN, COMMIT and ROLLBACK",
            "in the shell and in scripts they stand alone: `begin;`, `commit;`, `rollback;`; a driver begins and ends transactions by itself (in Python connect with `autocommit=False`, then `commit()`); without one each statement is published as a release of its own, and `elt rollback` goes back to an earlier one",
        ),
        S::CreateMacro { .. } | S::CreateFunction(_) | S::DropFunction(_) => (
            "a function of one's own",
            "write `create macro f(a, b) as a + b`, or `as table select …`, for this session; a Jinja macro under macros/ for models",
        ),
        S::CreateDatabase { .. } => (
            "CREATE DATABASE",
            "a lake is one database; its schemas are there with their first table: `create table s.t (…)`",
        ),
        S::CreateIndex(_) => {
            ("CREATE INDEX", "files are skipped by their statistics: `create table … cluster by (a)`")
        }
        S::Pragma { .. } => {
            ("PRAGMA", "`describe t` lists columns, `show all` settings; `set name = value` sets one")
        }
        S::Analyze { .. } => ("ANALYZE", "leave it out: each write keeps the statistics of its rows"),
        S::Call(_) => ("CALL", "write `select f(…)`; macros run by `elt run-operation`"),
        S::CreateSequence { .. } => ("CREATE SEQUENCE", "number rows: `row_number() over (order by …)`"),
        S::CreateType { .. } | S::CreateDomain(_) => {
            ("a type of one's own", "write a CHECK constraint: `alter table t add constraint c check (…)`")
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            let what = format!("`{}` is not supported", words.join(" "));
            return Err(SqlMistake::new("elt::sql::not_supported", what)
                .help("`\\h` lists the statements that there are"));
        }
    };
    Err(SqlMistake::new("elt::sql::not_supported", not_supported(what)).help(instead))
}

/// That something is not supported, or that several things are not.
pub(super) fn not_supported(what: &str) -> String {
    let verb = if what.contains(" and ") { "are" } else { "is" };
    format!("{what} {verb} not supported")
}

/// Whether a query makes a table, as `select … into` does.
fn makes_a_table(query: &ast::Query) -> bool {
    matches!(&*query.body, ast::SetExpr::Select(select) if select.into.is_some())
}

/// Whether a query, or one of its CTEs, changes rows.
fn changes_rows(query: &ast::Query) -> bool {
    use ast::SetExpr as E;
    let mut ctes = query.with.iter().flat_map(|with| &with.cte_tables);
    ctes.any(|cte| changes_rows(&cte.query))
        || matches!(&*query.body, E::Insert(_) | E::Update(_) | E::Delete(_) | E::Merge(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_statements_are_known_by_their_words() {
        let shown = |sql: &str| format!("{:?}", parse(sql).unwrap());
        assert_eq!(shown("show tables;"), "ShowTables { schema: None, like: None }");
        assert_eq!(shown("SHOW TABLES IN Crm"), "ShowTables { schema: Some(\"crm\"), like: None }");
        assert_eq!(shown("describe history Main.T limit 3"), "History { table: \"main.t\", limit: Some(3) }");
        assert_eq!(shown("desc 'a.csv'"), "Describe { table: \"'a.csv'\" }");
        assert_eq!(shown("describe select 1"), "DescribeQuery { sql: \"         select 1\" }");
        assert_eq!(shown("summarize from Crm.T"), "Summarize { what: \"from Crm.T\", is_query: true }");
        assert_eq!(shown("summarize Crm.T;"), "Summarize { what: \"crm.t\", is_query: false }");
    }

    #[test]
    fn a_slip_is_shown_where_it_is() {
        let slip = parse("select *\nform t").unwrap_err();
        assert_eq!(slip.place(), Some((2, 1)));
        let open = parse("select 'a").unwrap_err();
        assert_eq!(open.place(), Some((1, 8)));
        assert!(parse("show tables in").is_err());
        assert!(parse("describe history").is_err());
    }

    #[test]
    fn what_writes_is_known_and_what_nobody_does_is_refused_with_another_way() {
        for sql in [
            "insert into t values (1)",
            "delete from t",
            "update t set a = 1",
            "create table t (a int) using delta",
            "create or replace table t as select 1 as a",
            "drop table t",
            "truncate table t",
            "alter table t add column b int",
        ] {
            assert!(matches!(parse(sql), Ok(Statement::Write(_))), "{sql}");
        }
        for sql in [
            "merge into t using s on t.a = s.a when matched then update set * when not matched then insert *",
            "insert into t replace where a > 1 select 2",
            "optimize t where a = 1 zorder by (b)",
            "restore table t to version as of 3",
            "undrop table t",
        ] {
            assert!(matches!(parse(sql), Ok(Statement::OwnWrite(_))), "{sql}");
        }
        let vacuum = Vacuum { table: "main.t".into(), retain_hours: Some(200), dry_run: true };
        assert!(
            matches!(parse("vacuum main.T retain 200 hours dry run"), Ok(Statement::Vacuum(v)) if v == vacuum)
        );
        for sql in ["begin", "select 1 into t", "create database d", "vacuum t retain many hours"] {
            let mistake = parse(sql).unwrap_err();
            assert!(mistake.help_text().is_some(), "{sql}: {}", mistake.message());
        }
    }
}
