//! How are dates added up?
//!
//! The library's operators know numbers, texts and lists. Where an operand may be something else, [`edits`] makes a call of an
//! operator: `a - b * 2` becomes `__minus(a, __times(b, 2))`, and [`add`] says what these calls do. Precedence is Jinja's: `**`
//! and filters bind closest, then `*`, `/` and `//`, then `~`, then `+` and `-`.

use std::ops::Range;
use std::sync::LazyLock;

use minijinja::{Environment, Error, Expression, Value, context};

use super::duration;
use super::prepare::string_length;
use super::values;

/// The operators that are calls, each with its function.
const OPERATORS: [(&str, &str); 5] =
    [("+", "__plus"), ("-", "__minus"), ("*", "__times"), ("/", "__over"), ("//", "__floor")];

/// Text that is put in at `at`, in the place of the `skip` bytes there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    pub(super) at: usize,
    pub(super) skip: usize,
    pub(super) text: String,
}

/// The functions behind the operators.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(_, name)| *name)
}

/// Adds them.
pub(super) fn add(env: &mut Environment<'static>) {
    for (operator, name) in OPERATORS {
        env.add_function(name, move |left: Value, right: Value| calculated(operator, &left, &right));
    }
}

/// `left + right`
pub(super) fn sum(left: &Value, right: &Value) -> Result<Value, Error> {
    calculated("+", left, right)
}

fn calculated(operator: &'static str, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some(result) = duration::calculated(operator, left, right) {
        return result;
    }
    if operator == "-"
        && let Some(result) = values::set_difference(left, right)
    {
        return Ok(result);
    }
    static ENV: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);
    static NATIVE: LazyLock<Vec<(&str, Expression<'static, 'static>)>> = LazyLock::new(|| {
        let compiled = |operator: &'static str| {
            let expression = ENV.compile_expression_owned(format!("left {operator} right"));
            (operator, expression.expect("an operator between two names is an expression"))
        };
        OPERATORS.iter().map(|(operator, _)| compiled(operator)).collect()
    });
    let native = NATIVE.iter().find(|(known, _)| *known == operator).map(|(_, native)| native);
    let native = native.expect("every operator is compiled");
    // The error is told where the operator stands.
    native.eval(context! { left => left, right => right }).map_err(|error| {
        let told = error.detail().map(str::to_owned).unwrap_or_else(|| error.to_string());
        Error::new(error.kind(), told)
    })
}

/// What is to be put into the expression `range` of `source`, from left to right.
pub(super) fn edits(source: &str, range: Range<usize>) -> Vec<Edit> {
    let text = &source[range.clone()];
    if !text.contains(['+', '-', '*', '/']) {
        return Vec::new();
    }
    let mut reading = Reading { source, tokens: tokens(source, range), edits: Vec::new() };
    reading.region(0..reading.tokens.len());
    reading.edits.sort_by_key(|(order, edit)| (edit.at, *order));
    reading.edits.into_iter().map(|(_, edit)| edit).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Sign,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

fn tokens(source: &str, range: Range<usize>) -> Vec<Token> {
    let mut all = Vec::new();
    let mut at = range.start;
    while let Some(c) = source[at..range.end].chars().next() {
        let rest = &source[at..range.end];
        let run = |is_one: &dyn Fn(char) -> bool| rest.find(|c| !is_one(c)).unwrap_or(rest.len());
        let (kind, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => (Kind::Text, string_length(rest)),
            c if c.is_ascii_digit() => {
                let whole = run(&|c| c.is_alphanumeric() || c == '_');
                let after = &rest[whole..];
                let digits =
                    after.strip_prefix('.').filter(|more| more.starts_with(|c: char| c.is_ascii_digit()));
                let more = digits.map_or(0, |digits| {
                    1 + digits.find(|c: char| !c.is_alphanumeric()).unwrap_or(digits.len())
                });
                (Kind::Number, whole + more)
            }
            c if c.is_alphanumeric() || c == '_' => (Kind::Word, run(&|c| c.is_alphanumeric() || c == '_')),
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            _ => {
                let is_double =
                    ["**", "//", "==", "!=", "<=", ">="].iter().any(|double| rest.starts_with(double));
                (Kind::Sign, if is_double { 2 } else { c.len_utf8() })
            }
        };
        all.push(Token { kind, at: at..at + length });
        at += length;
    }
    all
}

struct Reading<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    /// What is to be put in, each with its rank among those of one place.
    edits: Vec<(i32, Edit)>,
}

impl Reading<'_> {
    fn word(&self, at: usize) -> &str {
        &self.source[self.tokens[at].at.clone()]
    }

    fn is_sign(&self, at: usize, signs: &[&str]) -> bool {
        self.tokens[at].kind == Kind::Sign && signs.contains(&self.word(at))
    }

    /// Whether the token ends a value, so that a sign after it stands between two.
    fn ends_value(&self, at: usize) -> bool {
        match self.tokens[at].kind {
            Kind::Word => !self.is_keyword(at),
            Kind::Number | Kind::Text | Kind::Close => true,
            Kind::Open | Kind::Sign => false,
        }
    }

    /// Whether the word there separates expressions; a test's and an attribute's name does not.
    fn is_keyword(&self, at: usize) -> bool {
        const KEYWORDS: [&str; 8] = ["if", "else", "elif", "and", "or", "not", "in", "recursive"];
        let is_name = at.checked_sub(1).is_some_and(|before| {
            self.is_sign(before, &[".", "|"])
                || (self.tokens[before].kind == Kind::Word
                    && (self.word(before) == "is"
                        || (self.word(before) == "not" && before > 0 && self.word(before - 1) == "is")))
        });
        self.tokens[at].kind == Kind::Word && !is_name && KEYWORDS.contains(&self.word(at))
    }

    /// The tokens between the brackets of which the first is at `open`.
    fn closing(&self, open: usize, end: usize) -> usize {
        let mut depth = 0usize;
        for at in open..end {
            match self.tokens[at].kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        end
    }

    /// Reads tokens that hold any number of expressions.
    fn region(&mut self, range: Range<usize>) {
        let (mut from, mut at) = (range.start, range.start);
        while at < range.end {
            let is_edge =
                self.is_sign(at, &[",", ":", "=", "==", "!=", "<", ">", "<=", ">="]) || self.is_keyword(at);
            if is_edge {
                self.chain(from..at, 0);
                from = at + 1;
            } else if self.tokens[at].kind == Kind::Open {
                let close = self.closing(at, range.end);
                self.region(at + 1..close);
                at = close;
            }
            at += 1;
        }
        self.chain(from..range.end, 0);
    }

    /// Reads operands with signs of one rank between them: 0 for `+` and `-`, 1 for `~`, 2 for `*` and `/`.
    fn chain(&mut self, range: Range<usize>, rank: usize) {
        const SIGNS: [&[&str]; 3] = [&["+", "-"], &["~"], &["*", "/", "//"]];
        let Some(signs) = SIGNS.get(rank) else { return };
        let mut between = Vec::new();
        let mut at = range.start;
        while at < range.end {
            if self.tokens[at].kind == Kind::Open {
                at = self.closing(at, range.end);
            } else if at > range.start && self.is_sign(at, signs) && self.ends_value(at - 1) {
                between.push(at);
            }
            at += 1;
        }
        let starts: Vec<usize> =
            std::iter::once(range.start).chain(between.iter().map(|at| at + 1)).collect();
        let ends: Vec<usize> = between.iter().copied().chain([range.end]).collect();
        let operands: Vec<Range<usize>> = starts.into_iter().zip(ends).map(|(from, to)| from..to).collect();
        if operands.iter().any(Range::is_empty) {
            return;
        }
        operands.iter().for_each(|operand| self.chain(operand.clone(), rank + 1));
        for (one, sign) in between.into_iter().enumerate() {
            let (left, right) = (&operands[0], &operands[one + 1]);
            let is_plain = |reading: &Self| {
                let left_is = |kinds: &[Kind]| one == 0 && reading.is_one(left, kinds);
                match rank {
                    0 => {
                        reading.is_one(right, &[Kind::Number, Kind::Text])
                            || left_is(&[Kind::Number, Kind::Text])
                    }
                    _ => {
                        let both = left_is(&[Kind::Number]) && reading.is_one(right, &[Kind::Number]);
                        both || left_is(&[Kind::Text]) || reading.is_one(right, &[Kind::Text])
                    }
                }
            };
            let name =
                OPERATORS.iter().find(|(operator, _)| *operator == self.word(sign)).map(|(_, name)| *name);
            if let Some(name) = name.filter(|_| !is_plain(self)) {
                let rank = i32::try_from(rank).unwrap_or_default();
                let nested = i32::try_from(one).unwrap_or_default();
                let place = (self.tokens[left.start].at.start, self.tokens[sign].at.clone());
                let end = self.tokens[right.end - 1].at.end;
                // The outer call opens first and closes last.
                self.edits
                    .push((100 * rank - nested, Edit { at: place.0, skip: 0, text: format!("{name}(") }));
                self.edits.push((0, Edit { at: place.1.start, skip: place.1.len(), text: ",".to_owned() }));
                self.edits.push((-1000 - 100 * rank, Edit { at: end, skip: 0, text: ")".to_owned() }));
            }
        }
    }

    /// Whether the operand is one token of these kinds.
    fn is_one(&self, operand: &Range<usize>, kinds: &[Kind]) -> bool {
        operand.len() == 1 && kinds.contains(&self.tokens[operand.start].kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare::Prepared;

    #[test]
    fn operators_between_values_become_calls() {
        for (written, prepared) in [
            ("{{ a - b }}", "{{ __minus(a , b) }}"),
            ("{{ a - 1 + b }}", "{{ __plus(a - 1 , b) }}"),
            ("{{ a + b - c|d(1) }}", "{{ __minus(__plus(a , b) , c|d(1)) }}"),
            ("{{ a - b * 2 ~ c }}", "{{ __minus(a , __times(b , 2) ~ c) }}"),
            (
                "{{ (a + b) // 2 if -a < x * y else +c }}",
                "{{ __floor((__plus(a , b)) , 2) if -a < __times(x , y) else  c }}",
            ),
            ("{{ f(*a, **b)[i+j:-k] is not none }}", "{{ f(*a, **b)[__plus(i,j):-k] is not none }}"),
            ("{{ 'a' + b ~ 2 * 3 - 'x' }}", "{{ 'a' + b ~ 2 * 3 - 'x' }}"),
            ("{% for x in a + b if x - y %}", "{% for x in __plus(a , b) if __minus(x , y) %}"),
            (
                "{% set x = [a + b, {k: c - d}] %}",
                "{% set x = __own( __list([__plus(a , b), __dict({k: __minus(c , d)})]) ) %}",
            ),
            ("{{ x|int - y|int }}", "{{ __minus(x|int , y|int) }}"),
            ("{{ set(a) - set(b) }}", "{{ __minus(set(a) , set(b)) }}"),
            ("{{ a ** b - c }}", "{{ __minus(a ** b , c) }}"),
            ("{{ a + '%s' % b }}", "{{ __plus(a , '%s' |__format( b)) }}"),
        ] {
            assert_eq!(Prepared::template(written, false).text, prepared, "{written}");
        }
    }
}
