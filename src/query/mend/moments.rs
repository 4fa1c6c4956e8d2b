//! How are numbers spread?
//!
//! `skewness`, `kurtosis` (of a sample, as an excess) and `kurtosis_pop`, from the moments around the mean, which are kept as
//! they come and put together exactly enough (Pébay's formulas). `mad` is the median of how far each number is from the
//! median. Nulls do not count.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// All of them.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let signature = || Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    let of = |wanted| AggregateUDF::from(Spread { wanted, signature: signature() });
    [Wanted::Skewness, Wanted::Kurtosis, Wanted::KurtosisPop, Wanted::Mad].map(of).into()
}

/// What is told of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Skewness,
    Kurtosis,
    KurtosisPop,
    Mad,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Spread {
    wanted: Wanted,
    signature: Signature,
}

impl AggregateUDFImpl for Spread {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Skewness => "skewness",
            Wanted::Kurtosis => "kurtosis",
            Wanted::KurtosisPop => "kurtosis_pop",
            Wanted::Mad => "mad",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(match self.wanted {
            Wanted::Mad => Box::new(Numbers::default()),
            wanted => Box::new(Moments { wanted, of: [0.0; 5] }),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if self.wanted == Wanted::Mad {
            let item = Field::new_list_field(DataType::Float64, true);
            return Ok(vec![Arc::new(Field::new_list(format_state_name(args.name, "numbers"), item, true))]);
        }
        let part =
            |name: &str| Arc::new(Field::new(format_state_name(args.name, name), DataType::Float64, true));
        Ok(["count", "mean", "second", "third", "fourth"].map(part).into())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The count, the mean, and the sums of the second, third and fourth powers of the distances from it.
#[derive(Debug)]
struct Moments {
    wanted: Wanted,
    of: [f64; 5],
}

impl Moments {
    fn add(&mut self, [count, mean, second, third, fourth]: [f64; 5]) {
        let [n, own, m2, m3, m4] = self.of;
        if count == 0.0 {
            return;
        }
        let all = n + count;
        let far = mean - own;
        let step = far / all;
        let (far2, pair) = (far * far, n * count);
        self.of = [
            all,
            own + step * count,
            m2 + second + far2 * pair / all,
            m3 + third
                + far * far2 * pair * (n - count) / (all * all)
                + 3.0 * step * (n * second - count * m2),
            m4 + fourth
                + far2 * far2 * pair * (n * n - pair + count * count) / (all * all * all)
                + 6.0 * step * step * (n * n * second + count * count * m2)
                + 4.0 * step * (n * third - count * m3),
        ];
    }

    fn told(&self) -> Option<f64> {
        let [n, _, m2, m3, m4] = self.of;
        let (var, least) = (m2 / n, if self.wanted == Wanted::Kurtosis { 3.0 } else { 2.0 });
        let is_too_few = match self.wanted {
            Wanted::KurtosisPop => n < 2.0,
            _ => n <= least,
        };
        // Of numbers that are all the same nothing is known of how they are spread.
        if is_too_few || m2 <= 0.0 {
            return None;
        }
        let told = match self.wanted {
            Wanted::Skewness => (n * (n - 1.0)).sqrt() / (n - 2.0) * (m3 / n) / var.powf(1.5),
            Wanted::KurtosisPop => (m4 / n) / (var * var) - 3.0,
            _ => {
                let raw = (m4 / n) / (var * var);
                (n - 1.0) * ((n + 1.0) * raw - 3.0 * (n - 1.0)) / ((n - 2.0) * (n - 3.0))
            }
        };
        Some(told)
    }
}

impl Accumulator for Moments {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Float64Type>().iter().flatten() {
            self.add([1.0, value, 0.0, 0.0, 0.0]);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let mut part = [0.0; 5];
            for (value, state) in part.iter_mut().zip(states) {
                *value = state.as_primitive::<Float64Type>().value(row);
            }
            self.add(part);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.of.map(ScalarValue::from).into())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.told()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// All the numbers.
#[derive(Debug, Default)]
struct Numbers(Vec<f64>);

fn median(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(numbers[middle]),
        _ => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
    }
}

impl Accumulator for Numbers {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.extend(values[0].as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for numbers in states[0].as_list::<i32>().iter().flatten() {
            self.0.extend(numbers.as_primitive::<Float64Type>().iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let numbers: Vec<ScalarValue> = self.0.iter().copied().map(ScalarValue::from).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&numbers, &DataType::Float64))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Some(middle) = median(&mut self.0.clone()) else { return Ok(ScalarValue::Float64(None)) };
        let mut far: Vec<f64> = self.0.iter().map(|number| (number - middle).abs()).collect();
        Ok(ScalarValue::Float64(median(&mut far)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.capacity() * size_of::<f64>()
    }
}
