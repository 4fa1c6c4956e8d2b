//! What do the clauses mean that other engines have in the brackets of a call?
//!
//! `group_concat(a separator '-')` is `string_agg(a, '-')`, `array_agg(a limit 3)` the first three of the list, and
//! `any_value(a having max b)` is `max_by(a, b)`. The others are refused: the engine would speak of the function as it calls it.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, HavingBound, HavingBoundKind, Ident,
};

use super::functions::{expression_of, name_of};
use super::spelling::called;

/// Spells the clauses of a call otherwise; gives what stands for the call, if that is another expression.
///
/// # Errors
/// What is not supported, and what to write instead.
pub(super) fn spell(call: &mut Function) -> Result<Option<Expr>, (&'static str, &'static str)> {
    let Some(name) = name_of(call) else { return Ok(None) };
    let FunctionArguments::List(list) = &mut call.args else { return Ok(None) };
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::OnOverflow(_) => {
                return Err(("ON OVERFLOW", "leave it out: a text is as long as it has to be"));
            }
            FunctionArgumentClause::JsonNullClause(_) => {
                return Err((
                    "NULL ON NULL and ABSENT ON NULL",
                    "leave it out: a null is a null in the JSON; `json_merge_patch('{}', j)` takes fields without a value out",
                ));
            }
            FunctionArgumentClause::JsonReturningClause(_) => {
                return Err(("RETURNING in a call", "cast what the call gives: `json_value(j, '$.a')::int`"));
            }
            _ => {}
        }
    }
    let is_joined = matches!(name.as_str(), "group_concat" | "string_agg" | "listagg");
    if is_joined
        && list.args.len() == 1
        && let Some(FunctionArgumentClause::Separator(between)) =
            take(list, |clause| matches!(clause, FunctionArgumentClause::Separator(_)))
    {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(between))));
    }
    if matches!(name.as_str(), "any_value" | "arbitrary")
        && list.args.len() == 1
        && let Some(FunctionArgumentClause::Having(HavingBound(kind, by))) =
            take(list, |clause| matches!(clause, FunctionArgumentClause::Having(_)))
    {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(by)));
        call.name = Ident::new(match kind {
            HavingBoundKind::Max => "max_by",
            HavingBoundKind::Min => "min_by",
        })
        .into();
        return Ok(None);
    }
    if matches!(name.as_str(), "array_agg" | "list")
        && let Some(FunctionArgumentClause::Limit(most)) =
            take(list, |clause| matches!(clause, FunctionArgumentClause::Limit(_)))
    {
        let whole = Expr::Function(call.clone());
        return Ok(Some(called("array_slice", &[whole, expression_of("1"), most])));
    }
    Ok(None)
}

/// Takes a clause out of a list of arguments.
fn take(
    list: &mut FunctionArgumentList,
    is_it: impl Fn(&FunctionArgumentClause) -> bool,
) -> Option<FunctionArgumentClause> {
    let at = list.clauses.iter().position(is_it)?;
    Some(list.clauses.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_become_arguments_and_calls() {
        for (sql, means) in [
            ("group_concat(a order by b separator '-')", "group_concat(a, '-' ORDER BY b)"),
            ("any_value(a having max b)", "max_by(a, b)"),
            ("array_agg(a order by b limit 3)", "array_slice(array_agg(a ORDER BY b), 1, 3)"),
            ("sum(a)", "sum(a)"),
        ] {
            let Expr::Function(mut call) = expression_of(sql) else { panic!("{sql}") };
            let other = spell(&mut call).unwrap();
            assert_eq!(other.unwrap_or(Expr::Function(call)).to_string(), means);
        }
        let Expr::Function(mut call) = expression_of("json_array(1 null on null)") else { panic!() };
        assert!(spell(&mut call).is_err());
    }
}
