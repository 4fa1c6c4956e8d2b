//! What does a pattern find, and what is put in its place?
//!
//! All that matches (`regexp_extract_all`), what is between (`regexp_split_to_array`), and `regexp_replace` as Postgres and
//! DuckDB have it: `\1` is a group, `\\` a backslash, and `$` a dollar. Also the patterns of GLOB and of LIKE with an
//! escape of its own, as the engine has them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::{Captures, Regex};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [What::Replace, What::ExtractAll, What::Split, What::Glob, What::Like]
        .map(|what| {
            ScalarUDF::from(Pattern { what, signature: Signature::user_defined(Volatility::Immutable) })
        })
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// `_elt_regexp_replace(text, pattern, replacement[, options])`
    Replace,
    /// `regexp_extract_all(text, pattern[, group[, options]])`
    ExtractAll,
    /// `regexp_split_to_array(text, pattern[, options])`
    Split,
    /// `_elt_glob(pattern)`: a regular expression.
    Glob,
    /// `_elt_like(pattern, escape)`: the same with a backslash as its escape.
    Like,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pattern {
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for Pattern {
    fn name(&self) -> &str {
        match self.what {
            What::Replace => "_elt_regexp_replace",
            What::ExtractAll => "regexp_extract_all",
            What::Split => "regexp_split_to_array",
            What::Glob => "_elt_glob",
            What::Like => "_elt_like",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (least, most) = match self.what {
            What::Replace => (3, 4),
            What::ExtractAll => (2, 4),
            What::Split => (2, 3),
            What::Glob => (1, 1),
            What::Like => (2, 2),
        };
        if !(least..=most).contains(&types.len()) {
            return plan_err!("`{}` has {least} to {most} arguments", self.name());
        }
        if let Some(other) = types[..least].iter().find(|of| !(of.is_string() || of.is_null())) {
            let other = crate::base::sql_type_name(other);
            return plan_err!(
                "the arguments of `{}` are texts, not {other}; cast it: `x::varchar`",
                self.name()
            );
        }
        let mut wanted = vec![DataType::Utf8; types.len()];
        if self.what == What::ExtractAll && types.len() > 2 {
            wanted[2] = DataType::Int64;
        }
        Ok(wanted)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::ExtractAll | What::Split => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
            _ => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<Vec<_>>>()?;
        let answer = match self.what {
            What::Replace => replaced(&arrays, rows)?,
            What::ExtractAll | What::Split => self.parts(&arrays, rows)?,
            What::Glob => each_text(&arrays, rows, |texts| Ok(glob(texts[0])))?,
            What::Like => each_text(&arrays, rows, |texts| like(texts[0], texts[1]))?,
        };
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?),
            false => ColumnarValue::Array(answer),
        })
    }
}

/// The regular expression that was used last: it is mostly the same in all rows.
#[derive(Default)]
struct Last(Option<(String, String, Regex)>);

impl Last {
    fn regex(&mut self, pattern: &str, options: &str) -> Result<&Regex> {
        if !matches!(&self.0, Some((known, with, _)) if known == pattern && with == options) {
            let mut flags = String::new();
            for option in options.chars() {
                match option {
                    'i' | 's' | 'm' | 'x' => flags.push(option),
                    'n' | 'p' => flags.push('m'),
                    'c' | 'g' | 'l' => {}
                    other => {
                        return exec_err!(
                            "`{other}` is no option of a regular expression; there are c, g, i, l, m, n, p, s and x"
                        );
                    }
                }
            }
            let whole = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
            let whole = if options.contains('l') { regex::escape(pattern) } else { whole };
            let regex = Regex::new(&whole)
                .map_err(|error| datafusion::common::exec_datafusion_err!("regex parse error: {error}"))?;
            self.0 = Some((pattern.to_owned(), options.to_owned(), regex));
        }
        let (_, _, regex) = self.0.as_ref().expect("it was just put there");
        Ok(regex)
    }
}

fn each_text(
    arrays: &[ArrayRef],
    rows: usize,
    write: impl Fn(&[&str]) -> Result<String>,
) -> Result<ArrayRef> {
    let texts: Vec<&StringArray> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
    let mut answer = StringBuilder::new();
    for row in 0..rows {
        match texts.iter().any(|column| column.is_null(row)) {
            true => answer.append_null(),
            false => {
                let values: Vec<&str> = texts.iter().map(|column| column.value(row)).collect();
                answer.append_value(write(&values)?);
            }
        }
    }
    Ok(Arc::new(answer.finish()))
}

fn replaced(arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let texts: Vec<&StringArray> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
    let mut last = Last::default();
    let mut answer = StringBuilder::new();
    for row in 0..rows {
        if texts.iter().any(|column| column.is_null(row)) {
            answer.append_null();
            continue;
        }
        let options = texts.get(3).map_or("", |column| column.value(row));
        let (text, with) = (texts[0].value(row), texts[2].value(row));
        let regex = last.regex(texts[1].value(row), options)?;
        let limit = usize::from(!options.contains('g'));
        answer.append_value(regex.replacen(text, limit, |found: &Captures<'_>| filled(with, found)));
    }
    Ok(Arc::new(answer.finish()))
}

/// A replacement with its groups: `\1`, the whole for `\0` and `\&`, and a backslash for two.
fn filled(with: &str, found: &Captures<'_>) -> String {
    let mut written = String::new();
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            written.push(c);
            continue;
        }
        match chars.next() {
            Some(digit @ '0'..='9') => {
                let group = digit.to_digit(10).and_then(|group| found.get(group as usize));
                written.push_str(group.map_or("", |group| group.as_str()));
            }
            Some('&') => written.push_str(&found[0]),
            Some('\\') | None => written.push('\\'),
            Some(other) => written.extend(['\\', other]),
        }
    }
    written
}

impl Pattern {
    fn parts(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let texts = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
        let (groups, options) = match self.what {
            What::ExtractAll => (arrays.get(2), arrays.get(3)),
            _ => (None, arrays.get(2)),
        };
        let options = options.map(|options| cast(options, &DataType::Utf8)).transpose()?;
        let options = options.as_ref().map(|options| options.as_string::<i32>());
        let groups = groups.map(|groups| groups.as_primitive::<Int64Type>());
        let mut last = Last::default();
        let mut answer = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            if arrays.iter().any(|array| array.is_null(row)) {
                answer.append(false);
                continue;
            }
            let text = texts.0.value(row);
            let regex = last.regex(texts.1.value(row), options.map_or("", |options| options.value(row)))?;
            if self.what == What::Split {
                regex.split(text).for_each(|part| answer.values().append_value(part));
                answer.append(true);
                continue;
            }
            let group = groups.map_or(0, |groups| groups.value(row));
            let known = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
            let Some(group) = known else {
                return exec_err!(
                    "the regular expression has no group {group}: it has {}",
                    regex.captures_len() - 1
                );
            };
            for found in regex.captures_iter(text) {
                answer.values().append_value(found.get(group).map_or("", |group| group.as_str()));
            }
            answer.append(true);
        }
        Ok(Arc::new(answer.finish()))
    }
}

/// `*`, `?` and `[a-z]` as a regular expression of the whole text.
fn glob(pattern: &str) -> String {
    let mut regex = String::from("^(?s:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.extend(chars.next().map(|c| regex::escape(&c.to_string()))),
            '[' => {
                let mut rest = chars.clone();
                let is_not = rest.clone().next() == Some('!');
                if is_not {
                    rest.next();
                }
                let inside: String = rest.by_ref().take_while(|c| *c != ']').collect();
                if inside.is_empty() || !chars.as_str().contains(']') {
                    regex.push_str("\\[");
                    continue;
                }
                chars = rest;
                let escaped = inside.replace('\\', "\\\\").replace('[', "\\[").replace('^', "\\^");
                regex.push_str(if is_not { "[^" } else { "[" });
                regex.push_str(&escaped.replace('&', "\\&").replace('~', "\\~"));
                regex.push(']');
            }
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str(")$");
    regex
}

/// A pattern of LIKE whose escape is a backslash.
fn like(pattern: &str, escape: &str) -> Result<String> {
    let mut all = escape.chars();
    let (escape, None) = (all.next(), all.next()) else {
        return exec_err!("the escape of LIKE is one character: `like 'a!%' escape '!'`");
    };
    let mut told = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(meant) => told.extend(['\\', meant]),
                None => return exec_err!("the pattern '{pattern}' ends with its escape"),
            }
        } else if c == '\\' {
            told.push_str("\\\\");
        } else {
            told.push(c);
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_put_into_the_engines_words() {
        for (pattern, text, is_match) in [
            ("a*", "abc", true),
            ("a*", "Abc", false),
            ("a?c", "abc", true),
            ("a.c", "abc", false),
            ("[a-c]bc", "bbc", true),
            ("[!a]bc", "abc", false),
            ("[^]", "^", true),
            ("a[", "a[", true),
            (r"a\*", "a*", true),
            ("*", "", true),
        ] {
            assert_eq!(Regex::new(&glob(pattern)).unwrap().is_match(text), is_match, "{text} by {pattern}");
        }
        assert_eq!(like("a!%b!!", "!").unwrap(), r"a\%b\!");
        assert_eq!(like(r"a\b", "").unwrap(), r"a\\b");
        assert!(like("a!", "!").is_err());
        assert!(like("a", "!!").is_err());
    }

    #[test]
    fn replacements_have_groups_behind_backslashes() {
        let put = |pattern: &str, with: &str| {
            let regex = Regex::new(pattern).unwrap();
            regex.replacen("abc", 1, |found: &Captures<'_>| filled(with, found)).into_owned()
        };
        assert_eq!(put("(b)", r"[\1]"), "a[b]c");
        assert_eq!(put("b", "$5"), "a$5c");
        assert_eq!(put("b", r"\\"), r"a\c");
        assert_eq!(put("b", r"\0\&\9\q"), r"abb\qc");
    }
}
