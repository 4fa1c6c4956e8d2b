//! Is there memory for what a function makes?
//!
//! `repeat('x', 1000000000)` makes a gigabyte of one letter. Sorts and joins ask for memory before they take it; the engine's
//! functions do not. Those that make much of little are asked here what they are going to make, and what a query may not have is
//! refused before it is made.
//!
//! A function that works on one value lets nobody stop it meanwhile. Those that take long for what is large are given a few rows at a
//! time, between which it is asked whether somebody waits for them; a single value that would take more than two seconds or so is refused.
//!
//! Nor is something large made while a plan is: it would be copied and compared as part of it again and again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::base::is_wanted;

/// What is made without asking.
const SMALL: u64 = 1 << 20;

/// Bytes that are not looked at more closely.
const FEW: u64 = 4 << 10;

/// How many bytes a row of arguments makes at most.
type Made = fn(&[ArrayRef], usize) -> u64;

/// Bytes of the longest text that is made: it is copied more than once until somebody has it.
const LONGEST: u64 = 512 << 20;
/// Pairs of letters that are compared for one row at most: nobody can stop it meanwhile.
const COMPARED: u64 = 1 << 28;

/// Bytes of what is worked out while a plan is made, and steps that it may take.
const PLANNED: u64 = 1 << 20;
/// Items of one list that are sorted: two seconds' work, about.
const SORTED: u64 = 1 << 25;
/// Items of one list, or of two, that are looked for among each other, or written.
const MET: u64 = 1 << 23;
/// Bytes of one text that is searched by a pattern, taken apart, or written letter by letter in another way.
const SEARCHED: u64 = 128 << 20;
/// Bytes of arguments of which none can take long.
const LITTLE: usize = 4 << 20;
/// Into how many parts the rows of a batch go that together are as much as one value may be.
const PARTS: u64 = 16;

tokio::task_local! {
    /// A plan is being made.
    static PLANNING: ();
}

/// Makes a plan, in which what is large stays to be worked out.
pub(in crate::query) fn planning<T>(make: impl FnOnce() -> T) -> T {
    PLANNING.sync_scope((), make)
}

/// What a function may cost for one row.
#[derive(Clone, Copy)]
pub(super) enum Cost {
    /// A text of exactly so many bytes, or little fewer.
    Text(Made),
    /// Bytes, often far fewer.
    Bytes(Made),
    /// So many steps.
    Steps(Made),
    /// Time for so many items of lists, of which there may be so many.
    Items(Made, u64),
    /// Time for a text of so many bytes.
    Searched(Made),
}

impl Cost {
    /// What it costs a row.
    fn of(self) -> Made {
        match self {
            Self::Text(of) | Self::Bytes(of) | Self::Steps(of) | Self::Items(of, _) | Self::Searched(of) => {
                of
            }
        }
    }
}

/// The first argument.
const FIRST: Made = |of, row| items(of, 0, row);
/// The first two.
const BOTH: Made = |of, row| items(of, 0, row).saturating_add(items(of, 1, row));
/// The text that is the first argument.
const WHOLE: Made = |of, row| length(of, 0, row);

/// The bytes of what is the first argument, a text or not.
const HELD: Made = |of, row| size(of, 0, row);

/// Each letter of a text with each of another.
const PAIRS: Made = |of, row| length(of, 0, row).saturating_mul(length(of, 1, row));

/// The functions that take long for what is large, with what they cost.
pub(super) const SLOW: [(&str, Cost); 46] = [
    ("array_sort", Cost::Items(FIRST, SORTED)),
    ("array_distinct", Cost::Items(FIRST, MET)),
    ("array_union", Cost::Items(BOTH, MET)),
    ("array_intersect", Cost::Items(BOTH, MET)),
    ("array_except", Cost::Items(BOTH, MET)),
    ("array_has_all", Cost::Items(BOTH, MET)),
    ("array_has_any", Cost::Items(BOTH, MET)),
    ("array_to_string", Cost::Bytes(joined)),
    ("array_to_string", Cost::Items(FIRST, MET)),
    ("map", Cost::Items(FIRST, MET)),
    ("to_json", Cost::Items(FIRST, MET)),
    ("range", Cost::Bytes(series)),
    ("generate_series", Cost::Bytes(series)),
    ("string_to_array", Cost::Searched(WHOLE)),
    ("_elt_split", Cost::Searched(WHOLE)),
    ("regexp_count", Cost::Searched(WHOLE)),
    ("regexp_instr", Cost::Searched(WHOLE)),
    ("regexp_like", Cost::Searched(WHOLE)),
    (
        "regexp_replace",
        // What takes the place of what is found is read anew each time.
        Cost::Searched(|of, row| length(of, 0, row).saturating_add(length(of, 2, row).saturating_mul(64))),
    ),
    ("regexp_match", Cost::Searched(WHOLE)),
    ("regexp_extract_all", Cost::Searched(WHOLE)),
    ("regexp_split_to_array", Cost::Searched(WHOLE)),
    ("lower", Cost::Searched(WHOLE)),
    ("upper", Cost::Searched(WHOLE)),
    ("initcap", Cost::Searched(WHOLE)),
    ("reverse", Cost::Searched(WHOLE)),
    ("translate", Cost::Searched(WHOLE)),
    ("strip_accents", Cost::Searched(WHOLE)),
    ("soundex", Cost::Searched(WHOLE)),
    ("url_encode", Cost::Searched(WHOLE)),
    ("url_decode", Cost::Searched(WHOLE)),
    ("hex", Cost::Searched(HELD)),
    ("encode", Cost::Searched(HELD)),
    ("decode", Cost::Searched(HELD)),
    ("md5", Cost::Searched(HELD)),
    ("_elt_sha1", Cost::Searched(HELD)),
    ("sha224", Cost::Searched(HELD)),
    ("sha256", Cost::Searched(HELD)),
    ("sha384", Cost::Searched(HELD)),
    ("sha512", Cost::Searched(HELD)),
    ("digest", Cost::Searched(HELD)),
    ("to_char", Cost::Searched(|of, row| length(of, 1, row))),
    ("find_in_set", Cost::Searched(|of, row| length(of, 1, row))),
    ("jaro_similarity", Cost::Steps(PAIRS)),
    ("jaro_winkler_similarity", Cost::Steps(PAIRS)),
    ("damerau_levenshtein", Cost::Steps(PAIRS)),
];

/// The functions that make much of little, or work long on it, with what they cost.
pub(super) const FUNCTIONS: [(&str, Cost); 9] = [
    ("repeat", Cost::Text(|of, row| length(of, 0, row).saturating_mul(number(of, 1, row)))),
    ("lpad", Cost::Text(padded)),
    ("rpad", Cost::Text(padded)),
    ("replace", Cost::Bytes(exchanged)),
    ("regexp_replace", Cost::Bytes(replaced)),
    ("array_repeat", Cost::Bytes(|of, row| size(of, 0, row).saturating_mul(number(of, 1, row)))),
    (
        "array_resize",
        Cost::Bytes(|of, row| {
            let item = of.get(2).map_or(8, |_| size(of, 2, row));
            size(of, 0, row).saturating_add(item.saturating_mul(number(of, 1, row)))
        }),
    ),
    (
        // A list that is the same for all rows is copied for each.
        "array_element",
        Cost::Bytes(|of, _| match of {
            [list, at, ..] if list.len() < at.len() => list.get_array_memory_size() as u64,
            _ => 0,
        }),
    ),
    ("levenshtein", Cost::Steps(PAIRS)),
];

/// Refuses to compare texts letter by letter that are so long that nobody would wait for it.
pub(super) fn check_compared(name: &str, one: u64, other: u64) -> Result<()> {
    match one.saturating_mul(other) > COMPARED {
        true => exec_err!(
            "`{name}` compares each letter with each other, and texts of {one} and {other} bytes are too long for it: 16,384 of each are \
             about the most"
        ),
        false => Ok(()),
    }
}

/// The values of an argument, and where among them that of a row is: one that is the same for all rows is there once.
fn value(of: &[ArrayRef], at: usize, row: usize) -> Option<(&ArrayRef, usize)> {
    let values = of.get(at)?;
    let row = if values.len() == 1 { 0 } else { row };
    (!values.is_null(row)).then_some((values, row))
}

/// A text, if it is one.
fn text(of: &[ArrayRef], at: usize, row: usize) -> Option<&str> {
    let (texts, row) = value(of, at, row)?;
    match texts.data_type() {
        DataType::Utf8 => Some(texts.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(texts.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(texts.as_string_view().value(row)),
        _ => None,
    }
}

/// The bytes of a text.
fn length(of: &[ArrayRef], at: usize, row: usize) -> u64 {
    text(of, at, row).map_or(0, |text| text.len() as u64)
}

/// A count; what is less than nothing counts as nothing.
fn number(of: &[ArrayRef], at: usize, row: usize) -> u64 {
    let Some((numbers, row)) = value(of, at, row) else { return 0 };
    let number = match numbers.data_type() {
        DataType::Int64 => Some(numbers.as_primitive::<Int64Type>().value(row)),
        _ => {
            let one = cast(&numbers.slice(row, 1), &DataType::Int64);
            one.ok().and_then(|one| one.as_primitive_opt::<Int64Type>().map(|one| one.value(0)))
        }
    };
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// The bytes of a value of any type.
fn size(of: &[ArrayRef], at: usize, row: usize) -> u64 {
    let Some((values, row)) = value(of, at, row) else { return 8 };
    if values.data_type().is_string() {
        return length(of, at, row).max(8);
    }
    let of_one = values.slice(row, 1).to_data().get_slice_memory_size();
    of_one.map_or(8, |bytes| (bytes as u64).max(8))
}

/// The items of a list; those that are texts, or lists in turn, count for more.
fn items(of: &[ArrayRef], at: usize, row: usize) -> u64 {
    let Some((lists, row)) = value(of, at, row) else { return 0 };
    let items = match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().value(row),
        DataType::LargeList(_) => lists.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().value(row),
        _ => return 0,
    };
    let count = items.len() as u64;
    if count < FEW || items.data_type().is_primitive() {
        return count;
    }
    items.to_data().get_slice_memory_size().map_or(count, |bytes| count.max(bytes as u64 / 16))
}

/// The texts of a list with one between each two; other items are short.
fn joined(of: &[ArrayRef], row: usize) -> u64 {
    let count = items(of, 0, row);
    let items = value(of, 0, row).map_or(0, |_| size(of, 0, row).max(count.saturating_mul(8)));
    items.saturating_add(count.saturating_mul(length(of, 1, row)))
}

/// Bytes of a list of whole numbers, from one to another; of moments that is not told.
fn series(of: &[ArrayRef], row: usize) -> u64 {
    let numbers: Option<Vec<i64>> = (0..of.len())
        .map(|at| {
            let (values, row) = value(of, at, row)?;
            (*values.data_type() == DataType::Int64).then(|| values.as_primitive::<Int64Type>().value(row))
        })
        .collect();
    let (from, to, step) = match numbers.as_deref() {
        Some([to]) => (0, *to, 1),
        Some([from, to]) => (*from, *to, 1),
        Some([from, to, step]) => (*from, *to, *step),
        _ => return 0,
    };
    let way = if step < 0 { i128::from(from) - i128::from(to) } else { i128::from(to) - i128::from(from) };
    let count = u64::try_from(way.max(0)).unwrap_or(u64::MAX).checked_div(step.unsigned_abs()).unwrap_or(0);
    // Of one that is too long in any case, the function says so.
    if count > super::series::MOST as u64 { 0 } else { count.saturating_mul(8) }
}

fn padded(of: &[ArrayRef], row: usize) -> u64 {
    // A letter has up to four bytes.
    let letter = if of.get(2).is_some_and(|_| length(of, 2, row) > 1) { 4 } else { 1 };
    number(of, 1, row).saturating_mul(letter).max(length(of, 0, row))
}

/// Of what might be much it is counted how often it is found.
fn exchanged(of: &[ArrayRef], row: usize) -> u64 {
    let (Some(whole), Some(from), Some(to)) = (text(of, 0, row), text(of, 1, row), text(of, 2, row)) else {
        return 0;
    };
    let most = replaced(of, row);
    if to.len() <= from.len() {
        return whole.len() as u64;
    }
    if most <= FEW {
        return most;
    }
    let found = whole.matches(from).count() as u64;
    (whole.len() as u64).saturating_add(found.saturating_mul(to.len() as u64))
}

/// What is found has at least a letter, unless a pattern finds what is between them.
fn replaced(of: &[ArrayRef], row: usize) -> u64 {
    let text = length(of, 0, row);
    text.saturating_add((text + 1).saturating_mul(length(of, 2, row)))
}

/// Bytes that a value holds, at most.
fn held(value: &ColumnarValue) -> usize {
    match value {
        ColumnarValue::Array(array) => array.get_array_memory_size(),
        ColumnarValue::Scalar(scalar) => scalar.size(),
    }
}

/// A function that asks for memory first.
pub(super) fn bounded(inner: Arc<ScalarUDF>, cost: Cost, pool: Arc<dyn MemoryPool>) -> ScalarUDF {
    ScalarUDF::from(Bounded { inner, cost, pool })
}

struct Bounded {
    inner: Arc<ScalarUDF>,
    cost: Cost,
    pool: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Bounded {
    /// Works out some of the rows.
    fn part(&self, args: &ScalarFunctionArgs, from: usize, to: usize) -> Result<ArrayRef> {
        let slice = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, to - from)),
            scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
        };
        let part = ScalarFunctionArgs {
            args: args.args.iter().map(slice).collect(),
            arg_fields: args.arg_fields.clone(),
            number_rows: to - from,
            return_field: Arc::clone(&args.return_field),
            config_options: Arc::clone(&args.config_options),
        };
        self.inner.invoke_with_args(part)?.into_array(to - from)
    }

    /// Works out rows a few at a time, which together cost `at_once` or are one, while somebody waits for them.
    fn in_time(&self, args: ScalarFunctionArgs, costs: &[u64], at_once: u64) -> Result<ColumnarValue> {
        let (mut parts, mut from, mut cost) = (Vec::new(), 0, 0_u64);
        for (row, of_row) in costs.iter().enumerate() {
            if cost > 0 && cost.saturating_add(*of_row) > at_once {
                parts.push((from, row));
                (from, cost) = (row, 0);
            }
            cost = cost.saturating_add(*of_row);
        }
        if parts.is_empty() {
            return self.inner.invoke_with_args(args);
        }
        parts.push((from, costs.len()));
        let mut made: Vec<ArrayRef> = Vec::with_capacity(parts.len());
        for (from, to) in parts {
            if !is_wanted() {
                return exec_err!("nobody waits for these rows any more");
            }
            made.push(self.part(&args, from, to)?);
        }
        let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&made)?))
    }

    /// Makes rows a few at a time, each time with as much memory as they may need, and keeps what they did need.
    fn in_parts(
        &self,
        args: &ScalarFunctionArgs,
        most: &[u64],
        memory: &MemoryReservation,
    ) -> Result<ArrayRef> {
        let rows = args.number_rows;
        let mut parts: Vec<ArrayRef> = Vec::new();
        let (mut from, mut kept) = (0, 0_usize);
        let step = most.iter().sum::<u64>().div_ceil(64).max(SMALL);
        while from < rows {
            if !is_wanted() {
                return exec_err!("nobody waits for these rows any more");
            }
            let (mut to, mut bytes) = (from, 0_u64);
            while to < rows && (to == from || bytes.saturating_add(most[to]) <= step) {
                bytes = bytes.saturating_add(most[to]);
                to += 1;
            }
            memory.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX >> 1))?;
            let mut made = self.part(args, from, to)?;
            // Some functions make room for all that they might have given.
            made.shrink_to_fit();
            kept += made.get_array_memory_size();
            parts.push(made);
            memory.try_resize(kept)?;
            from = to;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if matches!(self.cost, Cost::Items(..) | Cost::Searched(_))
            && args.args.iter().map(held).sum::<usize>() <= LITTLE
        {
            return self.inner.invoke_with_args(args);
        }
        let are_scalars = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if are_scalars { 1 } else { args.number_rows };
        let column = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => scalar.to_array(),
        };
        let columns = args.args.iter().map(column).collect::<Result<Vec<_>>>()?;
        let cost = self.cost.of();
        let most: Vec<u64> = (0..rows).map(|row| cost(&columns, row)).collect();
        let bytes = most.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        if bytes > PLANNED && PLANNING.try_with(|()| ()).is_ok() {
            return exec_err!("`{}` is worked out when the query runs", self.name());
        }
        match self.cost {
            Cost::Items(_, limit) => {
                if let Some(long) = most.iter().find(|items| **items > limit) {
                    return exec_err!(
                        "`{}` of a list of {long} items takes too long, and {limit} are the most; `unnest` makes rows of them, of which there \
                         may be more",
                        self.name()
                    );
                }
                return self.in_time(args, &most, limit / PARTS);
            }
            Cost::Searched(_) => {
                if let Some(long) = most.iter().find(|bytes| **bytes > SEARCHED) {
                    return exec_err!(
                        "`{}` of a text of {long} bytes takes too long, and {SEARCHED} are the most; take it apart first, with `substr` or \
                         `split_part`",
                        self.name()
                    );
                }
                return self.in_time(args, &most, SEARCHED / PARTS);
            }
            Cost::Steps(_) => {
                if let Some(row) = most.iter().position(|steps| *steps > COMPARED) {
                    check_compared(self.name(), length(&columns, 0, row), length(&columns, 1, row))?;
                }
                return self.in_time(args, &most, COMPARED / PARTS);
            }
            Cost::Text(_) | Cost::Bytes(_) => {}
        }
        if bytes <= SMALL {
            return self.inner.invoke_with_args(args);
        }
        let memory = MemoryConsumer::new(self.name()).register(&self.pool);
        let whole = memory.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX >> 1));
        if let (Cost::Text(_), Ok(())) = (self.cost, &whole)
            && let Some(long) = most.iter().find(|bytes| **bytes > LONGEST)
        {
            return exec_err!(
                "`{}` would make a text of {long} bytes, and {LONGEST} are the most",
                self.name()
            );
        }
        match whole {
            Ok(()) => self.inner.invoke_with_args(args),
            Err(error) if are_scalars || rows == 1 => Err(error),
            Err(_) => self.in_parts(&args, &most, &memory).map(ColumnarValue::Array),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, info)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use datafusion::execution::FunctionRegistry;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use crate::base::{waiting, wanted_by};

    #[tokio::test]
    async fn what_does_not_fit_is_refused_before_it_is_made() {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(20 << 20, 1.0).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        super::super::bind_memory(&context);
        let ask = async |sql: &str| {
            let found = context.sql(sql).await?.collect().await?;
            Ok::<_, datafusion::error::DataFusionError>(
                ScalarValue::try_from_array(found[0].column(0), 0)?.to_string(),
            )
        };
        for (sql, given) in [
            ("select length(repeat('x', 1000000))", "1000000"),
            (
                "select sum(length(repeat('x', cast(v as bigint)))) from generate_series(1, 3000) t(v)",
                "4501500",
            ),
            // A text that might be long, and is not.
            (
                "select max(length(replace(repeat('a', 9000), 'b', repeat('c', 9000)))) from generate_series(1, 10) t(v)",
                "9000",
            ),
            // A list that is copied for each row, a few rows at a time.
            ("select max(array_element(range(40000), v)) from generate_series(1, 1000) t(v)", "999"),
        ] {
            assert_eq!(ask(sql).await.unwrap(), given, "{sql}");
        }
        for sql in [
            "select length(repeat('x', 1000000000))",
            "select max(length(repeat('x', cast(v * 10000 as bigint)))) from generate_series(1, 1000) t(v)",
            "select length(lpad('x', 100000000, 'ab'))",
            "select length(replace(repeat('a', 10000), 'a', repeat('b', 10000)))",
            "select length(regexp_replace(repeat('a', 10000), 'a', repeat('b', 10000), 'g'))",
            "select array_length(array_repeat(v, 100000000)) from generate_series(1, 2) t(v)",
            "select array_length(array_resize(make_array(v), 100000000, v)) from generate_series(1, 2) t(v)",
        ] {
            let error = ask(sql).await.unwrap_err();
            let root = error.find_root();
            assert!(
                matches!(root, datafusion::error::DataFusionError::ResourcesExhausted(_)),
                "{sql}: {error}"
            );
        }
        let error = ask("select levenshtein(repeat('a', 100000), repeat('b', 100000))").await.unwrap_err();
        assert!(error.to_string().contains("too long for it"), "{error}");
    }

    #[tokio::test]
    async fn what_takes_long_for_one_value_is_refused() {
        let context = SessionContext::new();
        super::super::register(&context);
        for (name, _) in super::SLOW {
            assert!(context.udf(name).is_ok_and(|known| format!("{known:?}").contains("Bounded")), "{name}");
        }
        for (sql, words) in [
            (
                "select array_length(array_distinct(range(v))) from (values (10000000)) t(v)",
                "10000000 items takes too long",
            ),
            (
                "select array_length(array_except(range(v), range(v))) from (values (5000000)) t(v)",
                "10000000 items takes too long",
            ),
            (
                "select regexp_count(repeat('ab', v), 'a') from (values (70000000)) t(v)",
                "140000000 bytes takes too long",
            ),
            ("select length(upper(repeat('ab', 70000000)))", "140000000 bytes takes too long"),
            ("select length(hex(repeat('ab', 70000000)))", "140000000 bytes takes too long"),
            ("select md5(repeat('ab', 70000000))", "140000000 bytes takes too long"),
            ("select to_char(now(), repeat('%Y', 70000000))", "140000000 bytes takes too long"),
        ] {
            let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
            assert!(error.to_string().contains(words), "{sql}: {error}");
        }
        // Many values that together take long are no mistake.
        let many = "select sum(length(upper(repeat('ab', 1000000 + v)))) from generate_series(1, 20) t(v)";
        let found = context.sql(many).await.unwrap().collect().await.unwrap();
        assert_eq!(ScalarValue::try_from_array(found[0].column(0), 0).unwrap().to_string(), "40000420");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_ends_between_two_rows() {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        super::super::register(&context);
        let sql = "select sum(length(upper(repeat('ab', 1000000 + v)))) from generate_series(1, 40) t(v)";
        let (waiting, wanted) = waiting();
        let frame = context.sql(sql).await.unwrap();
        drop(waiting);
        let mut ended = std::pin::pin!(frame.collect());
        let ended = std::future::poll_fn(|context| wanted_by(&wanted, || ended.as_mut().poll(context))).await;
        assert!(ended.unwrap_err().to_string().contains("nobody waits"));
    }

    #[tokio::test]
    async fn what_is_large_is_no_part_of_a_plan() {
        let context = SessionContext::new();
        super::super::register(&context);
        let plan = async |sql: &str| {
            let plan = context.sql(sql).await.unwrap().into_unoptimized_plan();
            super::planning(|| context.state().optimize(&plan)).unwrap().to_string()
        };
        assert!(plan("select repeat('ab', 5)").await.contains("ababababab"));
        assert!(plan("select repeat('ab', 5000000)").await.contains("repeat("));
    }

    #[tokio::test]
    async fn a_text_is_only_so_long_whatever_memory_there_is() {
        let context = SessionContext::new();
        super::super::bind_memory(&context);
        for sql in ["select length(repeat('a', 2000000000))", "select length(lpad('a', 2000000000, 'b'))"] {
            let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
            assert!(error.to_string().contains("would make a text of 2000000000 bytes"), "{error}");
        }
    }
}
