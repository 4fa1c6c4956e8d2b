//! Which SQL is understood?
//!
//! DataFusion's generic dialect, with the time travel of Delta and the conveniences of DuckDB.

mod aggregates;
mod argument_clauses;
mod asof;
mod calls;
mod casts;
mod chains;
mod clauses;
mod collate;
mod convert;
mod copy;
mod copy_into;
mod create_table;
mod depth;
mod division;
mod elsewhere;
mod files;
mod formats;
mod from_first;
mod functions;
mod headings;
mod infix;
mod intervals;
mod json;
mod lambdas;
mod laterals;
mod literals;
mod meanings;
mod more_meanings;
mod numbers;
mod own;
mod pivot_on;
mod precedence;
mod quantified;
mod references;
mod reports;
mod roles;
mod scopes;
mod shifts;
mod shorthand;
mod sorted;
mod spelling;
mod split;
mod spoken;
mod statement;
mod symmetric;
mod time_travel;
mod type_words;
mod unsaid;
mod values;
mod windows;
mod write;

pub(super) use asof::asof_of;
pub(super) use casts::CAST_AS;
pub(super) use clauses::{ROW_HASH, select_all_from};
pub use convert::Convert;
pub use copy::CopyTo;
pub use copy_into::{CopiedAs, CopyInto, CopySelect, Places, Validate};
pub(super) use division::EXACT;
pub(super) use files::{ReadBy, Reader};
pub(super) use functions::{expression_of, known_calls, other_names, stands_for};
pub(super) use literals::as_written;
pub(super) use more_meanings::instead;
pub(super) use own::view_parts;
pub use own::{IfKept, OwnStatement};
pub(super) use pivot_on::PIVOT_KEYS;
pub(super) use references::REFERENCES;
pub use reports::Reports;
pub use roles::RoleOrder;
pub(super) use scopes::{fields_of_columns, name_tables, outside_queries};
pub(super) use shorthand::{PERCENT, UNPACKED};
pub(super) use spelling::called;
pub(super) use split::LineStarts;
pub use split::{Piece, Split, split};
pub(super) use spoken::OF_TABLE;
pub use statement::{Statement, parse, parse_query};
pub(super) use statement::{data_type, empty_query, is_one_expression, tokenize};
pub(super) use time_travel::{AsOfText, FILES, Reference, spell_out};
pub(super) use unsaid::as_meant;
pub(super) use write::{ALL_COLUMNS, PLACES, UNSET, UNSET_IF_THERE};
pub use write::{OwnWrite, Vacuum};

use sqlparser::ast;
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::parser::{Parser, ParserError};

use super::SqlMistake;
use crate::base::ReleaseNumber;

/// Refuses and rewrites clauses, where no table has to be known for it.
///
/// # Errors
/// A clause that elt does not honour.
pub(super) fn honour(statement: &mut ast::Statement) -> Result<(), SqlMistake> {
    precedence::regroup(statement);
    chains::turn(statement);
    laterals::respell(statement);
    collate::spell(statement);
    sorted::outside(statement);
    scopes::tell_apart(statement);
    clauses::honour(statement)
}

/// Turns a statement that was read into one that the engine's planner understands as it was meant.
///
/// With `release`, tables without a version clause of their own are read from that release.
///
/// # Errors
/// A clause that cannot be honoured.
pub(super) fn prepare(
    statement: &mut ast::Statement,
    release: Option<ReleaseNumber>,
) -> Result<(), SqlMistake> {
    laterals::respell(statement);
    clauses::honour(statement)?;
    headings::give(statement);
    casts::tell_apart(statement);
    quantified::respell(statement);
    windows::spell(statement)?;
    spelling::respell(statement);
    shifts::spell(statement)?;
    lambdas::refuse_tried_queries(statement)?;
    aggregates::keep_orders(statement);
    functions::spell(statement);
    // What functions stand for may differ from something else by a cast.
    casts::tell_apart(statement);
    literals::keep_digits(statement);
    time_travel::resolve_versions(statement, release)
}

/// The SQL of elt.
///
/// What the generic dialect of sqlparser accepts and DataFusion can plan, with version clauses
/// (`t VERSION AS OF 3`), trailing commas and `ORDER BY ALL` besides.
#[derive(Debug, Default)]
pub struct EltDialect {
    base: GenericDialect,
    /// Whether `x -> …` is a function.
    lambdas: bool,
}

impl EltDialect {
    /// The same, where `x -> …` may be a function.
    fn with_lambdas(lambdas: bool) -> Self {
        Self { lambdas, ..Self::default() }
    }
}

/// Answers a list of the parser's questions with yes.
macro_rules! yes_to {
    ($($question:ident),* $(,)?) => { $(fn $question(&self) -> bool { true })* };
}

impl Dialect for EltDialect {
    fn dialect(&self) -> std::any::TypeId {
        self.base.dialect()
    }

    fn supports_lambda_functions(&self) -> bool {
        self.lambdas
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<ast::Expr, ParserError>> {
        symmetric::bound(self, parser).or_else(|| infix::signed(parser))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        infix::precedence(self, parser).map(Ok)
    }

    /// As in Postgres and DuckDB: `j ->> 'a' = 'b'` compares what is in `j`, and so does `a like b = true` what LIKE says.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Eq => 18,
            Precedence::PgOther => infix::OTHER,
            other => self.base.prec_value(other),
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &ast::Expr,
        precedence: u8,
    ) -> Option<Result<ast::Expr, ParserError>> {
        infix::read(parser, left, precedence)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        self.base.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        self.base.is_identifier_part(c)
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        self.base.is_delimited_identifier_start(c)
    }

    yes_to! {
        allow_extract_custom, allow_extract_single_quotes, support_map_literal_syntax,
        supports_array_join_syntax, supports_array_typedef_with_brackets,
        supports_asc_desc_in_column_definition, supports_bitwise_shift_operators,
        supports_boolean_literals, supports_comma_separated_set_assignments, supports_comma_separated_trim,
        supports_comment_on, supports_constraint_keyword_without_name, supports_create_index_with_clause,
        supports_create_view_comment_syntax, supports_cte_without_as, supports_data_type_signed_suffix,
        supports_dictionary_syntax, supports_empty_projections, supports_explain_with_utility_options,
        supports_extract_comma_syntax, supports_filter_during_aggregation, supports_from_first_select,
        supports_group_by_expr, supports_group_by_with_modifier, supports_in_empty_list,
        supports_interval_options, supports_key_column_option,
        supports_left_associative_joins_without_parens, supports_limit_comma,
        supports_multiline_comment_hints, supports_named_fn_args_with_assignment_operator,
        supports_named_fn_args_with_rarrow_operator, supports_nested_comments,
        supports_numeric_literal_underscores, supports_optimize_table, supports_order_by_all, supports_parens_around_table_factor,
        supports_parenthesized_set_variables, supports_partition_by_after_order_by,
        supports_projection_trailing_commas, supports_select_exclude,
        supports_select_item_multi_column_alias, supports_select_wildcard_except,
        supports_select_wildcard_exclude, supports_select_wildcard_ilike, supports_select_wildcard_rename,
        supports_select_wildcard_replace, supports_set_names, supports_start_transaction_modifier,
        supports_string_escape_constant, supports_struct_literal, supports_table_versioning,
        supports_trailing_commas, supports_try_convert, supports_unicode_string_literal,
        supports_update_order_by, supports_values_as_table_factor,
        supports_window_clause_named_window_reference, supports_window_function_null_treatment_arg,
    }
}
