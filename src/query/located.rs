//! Where in a statement is what a mistake speaks of?
//!
//! The engine tells the place of names that it looks up, and of nothing else. But its sentences name what they are about: a column,
//! a table, a type, a text, a call with the types of its arguments, an operator between two types. That is looked for among the
//! words of the statement. Where it could be one of several, no place is better than a wrong one.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::dialect::{stands_for, tokenize};

/// A line and a column, counted from 1.
type Place = (u64, u64);

/// The place of what a mistake's message is about.
pub(super) fn located(message: &str, sql: &str) -> Option<Place> {
    let Ok(tokens) = tokenize(sql) else { return None };
    let words = Words(tokens.into_iter().filter(|token| is_solid(&token.token)).collect());
    if message.starts_with("the statement ends") {
        return words.open_bracket().or_else(|| words.0.len().checked_sub(1)).map(|at| words.place(at));
    }
    if message.starts_with("a subquery that stands for one value") {
        return words.only_value().map(|at| words.place(at));
    }
    if is_misplaced(message) {
        let at =
            if message.starts_with("two queries") { words.second_of_with(message) } else { words.wider() };
        return at.map(|at| words.place(at));
    }
    words.subjects(message).into_iter().find_map(|subject| words.find(&subject)).map(|at| words.place(at))
}

/// Where a text of a column is read as a number because it stands beside one, if a mistake speaks of that.
pub(super) fn beside_number(message: &str, sql: &str) -> Option<Place> {
    let (text, wanted) = message.strip_prefix('\'')?.split_once("' cannot be read as ")?;
    if !["tinyint", "smallint", "int", "bigint", "double", "float", "real"].contains(&wanted) {
        return None;
    }
    let tokens = tokenize(sql).ok()?;
    let words = Words(tokens.into_iter().filter(|token| is_solid(&token.token)).collect());
    let is_written =
        words.0.iter().any(|token| matches!(&token.token, Token::SingleQuotedString(known) if known == text));
    if is_written || words.has_casts() {
        return None;
    }
    words.beside_number().map(|at| words.place(at))
}

/// Whether the engine tells a place of such a mistake that is not where it is.
pub(super) fn is_misplaced(message: &str) -> bool {
    message.starts_with("two queries of the WITH") || message.starts_with("the two sides of the UNION")
}

/// Which of several is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// It cannot be told.
    Only,
    /// Where nothing of this name is there, wherever it is written is wrong.
    First,
    /// What comes a second time.
    Last,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Column,
    Table,
    Type,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// A name, by its parts, and which of several it is.
    Name { parts: Vec<String>, pick: Pick, of: Of },
    /// A text in quotes.
    Text(String),
    /// A call, with the types of what it is given, where they are told.
    Call { name: String, types: Option<Vec<String>>, is_missing: bool },
    /// An operator or a keyword, and the types to its left and right, where they are told.
    Sign { sign: String, types: Option<(String, String)> },
    /// A division by what may be zero.
    Division,
    /// An expression.
    Expression(Vec<String>),
}

/// The operator of an expression that has one.
fn only_sign(subject: &Subject) -> Option<String> {
    let Subject::Expression(words) = subject else { return None };
    let mut signs = words.iter().filter(|word| ["+", "-", "*"].contains(&word.as_str()));
    signs.next().filter(|_| signs.next().is_none()).cloned()
}

fn is_solid(token: &Token) -> bool {
    !matches!(token, Token::Whitespace(_) | Token::EOF | Token::SemiColon)
}

/// The words of a statement, without what is between them.
struct Words(Vec<TokenWithSpan>);

impl Words {
    fn place(&self, at: usize) -> Place {
        let start = self.0[at].span.start;
        (start.line, start.column)
    }

    fn get(&self, at: usize) -> Option<&Token> {
        self.0.get(at).map(|token| &token.token)
    }

    fn before(&self, at: usize) -> Option<&Token> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    /// The last bracket that is not closed.
    fn open_bracket(&self) -> Option<usize> {
        let mut open = Vec::new();
        for at in 0..self.0.len() {
            match self.get(at) {
                Some(Token::LParen | Token::LBracket | Token::LBrace) => open.push(at),
                Some(Token::RParen | Token::RBracket | Token::RBrace) => drop(open.pop()),
                _ => {}
            }
        }
        open.pop()
    }

    /// The only subquery that may stand for one value: neither read, nor looked into, nor a query with a name.
    fn only_value(&self) -> Option<usize> {
        const BEFORE: [&str; 9] = ["from", "join", "in", "exists", "as", "any", "all", "some", "lateral"];
        let begins = |at: &usize| {
            let is_query = matches!(self.get(*at), Some(Token::LParen))
                && self
                    .get(at + 1)
                    .is_some_and(|next| is_keyword(next, "select") || is_keyword(next, "with"));
            is_query
                && !self.before(*at).is_some_and(|before| {
                    *before == Token::RParen || BEFORE.iter().any(|word| is_keyword(before, word))
                })
        };
        let mut found = (0..self.0.len()).filter(begins);
        found.next().filter(|_| found.next().is_none())
    }

    /// The second query that a WITH calls by a name.
    fn second_of_with(&self, message: &str) -> Option<usize> {
        let name = message.split('`').nth(1)?;
        let is_named = |at: &usize| {
            self.is_named(*at, name)
                && self.get(at + 1).is_some_and(|next| is_keyword(next, "as") || *next == Token::LParen)
                && self.before(*at).is_some_and(|before| {
                    *before == Token::Comma || is_keyword(before, "with") || is_keyword(before, "recursive")
                })
        };
        (0..self.0.len()).filter(is_named).nth(1)
    }

    /// The list of the first side of a UNION, INTERSECT or EXCEPT that has more or fewer columns than the one before it; if that
    /// cannot be counted, and there is only one such word, the list behind it.
    fn wider(&self) -> Option<usize> {
        const SETS: [&str; 4] = ["union", "intersect", "except", "minus"];
        let is_set =
            |at: &usize| self.get(*at).is_some_and(|token| SETS.iter().any(|word| is_keyword(token, word)));
        let sets: Vec<usize> = (0..self.0.len()).filter(is_set).collect();
        let mut behind = Vec::new();
        for set in &sets {
            let mut at = set + 1;
            while self.get(at).is_some_and(|token| {
                *token == Token::LParen || is_keyword(token, "all") || is_keyword(token, "distinct")
            }) {
                at += 1;
            }
            if !self.get(at).is_some_and(|token| is_keyword(token, "select")) {
                continue;
            }
            let mut depth = 0_usize;
            let before = (0..*set).rev().find(|at| {
                match self.get(*at) {
                    Some(Token::RParen) => depth += 1,
                    Some(Token::LParen) => depth = depth.saturating_sub(1),
                    Some(token) => return depth == 0 && is_keyword(token, "select"),
                    None => {}
                }
                false
            });
            let widths = (before.and_then(|before| self.width(before + 1)), self.width(at + 1));
            if let (Some(left), Some(right)) = widths
                && left != right
            {
                return Some(at + 1);
            }
            behind.push(at + 1);
        }
        if let ([only], [_]) = (&behind[..], &sets[..]) { Some(*only) } else { None }
    }

    /// How many columns a list has that begins here; nothing if there is a star in it.
    fn width(&self, start: usize) -> Option<usize> {
        const ENDS: [&str; 13] = [
            "from",
            "union",
            "intersect",
            "except",
            "minus",
            "where",
            "group",
            "order",
            "limit",
            "having",
            "qualify",
            "window",
            "offset",
        ];
        let (mut depth, mut commas) = (0_usize, 0_usize);
        for at in start..self.0.len() {
            match self.get(at)? {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                Token::Comma if depth == 0 => commas += 1,
                Token::Mul
                    if depth == 0
                        && self.before(at).is_some_and(|before| {
                            matches!(before, Token::Comma | Token::Period) || is_keyword(before, "select")
                        }) =>
                {
                    return None;
                }
                token if depth == 0 && ENDS.iter().any(|word| is_keyword(token, word)) => break,
                _ => {}
            }
        }
        Some(commas + 1)
    }

    /// What a message is about, the likeliest first.
    fn subjects(&self, message: &str) -> Vec<Subject> {
        let is_missing = message.starts_with("there is no ") || message.contains("has no column");
        let mut subjects = Vec::new();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        // `t` has no column `x`
        let in_order: Vec<&str> = match message.contains("has no column") {
            true => quoted.iter().rev().copied().collect(),
            false => quoted,
        };
        for piece in in_order {
            subjects.extend(subject_of(piece, message, is_missing));
        }
        if let Some(text) = message.strip_prefix('\'').and_then(|rest| rest.split_once("' ")) {
            subjects.push(Subject::Text(text.0.replace("''", "'")));
        }
        if message.starts_with("division by zero") {
            subjects.push(Subject::Division);
        }
        if message.starts_with("the sum is too large") {
            subjects.push(Subject::Call { name: "sum".to_owned(), types: None, is_missing: false });
        }
        if message.ends_with("is too large for its type")
            && let Some(sign) = subjects.iter().find_map(only_sign)
        {
            subjects.push(Subject::Sign { sign, types: None });
        }
        // -5 is no uinteger, which is from 0 to 4294967295
        if let Some((_, rest)) = message.split_once(" is no ")
            && let Some((name, _)) = rest.split_once(", which is from ")
        {
            let parts = vec![name.to_lowercase()];
            subjects.push(Subject::Name { parts, pick: Pick::Only, of: Of::Type });
        }
        let first = message.split_whitespace().next().unwrap_or_default();
        if let Some(name) = first.strip_suffix("()") {
            subjects.push(Subject::Call { name: name.to_lowercase(), types: None, is_missing: false });
        } else if first.len() > 1 && first.chars().all(|c| c.is_ascii_uppercase()) {
            subjects.push(Subject::Sign { sign: first.to_owned(), types: operand_types(message) });
        } else if first.contains('_') {
            subjects.push(Subject::Call { name: first.to_owned(), types: None, is_missing: false });
        }
        subjects
    }

    fn find(&self, subject: &Subject) -> Option<usize> {
        match subject {
            Subject::Name { parts, pick, of } => self.name(parts, *pick, *of),
            Subject::Text(text) => self.text(text),
            Subject::Call { name, types, is_missing } => self.call(name, types.as_deref(), *is_missing),
            Subject::Sign { sign, types } => self.sign(sign, types.as_ref()),
            Subject::Division => self.division(),
            Subject::Expression(words) => self.expression(words),
        }
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        matches!(self.get(at), Some(Token::Word(word)) if word.value.eq_ignore_ascii_case(name))
    }

    /// Where a path of names that ends at `end` begins.
    fn path_start(&self, end: usize) -> usize {
        let mut at = end;
        while at >= 2
            && matches!(self.get(at - 1), Some(Token::Period))
            && matches!(self.get(at - 2), Some(Token::Word(_)))
        {
            at -= 2;
        }
        at
    }

    fn name(&self, parts: &[String], pick: Pick, of: Of) -> Option<usize> {
        let (last, before) = parts.split_last()?;
        let is_whole = |at: usize| {
            let start = self.path_start(at);
            // `main.t` may be written `t`, but not `other.t`.
            (start..at).step_by(2).rev().zip(before.iter().rev()).all(|(at, part)| self.is_named(at, part))
        };
        let stands = |at: &usize| {
            let is_call = matches!(self.get(at + 1), Some(Token::LParen));
            let is_alias = of != Of::Type
                && pick != Pick::Last
                && self.before(*at).is_some_and(|before| is_keyword(before, "as"));
            let is_prefix = matches!(self.get(at + 1), Some(Token::Period));
            let is_other = is_alias || is_prefix || (of == Of::Column && is_call);
            self.is_named(*at, last) && is_whole(*at) && !is_other
        };
        let all: Vec<usize> = (0..self.0.len()).filter(stands).collect();
        let is_read = |at: &&usize| {
            const BEFORE: [&str; 9] =
                ["from", "join", "into", "update", "table", "view", "exists", "using", "on"];
            let start = self.path_start(**at);
            self.before(start).is_some_and(|before| BEFORE.iter().any(|word| is_keyword(before, word)))
        };
        let found = match all.as_slice() {
            [only] => Some(only),
            [] => None,
            several if of == Of::Table && pick == Pick::First => several.iter().find(is_read),
            [first, ..] if pick == Pick::First => Some(first),
            [.., last] if pick == Pick::Last => Some(last),
            _ => None,
        };
        found.map(|at| self.path_start(*at))
    }

    /// A text; of several the one that something is made of.
    fn text(&self, text: &str) -> Option<usize> {
        let is_it = |at: &usize| matches!(self.get(*at), Some(Token::SingleQuotedString(known) | Token::EscapedStringLiteral(known)) if known == text);
        let all: Vec<usize> = (0..self.0.len()).filter(is_it).collect();
        if let [only] = all[..] {
            return Some(only);
        }
        let is_made = |at: &&usize| {
            let is_cast = matches!(self.get(*at + 1), Some(Token::DoubleColon));
            let is_typed = matches!(self.before(**at), Some(Token::Word(Word { quote_style: None, value, .. }))
                if ["date", "timestamp", "time", "interval"].iter().any(|word| value.eq_ignore_ascii_case(word)));
            is_cast || is_typed
        };
        let mut made = all.iter().filter(is_made);
        made.next().filter(|_| made.next().is_none()).copied()
    }

    fn call(&self, name: &str, types: Option<&[String]>, is_missing: bool) -> Option<usize> {
        let calls = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
            let is_call = |at: &usize| match (self.get(*at), self.get(at + 1)) {
                (Some(Token::Word(word)), Some(Token::LParen)) => is_it(&word.value.to_lowercase()),
                _ => false,
            };
            (0..self.0.len()).filter(is_call).collect()
        };
        let fits = |at: &usize| types.is_none_or(|types| fits(&self.arguments(at + 1), types));
        let own: Vec<usize> = calls(&|known| known == name).into_iter().filter(fits).collect();
        let all = match own.is_empty() {
            false => own,
            true => calls(&|known| stands_for(known, name)),
        };
        // A literal tells more than a column.
        let is_sure = |at: &&usize| {
            let arguments = self.arguments(**at + 1);
            types.is_some()
                && arguments
                    .iter()
                    .any(|argument| matches!(argument, [literal] if literal_type(&literal.token).is_some()))
        };
        let sure: Vec<usize> = all.iter().filter(is_sure).copied().collect();
        let all = if sure.len() == 1 { sure } else { all };
        match all[..] {
            [only] => Some(self.path_start(only)),
            [first, ..] if is_missing => Some(self.path_start(first)),
            [] if name == "make_array" => {
                let is_list = |at: &usize| {
                    let is_behind = match self.before(*at) {
                        Some(Token::Word(word)) => word.keyword == Keyword::NoKeyword,
                        Some(Token::RParen | Token::RBracket | Token::SingleQuotedString(_)) => true,
                        _ => false,
                    };
                    matches!(self.get(*at), Some(Token::LBracket)) && !is_behind
                };
                let mut lists = (0..self.0.len()).filter(is_list);
                lists.next().filter(|_| lists.next().is_none())
            }
            _ => None,
        }
    }

    /// The arguments of a call whose bracket opens at `open`.
    fn arguments(&self, open: usize) -> Vec<&[TokenWithSpan]> {
        let mut depth = 0_usize;
        let (mut all, mut start) = (Vec::new(), open + 1);
        for at in open..self.0.len() {
            match self.get(at) {
                Some(Token::LParen | Token::LBracket | Token::LBrace) => depth += 1,
                Some(Token::RParen | Token::RBracket | Token::RBrace) => depth -= 1,
                Some(Token::Comma) if depth == 1 => {
                    all.push(&self.0[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            if depth == 0 {
                if at > start || !all.is_empty() {
                    all.push(&self.0[start..at]);
                }
                break;
            }
        }
        all
    }

    /// An operator; of several the one whose neighbours are of these types.
    fn sign(&self, sign: &str, types: Option<&(String, String)>) -> Option<usize> {
        let is_it = |at: &usize| {
            self.get(*at).is_some_and(|token| match token {
                Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(sign),
                Token::SingleQuotedString(_) | Token::Number(..) => false,
                other => other.to_string() == sign,
            })
        };
        let all: Vec<usize> = (0..self.0.len()).filter(is_it).collect();
        if let [only] = all[..] {
            return Some(only);
        }
        let (left, right) = types?;
        let fits = |token: Option<&Token>, wanted: &str| {
            token.and_then(literal_type).is_none_or(|kind| is_like(kind, wanted))
        };
        let fitting: Vec<usize> = all
            .into_iter()
            .filter(|at| fits(self.before(*at), left) && fits(self.get(at + 1), right))
            .collect();
        if let [only] = fitting[..] { Some(only) } else { None }
    }

    /// The only division, or the only one by a zero that is written.
    fn division(&self) -> Option<usize> {
        let divides = |at: &usize| match self.get(*at) {
            Some(Token::Div) => !matches!(self.before(*at), Some(Token::Div)),
            Some(Token::DuckIntDiv | Token::Mod) => true,
            Some(Token::Word(word)) if matches!(self.get(at + 1), Some(Token::LParen)) => {
                ["mod", "fmod", "div"].iter().any(|name| word.value.eq_ignore_ascii_case(name))
            }
            Some(Token::Word(_)) => is_keyword(&self.0[*at].token, "div"),
            _ => false,
        };
        let all: Vec<usize> = (0..self.0.len()).filter(divides).collect();
        let is_by_zero = |at: &&usize| matches!(self.get(*at + 1), Some(Token::Number(number, _)) if number.parse() == Ok(0.0_f64));
        let mut by_zero = all.iter().filter(is_by_zero);
        match (&all[..], by_zero.next(), by_zero.next()) {
            ([only], ..) => Some(*only),
            (_, Some(first), None) => Some(*first),
            _ => None,
        }
    }

    /// The only place where a name and a number are compared.
    fn beside_number(&self) -> Option<usize> {
        let is_number = |at: usize| {
            let at = if matches!(self.get(at), Some(Token::Minus | Token::LParen)) { at + 1 } else { at };
            matches!(self.get(at), Some(Token::Number(..)))
        };
        let is_name = |at: usize| match self.get(at) {
            // Many a column is called as a keyword that means nothing there.
            Some(token @ Token::Word(_)) => {
                let others =
                    ["and", "or", "not", "where", "on", "when", "then", "else", "having", "end", "null"];
                !others.iter().any(|word| is_keyword(token, word))
            }
            _ => false,
        };
        let name = |at: usize| -> Option<usize> {
            let compares = matches!(
                self.get(at)?,
                Token::Eq | Token::DoubleEq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq
            );
            let lists = is_keyword(self.get(at)?, "in") || is_keyword(self.get(at)?, "between");
            let before = at.checked_sub(1)?;
            if compares && matches!(self.get(before), Some(Token::Number(..))) && is_name(at + 1) {
                return Some(at + 1);
            }
            ((compares || lists) && is_number(at + 1) && is_name(before)).then(|| self.path_start(before))
        };
        let mut found = (0..self.0.len()).filter_map(name);
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether something is read as another type because it is asked for.
    fn has_casts(&self) -> bool {
        (0..self.0.len()).any(|at| match self.get(at) {
            Some(Token::DoubleColon) => true,
            Some(token) => ["cast", "try_cast", "convert"].iter().any(|word| is_keyword(token, word)),
            None => false,
        })
    }

    /// Where these words follow each other, with or without the tables before columns, brackets and casts.
    fn expression(&self, words: &[String]) -> Option<usize> {
        let plain = bare(&self.0);
        self.these_words(words, &plain).or_else(|| {
            let is_cast = |at: usize| matches!(self.get(at), Some(Token::DoubleColon));
            let without: Vec<(usize, String)> = plain
                .into_iter()
                .filter(|(at, _)| !is_cast(*at) && !at.checked_sub(1).is_some_and(is_cast))
                .collect();
            self.these_words(words, &without)
        })
    }

    fn these_words(&self, words: &[String], plain: &[(usize, String)]) -> Option<usize> {
        let starts =
            |at: &usize| plain[*at..].iter().map(|(_, word)| word).take(words.len()).eq(words.iter());
        let mut found = (0..(plain.len() + 1).saturating_sub(words.len())).filter(starts);
        let first = found.next().filter(|_| found.next().is_none())?;
        Some(self.path_start(plain[first].0))
    }
}

fn is_keyword(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Words in lower case without brackets and the tables before columns, each with its place.
fn bare(tokens: &[TokenWithSpan]) -> Vec<(usize, String)> {
    let is_prefix = |at: usize| {
        matches!(tokens[at].token, Token::Word(_))
            && matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::Period))
    };
    let is_kept = |at: &usize| {
        !matches!(tokens[*at].token, Token::LParen | Token::RParen | Token::Period) && !is_prefix(*at)
    };
    let word = |at: usize| match &tokens[at].token {
        Token::Word(word) => word.value.to_lowercase(),
        other => other.to_string().to_lowercase(),
    };
    (0..tokens.len()).filter(is_kept).map(|at| (at, word(at))).collect()
}

/// What a piece of a message in backquotes is.
fn subject_of(piece: &str, message: &str, is_missing: bool) -> Vec<Subject> {
    if let Some((name, rest)) = piece.split_once('(')
        && let Some(arguments) = rest.strip_suffix(')')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && message.starts_with("there is no `")
    {
        let types = Some(at_commas(arguments));
        return vec![Subject::Call { name: name.to_lowercase(), types, is_missing: false }];
    }
    let is_of_function = message.starts_with("there is no function")
        || message.contains("so many arguments")
        || message.ends_with("needs a window")
        || message.contains(" needs ");
    if is_of_function && piece.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return vec![Subject::Call { name: piece.to_lowercase(), types: None, is_missing: true }];
    }
    if !piece.chars().any(char::is_alphanumeric) {
        return vec![Subject::Sign { sign: piece.to_owned(), types: operand_types(message) }];
    }
    if piece.starts_with('$') && message.contains("is not a place") {
        return vec![Subject::Sign { sign: piece.to_owned(), types: None }];
    }
    if let Some(text) = piece.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return vec![Subject::Text(text.replace("''", "'"))];
    }
    let is_path = piece.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '#'));
    if is_path && !piece.starts_with(|c: char| c.is_ascii_digit()) {
        let is_of = |kind: &str| {
            message.starts_with(&format!("there is no {kind}")) || message.contains(&format!("no {kind} of"))
        };
        let tables = ["table", "model", "view", "schema", "seed", "snapshot", "source"];
        let of = match message.starts_with("there is no type") {
            true => Of::Type,
            false if tables.into_iter().any(is_of) || message.starts_with("two tables") => Of::Table,
            false => Of::Column,
        };
        let pick = match (is_missing, message.starts_with("two ")) {
            (true, _) => Pick::First,
            (false, true) => Pick::Last,
            (false, false) => Pick::Only,
        };
        let parts = piece.split('.').map(str::to_lowercase).collect();
        let name = piece.to_lowercase();
        return vec![
            Subject::Name { parts, pick, of },
            Subject::Text(piece.to_owned()),
            Subject::Call { name, types: None, is_missing },
        ];
    }
    let words = tokenize(piece).unwrap_or_default();
    let words: Vec<TokenWithSpan> = words.into_iter().filter(|token| is_solid(&token.token)).collect();
    let words: Vec<String> = bare(&words).into_iter().map(|(_, word)| word).collect();
    let text = Subject::Text(piece.to_owned());
    if words.is_empty() { vec![text] } else { vec![text, Subject::Expression(words)] }
}

/// The two types of "`+` does not go with bigint and varchar".
fn operand_types(message: &str) -> Option<(String, String)> {
    let rest = message.split_once(" go with ").map(|(_, rest)| (rest, " and "));
    let (rest, between) =
        rest.or_else(|| message.split_once(" compare ").map(|(_, rest)| (rest, " with ")))?;
    let (left, right) = rest.split_once(between)?;
    Some((left.to_owned(), right.to_owned()))
}

fn at_commas(list: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let pieces = list.split(|c: char| {
        depth += i32::from(matches!(c, '(' | '[' | '<')) - i32::from(matches!(c, ')' | ']' | '>'));
        c == ',' && depth == 0
    });
    pieces.map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}

/// Whether arguments can be of these types: as many, and no literal among them that is of another.
fn fits(arguments: &[&[TokenWithSpan]], types: &[String]) -> bool {
    let is_star = matches!(arguments, [[star]] if star.token == Token::Mul);
    let each = |(argument, wanted): (&&[TokenWithSpan], &String)| match argument {
        [literal] => literal_type(&literal.token).is_none_or(|kind| is_like(kind, wanted)),
        _ => true,
    };
    is_star || arguments.len() == types.len() && arguments.iter().zip(types).all(each)
}

/// The kind of a literal; nothing for other words.
fn literal_type(token: &Token) -> Option<&'static str> {
    match token {
        Token::Number(number, _) if number.chars().all(|c| c.is_ascii_digit()) => Some("int"),
        Token::Number(..) => Some("number"),
        Token::SingleQuotedString(_) => Some("text"),
        _ => None,
    }
}

fn is_like(kind: &str, data_type: &str) -> bool {
    let is_whole = data_type.ends_with("int");
    match kind {
        "text" => data_type == "varchar" || data_type == "text",
        "int" => {
            is_whole || data_type.starts_with("decimal") || data_type == "double" || data_type == "number"
        }
        _ => !is_whole && data_type != "varchar",
    }
}

#[cfg(test)]
mod tests {
    use super::{beside_number, located};

    #[test]
    fn a_text_that_is_compared_with_a_number_is_found() {
        let message = "'AA' cannot be read as bigint";
        for (sql, place) in [
            ("select * from t where carrier = 5", Some((1, 23))),
            ("select * from t x where 5 < x.carrier", Some((1, 29))),
            ("select * from t where t.carrier in (5, 6)", Some((1, 23))),
            ("select * from t where carrier = 5 and id = 7", None),
            ("select carrier::int from t where id = 7", None),
            ("select 'AA' = 5", None),
        ] {
            assert_eq!(beside_number(message, sql), place, "{sql}");
        }
    }

    #[test]
    fn a_mistake_is_where_its_words_are() {
        for (message, sql, place) in [
            ("there is no column `nope`", "select a from t\norder by nope", Some((2, 10))),
            ("there is no column `nope`", "select a from t order by r.nope, nope", Some((1, 26))),
            ("there is no table `main.x`", "drop table x", Some((1, 12))),
            ("there is no table `main.x`", "select x from main.x", Some((1, 15))),
            ("there is no table `main.x`", "select 1 from other.x", None),
            ("there is no type `nosuch`", "select cast(1 as nosuch)", Some((1, 18))),
            ("there is no `sum(varchar)`", "select sum(1), sum('a')", Some((1, 16))),
            ("there is no `sum(varchar)`", "select sum(a), sum(b)", None),
            ("there is no `lag()`", "select lag() over ()", Some((1, 8))),
            ("there is no `make_array(bigint, date)`", "select [1, a]", Some((1, 8))),
            ("'x' cannot be read as int", "select 'x', 'x'::int", Some((1, 13))),
            ("'x' cannot be read as int", "select a::int from t", None),
            ("`+` does not go with bigint and varchar", "select 1 + 1, 1 + 'a'", Some((1, 17))),
            ("`9 + 1` is too large for its type", "select 1, (9) + 1", Some((1, 12))),
            ("`t.a + 1` is too large for its type", "select a + 1 from t", Some((1, 8))),
            ("the statement ends, and `)` is missing", "select (1", Some((1, 8))),
            ("division by zero", "select 1 / 0", Some((1, 10))),
            ("division by zero", "select a / b, a % 0", Some((1, 17))),
            ("division by zero", "select a // b from t", Some((1, 10))),
            ("division by zero", "select a / b, b / a", None),
            ("the sum is too large for its type", "select a, sum(b) from t", Some((1, 11))),
            ("`9223372036854775807 + 1` is too large for its type", "select 1, b + a from t", Some((1, 13))),
            (
                "-5 is no uinteger, which is from 0 to 4294967295",
                "select cast(-5 as uinteger)",
                Some((1, 19)),
            ),
            ("a condition is wanted here, and `'a'` is a varchar", "select 1 where 'a'", Some((1, 16))),
            ("LIKE does not go with bigint and bigint", "select a like 1", Some((1, 10))),
            ("`foo` is no part of time", "select extract(foo from t)", Some((1, 16))),
            ("`foo` is no part of time", "select date_diff('foo', a, b)", Some((1, 18))),
            ("there is no `sum(varchar)`", "select sum(id), sum('x')", Some((1, 17))),
            ("two tables are known as `o`", "select o.a from b o, c o", Some((1, 24))),
            ("`try` around a subquery is not supported", "select try((select 1))", Some((1, 8))),
            ("`substring` needs a start", "select substr('a')", Some((1, 8))),
            ("`300` does not fit into tinyint", "select 1, cast(300 as tinyint)", Some((1, 16))),
            ("`2 + 1` is too large for its type", "select 1, 2::int + 1::int", Some((1, 11))),
            ("`$a` is not a place for a value", "prepare p as select $a", Some((1, 21))),
            (
                "a subquery that stands for one value gave more than one row",
                "select a from (select 1 as a) where a > (select 2)",
                Some((1, 41)),
            ),
            (
                "a subquery that stands for one value gave more than one row",
                "select (select 1), (select 2)",
                None,
            ),
            (
                "two queries of the WITH are called `a`",
                "with a as (select 1), a as (select 2) select * from a",
                Some((1, 23)),
            ),
            (
                "the two sides of the UNION have not the same number of columns",
                "select 1, f(2, 3) union all select 1, 2 union select 3",
                Some((1, 54)),
            ),
            (
                "the two sides of the UNION have not the same number of columns",
                "select * from t union select 1, 2",
                Some((1, 30)),
            ),
            (
                "the two sides of the UNION have not the same number of columns",
                "select * from t union select 1 union select 2",
                None,
            ),
            ("something else", "select 1", None),
        ] {
            assert_eq!(located(message, sql), place, "{message}: {sql}");
        }
    }
}
