//! How alike are two texts?
//!
//! `jaro_similarity`, `jaro_winkler_similarity` and `jaccard` from 0 to 1; `hamming` and `damerau_levenshtein` in letters that
//! differ. Letters are Unicode's characters.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Measure as M;
    let all = [M::Jaro, M::JaroWinkler, M::Jaccard, M::Hamming, M::Damerau];
    let signature = || Signature::string(2, Volatility::Immutable);
    all.map(|measure| ScalarUDF::from(Alike { measure, signature: signature() })).into()
}

/// A way to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measure {
    Jaro,
    JaroWinkler,
    Jaccard,
    Hamming,
    Damerau,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Alike {
    measure: Measure,
    signature: Signature,
}

impl ScalarUDFImpl for Alike {
    fn name(&self) -> &str {
        match self.measure {
            Measure::Jaro => "jaro_similarity",
            Measure::JaroWinkler => "jaro_winkler_similarity",
            Measure::Jaccard => "jaccard",
            Measure::Hamming => "hamming",
            Measure::Damerau => "damerau_levenshtein",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.measure {
            Measure::Hamming | Measure::Damerau => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = |at: usize| cast(&args.args[at].clone().into_array(args.number_rows)?, &DataType::Utf8);
        let (left, right) = (texts(0)?, texts(1)?);
        let (left, right): (&StringArray, &StringArray) = (left.as_string(), right.as_string());
        let pairs = || left.iter().zip(right.iter()).map(|(left, right)| left.zip(right));
        let shares = |of: fn(&str, &str) -> f64| -> ArrayRef {
            Arc::new(pairs().map(|pair| pair.map(|(left, right)| of(left, right))).collect::<Float64Array>())
        };
        Ok(ColumnarValue::Array(match self.measure {
            Measure::Jaro => shares(strsim::jaro),
            Measure::JaroWinkler => shares(strsim::jaro_winkler),
            Measure::Jaccard => shares(jaccard),
            Measure::Hamming => {
                let count = |(left, right): (&str, &str)| {
                    let count = strsim::hamming(left, right).map_err(|_| {
                        exec_datafusion_err!(
                            "`{left}` and `{right}` are not equally long, as hamming needs them"
                        )
                    })?;
                    Ok(count as i64)
                };
                let counts: Result<Vec<_>> = pairs().map(|pair| pair.map(count).transpose()).collect();
                Arc::new(Int64Array::from(counts?))
            }
            Measure::Damerau => {
                let count = |(left, right): (&str, &str)| {
                    super::bounded::check_compared(
                        "damerau_levenshtein",
                        left.len() as u64,
                        right.len() as u64,
                    )?;
                    Ok(strsim::damerau_levenshtein(left, right) as i64)
                };
                let counts: Result<Vec<_>> = pairs().map(|pair| pair.map(count).transpose()).collect();
                Arc::new(Int64Array::from(counts?))
            }
        }))
    }
}

/// Letters that both have, of those that one of them has.
fn jaccard(left: &str, right: &str) -> f64 {
    let (left, right): (HashSet<char>, HashSet<char>) = (left.chars().collect(), right.chars().collect());
    let all = left.union(&right).count();
    if all == 0 { 0.0 } else { left.intersection(&right).count() as f64 / all as f64 }
}
