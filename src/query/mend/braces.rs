//! How does a value stand in `{}`?
//!
//! `{:,}` by thousands, `{:>8}` to the right, `{:+.2f}`, as Python and DuckDB have it: `[[fill]align][sign][0][width]
//! [grouping][.precision][type]`. A number is written to the right of its width, a text to the left.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::common::{Result, exec_err};

use super::printf::{WIDEST, by_thousands, put};

/// `{}` one after the other, `{0}` by number, `{:.2f}` with a form; `{{` is a brace.
pub(super) fn in_braces(text: &str, values: &[&str]) -> Result<String> {
    let (mut written, mut next) = (String::new(), 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.next_if_eq(&c).is_some() => written.push(c),
            '{' => {
                let inside: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (number, form) = inside.split_once(':').unwrap_or((&inside, ""));
                let at = match number {
                    "" => {
                        next += 1;
                        next - 1
                    }
                    number => match number.parse::<usize>() {
                        Ok(at) => at,
                        Err(_) => return exec_err!("`{{{inside}}}` is no number of a value"),
                    },
                };
                let Some(value) = values.get(at) else {
                    return exec_err!("`{text}` wants more values than it is given");
                };
                Form::read(form)?.write(&mut written, value)?;
            }
            c => written.push(c),
        }
    }
    Ok(written)
}

/// What is written behind the colon.
#[derive(Debug, Default)]
struct Form {
    fill: Option<char>,
    align: Option<char>,
    sign: bool,
    zeros: bool,
    width: usize,
    between: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn digits(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut text = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        text.push(digit);
    }
    text.parse().ok()
}

impl Form {
    fn read(form: &str) -> Result<Self> {
        let is_align = |c: char| matches!(c, '<' | '>' | '^');
        let mut read = Self::default();
        let mut chars = form.chars().peekable();
        let mut two = form.chars();
        match (two.next(), two.next()) {
            (Some(fill), Some(align)) if is_align(align) => {
                (read.fill, read.align) = (Some(fill), Some(align));
                chars.nth(1);
            }
            (Some(align), _) if is_align(align) => read.align = chars.next(),
            _ => {}
        }
        read.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' ')) == Some('+');
        read.zeros = chars.next_if_eq(&'0').is_some();
        read.width = digits(&mut chars).unwrap_or(0);
        read.between = match chars.next_if(|c| matches!(c, ',' | '_' | '\'' | 't')) {
            Some('t') => chars.next(),
            other => other,
        };
        if chars.next_if_eq(&'.').is_some() {
            read.precision = Some(digits(&mut chars).unwrap_or(0));
        }
        read.kind = chars.next();
        if chars.next().is_some() || read.width > WIDEST {
            return exec_err!(
                "`{{:{form}}}` is no form of a value; there are `{{:,}}`, `{{:>8}}`, `{{:05d}}` and `{{:.2f}}`"
            );
        }
        Ok(read)
    }

    fn write(&self, to: &mut String, value: &str) -> Result<()> {
        let is_number = value.parse::<f64>().is_ok() && !matches!(self.kind, Some('s' | 'c'));
        let text = match (self.kind, self.precision) {
            (Some('b'), _) => match value.parse::<i64>() {
                Ok(number) => format!("{number:b}"),
                Err(_) => return exec_err!("`{value}` is no whole number, which `{{:b}}` writes"),
            },
            (Some('s') | None, Some(most)) if !is_number => value.chars().take(most).collect(),
            (None, Some(digits)) => put(&format!("%.{digits}f"), &[value])?,
            (Some('s') | None, _) => value.to_owned(),
            (Some(kind), Some(digits)) => put(&format!("%.{digits}{kind}"), &[value])?,
            (Some(kind), None) => put(&format!("%{kind}"), &[value])?,
        };
        let text = match self.between {
            Some(between) if is_number => by_thousands(&text, between),
            _ => text,
        };
        let plus = if self.sign && is_number && !text.starts_with('-') { "+" } else { "" };
        let text = format!("{plus}{text}");
        let missing = self.width.saturating_sub(text.chars().count());
        if self.zeros && is_number && self.align.is_none() {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            to.push_str(&format!("{sign}{}{digits}", "0".repeat(missing)));
            return Ok(());
        }
        let before = match self.align {
            Some('>') => missing,
            Some('^') => missing / 2,
            None if is_number => missing,
            _ => 0,
        };
        let fill = self.fill.unwrap_or(' ');
        to.extend(std::iter::repeat_n(fill, before));
        to.push_str(&text);
        to.extend(std::iter::repeat_n(fill, missing - before));
        Ok(())
    }
}
