//! Which number, or which digest, stands for values?
//!
//! `hash(a, b, …)` is a whole number of 64 bits, the same today and tomorrow and on every machine, though another than in
//! other engines, none of which has the same as the next. `sha1(text)` is what it is everywhere, in hexadecimal digits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sha2::{Digest, Sha256};

/// Both functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(Hash { signature: Signature::variadic_any(Volatility::Immutable) }),
        ScalarUDF::from(Sha1 { signature: Signature::any(1, Volatility::Immutable) }),
    ]
}

fn texts(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    let text =
        |value: &ColumnarValue| Ok(cast(&value.clone().into_array(args.number_rows)?, &DataType::Utf8)?);
    args.args.iter().map(text).collect()
}

/// `_elt_hash`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hash {
    signature: Signature,
}

impl ScalarUDFImpl for Hash {
    fn name(&self) -> &str {
        "_elt_hash"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    /// Null is a value like others.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args)?;
        let hash = |row: usize| {
            let mut hasher = Sha256::new();
            for column in &texts {
                match column.is_valid(row) {
                    true => {
                        let text = column.as_string::<i32>().value(row);
                        hasher.update((text.len() as u64).to_le_bytes());
                        hasher.update(text);
                    }
                    false => hasher.update(u64::MAX.to_le_bytes()),
                }
            }
            let digest = hasher.finalize();
            i64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
        };
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from_iter_values((0..args.number_rows).map(hash)))))
    }
}

/// `_elt_sha1`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sha1 {
    signature: Signature,
}

impl ScalarUDFImpl for Sha1 {
    fn name(&self) -> &str {
        "_elt_sha1"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args)?;
        let mut digests = StringBuilder::new();
        for text in texts[0].as_string::<i32>() {
            digests.append_option(text.map(|text| sha1(text.as_bytes())));
        }
        Ok(ColumnarValue::Array(Arc::new(digests.finish())))
    }
}

/// FIPS 180-4, in hexadecimal digits. Nothing in elt relies on it; people's keys do.
fn sha1(bytes: &[u8]) -> String {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend(((bytes.len() as u64) * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, four) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(four.try_into().expect("four bytes"));
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.into_iter().enumerate() {
            let (mixed, constant) = match at {
                0..20 => ((b & c) | (!b & d), 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC_u32),
                _ => (b ^ c ^ d, 0xCA62_C1D6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (part, more) in state.iter_mut().zip([a, b, c, d, e]) {
            *part = part.wrapping_add(more);
        }
    }
    state.iter().map(|part| format!("{part:08x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(sha1(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha1(&[b'a'; 200]), "e61cfffe0d9195a525fc6cf06ca2d77119c24a40");
    }
}
