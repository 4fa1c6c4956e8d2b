//! Who reads the pattern of a date?
//!
//! Functions of ours, which know the words of Java and Postgres (`mend::dated`). A pattern with a percent sign is the engine's.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Value, ValueWithSpan,
};

use super::spelling::name_of;

/// Functions of a value and a pattern, and which of ours they are.
const BY_PATTERN: &[(&str, &str)] = &[
    ("to_char", "_elt_to_char"),
    ("to_varchar", "_elt_to_char"),
    ("date_format", "_elt_date_format"),
    ("to_date", "_elt_to_date"),
    ("to_timestamp", "_elt_to_timestamp"),
    ("try_to_date", "_elt_try_to_date"),
    ("try_to_timestamp", "_elt_try_to_timestamp"),
];

/// Gives a call with a pattern to the function that reads it.
pub(super) fn with_format(call: &mut Function) {
    let name = name_of(call);
    let Some((_, own)) = BY_PATTERN.iter().find(|(known, _)| *known == name) else { return };
    let FunctionArguments::List(list) = &call.args else { return };
    let [FunctionArg::Unnamed(_), FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] = &list.args[..]
    else {
        return;
    };
    let is_tried = name.starts_with("try_");
    let is_engines = matches!(pattern, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. })
        if text.contains('%'));
    if is_tried || !is_engines {
        call.name = Ident::new(*own).into();
    }
}

#[cfg(test)]
mod tests {
    use super::super::functions::expression_of;
    use super::*;

    #[test]
    fn only_percent_signs_are_the_engines() {
        for (sql, wanted) in [
            ("to_char(a, 'YYYY')", "_elt_to_char(a, 'YYYY')"),
            ("to_char(a, '%Y')", "to_char(a, '%Y')"),
            ("date_format(a, p)", "_elt_date_format(a, p)"),
            ("to_date(a, 'yyyy')", "_elt_to_date(a, 'yyyy')"),
            ("to_timestamp(a, '%Y', '%m')", "to_timestamp(a, '%Y', '%m')"),
            ("try_to_date(a, '%Y')", "_elt_try_to_date(a, '%Y')"),
            ("to_timestamp(a)", "to_timestamp(a)"),
        ] {
            let Expr::Function(mut call) = expression_of(sql) else { panic!("{sql}") };
            with_format(&mut call);
            assert_eq!(call.to_string(), wanted);
        }
    }
}
