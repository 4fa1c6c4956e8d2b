//! What does a macro of the session stand for?
//!
//! `create macro add(a, b := 1) as a + b` and `create macro top(n) as table select * from t limit n`, as in DuckDB: the call is
//! replaced by what was written, with the arguments in the places of the names. A macro may call others.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident, MacroArg,
    MacroDefinition, ObjectName, Query, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::Own;
use crate::query::SqlMistake;

/// So deep macros may call one another.
const DEPTH: usize = 32;

/// A macro: its parameters, and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Macro {
    parameters: Vec<(String, Option<Expr>)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Value(Box<Expr>),
    Rows(Box<Query>),
}

impl Macro {
    /// One that was written.
    pub(super) fn new(args: Vec<MacroArg>, definition: MacroDefinition) -> Self {
        let parameters = args.into_iter().map(|arg| (folded(&arg.name), arg.default_expr)).collect();
        let body = match definition {
            MacroDefinition::Expr(value) => Body::Value(Box::new(value)),
            MacroDefinition::Table(rows) => Body::Rows(rows),
        };
        Self { parameters, body }
    }

    /// The argument of each parameter.
    fn given(&self, name: &str, args: &[FunctionArg]) -> Result<Vec<(String, Expr)>, SqlMistake> {
        let names = || self.parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let wrong = |what: String| {
            SqlMistake::new("elt::sql::arguments", what).help(format!("it is `{name}({})`", names()))
        };
        let mut given: Vec<Option<Expr>> = vec![None; self.parameters.len()];
        for (at, arg) in args.iter().enumerate() {
            let (at, value) = match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (Some(at), value),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    operator: FunctionArgOperator::Assignment | FunctionArgOperator::RightArrow,
                } => (self.parameters.iter().position(|(known, _)| *known == folded(name)), value),
                other => return Err(wrong(format!("`{other}` is no argument of the macro `{name}`"))),
            };
            match at.and_then(|at| given.get_mut(at)) {
                Some(place) => *place = Some(value.clone()),
                None => return Err(wrong(format!("`{arg}` is no argument of the macro `{name}`"))),
            }
        }
        let value = |((parameter, default), given): (&(String, Option<Expr>), Option<Expr>)| match given
            .or_else(|| default.clone())
        {
            Some(value) => Ok((parameter.clone(), value)),
            None => Err(wrong(format!("the macro `{name}` needs `{parameter}`"))),
        };
        self.parameters.iter().zip(given).map(value).collect()
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The name of a macro, which has no schema.
pub(in crate::query) fn name_of(name: &ObjectName) -> Option<String> {
    match &name.0[..] {
        [part] => part.as_ident().map(folded),
        _ => None,
    }
}

impl Own {
    /// Puts what macros stand for in the places of their calls.
    ///
    /// # Errors
    /// Arguments that a macro does not have; a macro that calls itself.
    pub(in crate::query) fn unfold(&self, statement: &mut Statement) -> Result<(), SqlMistake> {
        let macros = self.kept().macros.clone();
        if macros.is_empty() {
            return Ok(());
        }
        for _ in 0..DEPTH {
            let mut unfolder = Unfolder { macros: &macros, found: false };
            match statement.visit(&mut unfolder) {
                ControlFlow::Break(mistake) => return Err(*mistake),
                ControlFlow::Continue(()) if !unfolder.found => return Ok(()),
                ControlFlow::Continue(()) => {}
            }
        }
        Err(SqlMistake::new("elt::sql::macro", "a macro calls itself without end"))
    }
}

struct Unfolder<'a> {
    macros: &'a std::collections::BTreeMap<String, Macro>,
    found: bool,
}

impl VisitorMut for Unfolder<'_> {
    type Break = Box<SqlMistake>;

    // After its arguments: a macro that calls itself is not followed here.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<SqlMistake>> {
        let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = &*expr else {
            return ControlFlow::Continue(());
        };
        let Some(name) = name_of(name) else { return ControlFlow::Continue(()) };
        let Some(own @ Macro { body: Body::Value(body), .. }) = self.macros.get(&name) else {
            return ControlFlow::Continue(());
        };
        match own.given(&name, &list.args) {
            Err(mistake) => ControlFlow::Break(Box::new(mistake)),
            Ok(given) => {
                let mut body = body.clone();
                let _: ControlFlow<()> = body.visit(&mut Put { given: &given });
                *expr = Expr::Nested(body);
                self.found = true;
                ControlFlow::Continue(())
            }
        }
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Box<SqlMistake>> {
        let TableFactor::Table { name, alias, args: Some(args), .. } = &*factor else {
            return ControlFlow::Continue(());
        };
        let Some(called) = name_of(name) else { return ControlFlow::Continue(()) };
        let Some(own @ Macro { body: Body::Rows(body), .. }) = self.macros.get(&called) else {
            return ControlFlow::Continue(());
        };
        let given = match own.given(&called, &args.args) {
            Ok(given) => given,
            Err(mistake) => return ControlFlow::Break(Box::new(mistake)),
        };
        let mut body = body.clone();
        let _: ControlFlow<()> = body.visit(&mut Put { given: &given });
        let named = || TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &called),
            columns: Vec::new(),
            at: None,
        };
        let alias = Some(alias.clone().unwrap_or_else(named));
        *factor = TableFactor::Derived { lateral: false, subquery: body, alias, sample: None };
        self.found = true;
        ControlFlow::Continue(())
    }
}

/// Puts arguments in the places of parameters.
struct Put<'a> {
    given: &'a [(String, Expr)],
}

impl VisitorMut for Put<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = &*expr
            && let Some((_, value)) = self.given.iter().find(|(parameter, _)| *parameter == folded(name))
        {
            *expr = match value {
                plain @ (Expr::Value(_)
                | Expr::Identifier(_)
                | Expr::CompoundIdentifier(_)
                | Expr::Nested(_)) => plain.clone(),
                other => Expr::Nested(Box::new(other.clone())),
            };
        }
        ControlFlow::Continue(())
    }
}
