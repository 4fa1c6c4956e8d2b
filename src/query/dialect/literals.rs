//! How many digits does a number keep?
//!
//! All of them. To the engine a number with a point, or one that no bigint holds, is a double of some 16 digits.
//! [`keep_digits`] makes a decimal of a number with more. One with an exponent stays a double, whatever it meets.

use std::ops::ControlFlow;

use sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Statement, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};

/// What every double keeps.
const DIGITS_OF_A_DOUBLE: usize = 15;
/// What the widest decimal keeps.
const DIGITS_OF_A_DECIMAL: usize = 76;

/// Says the type of numbers that would otherwise lose digits, or gain a type by the company they keep.
pub(super) fn keep_digits(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Numbers);
}

struct Numbers;

impl VisitorMut for Numbers {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: number, data_type, .. } = expr {
            if is_decimal(data_type) || is_text(data_type) {
                as_written(number);
            } else if is_whole(data_type)
                && let Some(exact) = as_decimal(number)
            {
                **number = exact;
            }
        }
        if let Expr::Value(ValueWithSpan { value: Value::Number(text, _), span }) = expr
            && let Some(data_type) = exact_type(text)
        {
            let text = Value::SingleQuotedString(text.replace('_', ""));
            let text = Expr::Value(ValueWithSpan { value: text, span: *span });
            *expr = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(text),
                data_type,
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Varchar(_) | DataType::Text | DataType::String(_))
}

fn is_whole(data_type: &DataType) -> bool {
    use DataType::{BigInt, Int, Int2, Int4, Int8, Integer, SmallInt, TinyInt};
    matches!(
        data_type,
        TinyInt(_) | SmallInt(_) | Int2(_) | Int(_) | Integer(_) | Int4(_) | BigInt(_) | Int8(_)
    )
}

/// A number with a point as a decimal of its digits.
fn as_decimal(number: &Expr) -> Option<Expr> {
    let mut exact = number.clone();
    as_written(&mut exact);
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = &exact else {
        return None;
    };
    let (whole, fraction) = text.trim_start_matches('-').split_once('.')?;
    let digits = (whole.len() + fraction.len()).max(1);
    let (digits, scale) = (u64::try_from(digits).ok()?, i64::try_from(fraction.len()).ok()?);
    (exact != *number && digits <= 38).then(|| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(exact),
        data_type: DataType::Decimal(ExactNumberInfo::PrecisionAndScale(digits, scale)),
        array: false,
        format: None,
    })
}

/// A number with a point, and a sign perhaps, as a text: a double on the way would not be what was written.
pub(in crate::query) fn as_written(number: &mut Expr) {
    let digits = |expr: &Expr| match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) if text.contains('.') => {
            // `5.` and `.5` are written with a digit more.
            let text = text.replace('_', "");
            let text = if text.starts_with('.') { format!("0{text}") } else { text };
            Some(text.trim_end_matches('.').to_owned())
        }
        _ => None,
    };
    let mut inner = &*number;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    let text = match inner {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => digits(expr).map(|text| format!("-{text}")),
        other => digits(other),
    };
    if let Some(text) = text.filter(|text| !text.contains(['e', 'E'])) {
        *number = Expr::value(Value::SingleQuotedString(text));
    }
}

/// The type that a number has to be given; nothing where the engine reads it rightly.
fn exact_type(text: &str) -> Option<DataType> {
    let text = text.replace('_', "");
    if text.contains(['e', 'E']) && !text.starts_with("0x") {
        return Some(DataType::Double(ExactNumberInfo::None));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_start_matches('0');
    let is_number = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let digits = whole.len() + fraction.len();
    let is_kept = match text.contains('.') {
        true => digits <= DIGITS_OF_A_DOUBLE,
        false => text.parse::<u64>().is_ok(),
    };
    if !is_number || is_kept || digits > DIGITS_OF_A_DECIMAL {
        return None;
    }
    let scale = i64::try_from(fraction.len()).ok()?;
    Some(DataType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::try_from(digits).ok()?, scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_given_where_digits_would_be_lost() {
        let given = |text: &str| exact_type(text).map(|data_type| data_type.to_string());
        assert_eq!(given("99999999999999999999").as_deref(), Some("DECIMAL(20,0)"));
        assert_eq!(given("1234567890.1234567").as_deref(), Some("DECIMAL(17,7)"));
        assert_eq!(given("0.1234567890123456789").as_deref(), Some("DECIMAL(19,19)"));
        assert_eq!(given("1e3").as_deref(), Some("DOUBLE"));
        for kept in ["1", "18446744073709551615", "1.19", "0.1", "5.", ".5", "1_000"] {
            assert_eq!(given(kept), None, "{kept}");
        }
    }
}
