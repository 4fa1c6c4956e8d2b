//! What would a statement give, and what does it need, before anything is run?
//!
//! Whoever sends answers somewhere else has to promise their columns first. A [`Prepared`] knows them, and the
//! types of the values that the statement leaves places for; a query among them is planned once and run as planned.

use std::error::Error;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use sqlparser::ast;

use super::asked::Asked;
use super::dealt::{Dealt, dealt};
use super::dialect::{self, Statement};
use super::parameters::{asked_for, filled, places};
use super::{Outcome, QueryError, Session, SqlMistake, mend};

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// Rows, or how they would be found. Nothing happens before it is run.
    Query,
    /// What there is: `SHOW TABLES`, `DESCRIBE t`, `SUMMARIZE t`.
    Report,
    /// Something is agreed on for the session: `SET name = value`.
    Setting {
        /// In lower case.
        name: String,
        /// Without quotes; nothing for `DEFAULT` and `RESET`.
        value: Option<String>,
    },
    /// Something is told that the front door knows: `SHOW GRANTS`.
    Told,
    /// Tables change.
    Write,
}

/// A statement that was read, and not run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What it asks for.
    pub kind: StatementKind,
    /// The columns that it gives; none for a statement that writes or sets something.
    pub schema: SchemaRef,
    /// The values that it needs, in order.
    pub parameters: SchemaRef,
    session: Session,
    plan: Option<LogicalPlan>,
    sql: String,
}

impl Prepared {
    /// Its text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Notes that a user asks it, by a program of the name `application`.
    pub fn asked(&self, user: &str, application: &str) -> Asked {
        self.session.asked(&self.sql, user, application)
    }

    /// Whether it gives the same of the same release, whenever it is asked.
    pub fn is_of_the_release(&self) -> bool {
        self.plan.is_some() && self.session.scope().reads().beyond.is_empty()
    }

    /// Whether its rows come in an order that was asked for.
    pub fn is_ordered(&self) -> bool {
        let mut plan = self.plan.as_ref();
        while let Some(here) = plan {
            match here {
                LogicalPlan::Sort(_) => return true,
                LogicalPlan::Projection(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) => {
                    plan = here.inputs().first().copied();
                }
                _ => return false,
            }
        }
        false
    }

    /// The rows of its answer, with these columns, for so many readers: each has its share of them. What is not the answer's own
    /// mistake is told as `told` has it.
    ///
    /// # Errors
    /// The engine cannot deal them.
    pub fn dealt<E: Error + Clone + Send + Sync + 'static>(
        &self,
        schema: &SchemaRef,
        rows: Dealt<E>,
        readers: usize,
        told: fn(QueryError) -> E,
    ) -> Result<Vec<Dealt<E>>, QueryError> {
        Ok(dealt(schema, rows, readers, &self.session.context.task_ctx(), told)?)
    }

    /// Runs a query as it was planned, or tells what was asked. Each time anew.
    ///
    /// # Errors
    /// The statement writes, or it needs values.
    pub async fn run(&self) -> Result<Outcome, QueryError> {
        match &self.plan {
            Some(plan) => Box::pin(self.session.rows_of_plan(plan.clone())).await,
            None => Box::pin(self.session.execute(&self.sql)).await,
        }
    }
}

impl Session {
    /// Reads a statement, and plans it if it is a query.
    ///
    /// # Errors
    /// What is wrong with it, as far as that can be seen without reading a row or knowing the values.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, QueryError> {
        let places = places(sql)?;
        let count = asked_for(&places);
        let counts: Vec<usize> =
            places.iter().filter(|place| place.is_count).map(|place| place.value()).collect();
        let numbered = filled(sql, &places, |value| format!("${}", value + 1));
        let prepared = |kind, schema: SchemaRef, parameters: Vec<Option<DataType>>, plan| Prepared {
            kind,
            schema,
            parameters: named(&parameters, &counts),
            session: self.clone(),
            plan,
            sql: sql.to_owned(),
        };
        let nothing = || Arc::new(Schema::empty());
        Ok(match self.read(&numbered)? {
            Statement::Query(statement) => match setting(&statement)? {
                Some(kind) => prepared(kind, nothing(), vec![None; count], None),
                None if count == 0 => {
                    let plan = Box::pin(self.plan(*statement)).await?;
                    prepared(StatementKind::Query, self.columns_given(plan.clone())?, Vec::new(), Some(plan))
                }
                None => {
                    let (schema, types) = match self.with_places(*statement, count).await {
                        Ok(known) => known,
                        // A place whose type nothing tells: the columns are those of an answer without values.
                        Err(_) => Box::pin(self.with_any_values(sql, &places, count)).await?,
                    };
                    let types = Box::pin(self.guessed(sql, &places, &counts, types)).await;
                    prepared(StatementKind::Query, schema, types, None)
                }
            },
            Statement::Write(statement) if count > 0 => {
                let types = self.types_written(*statement, count).await;
                let types = Box::pin(self.guessed(sql, &places, &counts, types)).await;
                prepared(StatementKind::Write, nothing(), types, None)
            }
            Statement::Roles(dialect::RoleOrder::Show { .. }) => {
                let text = |name: &str| Field::new(name, DataType::Utf8, true);
                let columns = ["role", "privilege", "on", "users"].map(text);
                prepared(
                    StatementKind::Told,
                    Arc::new(Schema::new(columns.to_vec())),
                    vec![None; count],
                    None,
                )
            }
            Statement::Write(_)
            | Statement::OwnWrite(_)
            | Statement::Roles(_)
            | Statement::Vacuum(_)
            | Statement::CopyInto(_)
            | Statement::Convert(_)
            | Statement::CopyTo(_) => prepared(StatementKind::Write, nothing(), vec![None; count], None),
            Statement::Own(_) | Statement::Temporary(_) => {
                let mistake = SqlMistake::new(
                    "elt::sql::not_supported",
                    "what is only the session's own cannot be prepared by a driver",
                );
                return Err(mistake.help("temporary names, PREPARE and variables are for `elt sql`").into());
            }
            Statement::Use { schema } => {
                self.used(&schema)?;
                let kind = StatementKind::Setting { name: "elt.schema".to_owned(), value: Some(schema) };
                prepared(kind, nothing(), Vec::new(), None)
            }
            Statement::Explain(how) if count == 0 => {
                // Mistakes are told now, and nothing is run.
                self.columns_given(Box::pin(self.plan(*how.statement)).await?)?;
                prepared(StatementKind::Query, super::explain::columns(), Vec::new(), None)
            }
            Statement::Explain(_) => {
                prepared(StatementKind::Query, super::explain::columns(), vec![None; count], None)
            }
            Statement::DescribeQuery { .. } | Statement::Summarize { .. } if count > 0 => {
                let mistake =
                    SqlMistake::new("elt::sql::parameters", "values cannot be given to this statement");
                return Err(mistake.help("write the values into the query").into());
            }
            report => {
                let schema = match report {
                    // Its columns are known, and to find its rows all others would have to be read.
                    Statement::Summarize { .. } => super::summarize::columns(),
                    _ => Arc::clone(Box::pin(self.execute(sql)).await?.schema()),
                };
                prepared(StatementKind::Report, schema, vec![None; count], None)
            }
        })
    }

    /// The columns of a query whose places have no type that is told, with values of the first kind that goes there.
    async fn with_any_values(
        &self,
        sql: &str,
        places: &[super::parameters::Place],
        count: usize,
    ) -> Result<(SchemaRef, Vec<Option<DataType>>), QueryError> {
        let kinds = [
            ("NULL", None),
            ("CAST(NULL AS bigint)", Some(DataType::Int64)),
            ("CAST(NULL AS double)", Some(DataType::Float64)),
            ("CAST(NULL AS varchar)", Some(DataType::Utf8)),
            ("CAST(NULL AS interval)", Some(DataType::Interval(IntervalUnit::MonthDayNano))),
            ("CAST(NULL AS timestamp)", Some(DataType::Timestamp(TimeUnit::Microsecond, None))),
        ];
        let mut first = None;
        for (value, data_type) in kinds {
            let sql = filled(sql, places, |_| value.to_owned());
            let Statement::Query(statement) = dialect::parse(&sql)? else {
                return Err(SqlMistake::empty().into());
            };
            let columns = match Box::pin(self.plan(*statement)).await {
                Ok(plan) => self.columns_given(plan),
                Err(error) => Err(error),
            };
            match columns {
                Ok(columns) => return Ok((columns, vec![data_type; count])),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(match first {
            Some(QueryError::Sql(mistake)) if mistake.message().contains("null") => {
                let what = "nothing tells of which type the value of a `?` is here";
                SqlMistake::new("elt::sql::parameters", what)
                    .help("say it: `?::interval`, `?::int`, `?::date`")
                    .into()
            }
            Some(error) => error,
            None => SqlMistake::empty().into(),
        })
    }

    /// The columns of a query with places, and the types that it gives them.
    async fn with_places(
        &self,
        statement: ast::Statement,
        count: usize,
    ) -> Result<(SchemaRef, Vec<Option<DataType>>), QueryError> {
        let plan = Box::pin(self.plan(statement)).await?;
        let types = types(&plan, count)?;
        Ok((self.columns_given(plan)?, types))
    }

    /// The types with those that nothing tells, as what is around them would have them: `coalesce(?, 1)` wants a number.
    async fn guessed(
        &self,
        sql: &str,
        places: &[super::parameters::Place],
        counts: &[usize],
        mut types: Vec<Option<DataType>>,
    ) -> Vec<Option<DataType>> {
        let is_open = |at: usize| types.get(at).is_some_and(Option::is_none) && !counts.contains(&at);
        if !(0..types.len()).any(is_open) {
            return types;
        }
        let asked = filled(sql, places, |value| match is_open(value) {
            true => format!("{}({})", mend::PLACE, value + 1),
            false => "NULL".to_owned(),
        });
        let state = self.context.state();
        let planned = async {
            let (Statement::Query(statement) | Statement::Write(statement)) = self.read(&asked)? else {
                return Err(SqlMistake::empty().into());
            };
            let plan = match *statement {
                query @ ast::Statement::Query(_) => Box::pin(self.plan(query)).await?,
                other => {
                    Box::pin(state.statement_to_plan(EngineStatement::Statement(Box::new(other)))).await?
                }
            };
            let analyzed = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
            Ok::<_, QueryError>(mend::wanted(&analyzed)?)
        };
        let Ok(wanted) = planned.await else { return types };
        for (number, data_type) in wanted {
            let at = usize::try_from(number - 1).ok();
            if let Some(open) = at.and_then(|at| types.get_mut(at)).filter(|known| known.is_none()) {
                *open = Some(data_type);
            }
        }
        types
    }

    /// The types of the places of a statement that writes, as far as the engine can tell them.
    async fn types_written(&self, statement: ast::Statement, count: usize) -> Vec<Option<DataType>> {
        let statement = EngineStatement::Statement(Box::new(statement));
        let plan = Box::pin(self.context.state().statement_to_plan(statement)).await;
        let types = plan.map_err(QueryError::from).and_then(|plan| types(&plan, count));
        types.unwrap_or_else(|_| vec![None; count])
    }
}

fn types(plan: &LogicalPlan, count: usize) -> Result<Vec<Option<DataType>>, QueryError> {
    let known = plan.get_parameter_types()?;
    Ok((1..=count).map(|number| known.get(&format!("${number}")).cloned().flatten()).collect())
}

/// The values by number. Those of `counts` say how many rows; what nothing is known of is a text.
fn named(types: &[Option<DataType>], counts: &[usize]) -> SchemaRef {
    let field = |(at, data_type): (usize, &Option<DataType>)| {
        let data_type = data_type.clone().or_else(|| counts.contains(&at).then_some(DataType::Int64));
        let known = data_type.filter(|data_type| *data_type != DataType::Null);
        Field::new(format!("parameter_{}", at + 1), known.unwrap_or(DataType::Utf8), true)
    };
    Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// The name that `SHOW name` asks for, in lower case; nothing for other statements.
pub fn shown_variable(sql: &str) -> Option<String> {
    let Ok(Statement::Query(statement)) = dialect::parse(sql) else { return None };
    let ast::Statement::ShowVariable { variable } = *statement else { return None };
    let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["time", "zone"] => Some("timezone".to_owned()),
        _ => Some(words.join(".")),
    }
}

/// What a `SET` sets; nothing for other statements.
pub(super) fn setting(statement: &ast::Statement) -> Result<Option<StatementKind>, SqlMistake> {
    if let ast::Statement::Reset(_) = statement {
        let mistake = SqlMistake::new("elt::sql::not_supported", "RESET ALL is not supported for a driver");
        return Err(mistake.help("name what is to be as it was: `reset null_order`"));
    }
    let ast::Statement::Set(set) = statement else { return Ok(None) };
    let (name, value) = match set {
        ast::Set::SingleAssignment { variable, values, .. } if values.len() == 1 => {
            (variable.to_string(), &values[0])
        }
        ast::Set::SetTimeZone { value, .. } => ("timezone".to_owned(), value),
        _ => {
            let mistake = SqlMistake::new("elt::sql::setting", format!("cannot `{set}`"));
            return Err(mistake.help("write `set name = value`, one at a time"));
        }
    };
    let value = match value {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) | ast::Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    let is_default = value.eq_ignore_ascii_case("default");
    let name = name.to_lowercase().replace('"', "");
    Ok(Some(StatementKind::Setting { name, value: (!is_default).then_some(value) }))
}
