//! Whatever the bytes are: nothing panics, every record is accounted for, and a file says the same in pieces.
//!
//! The promises, each a function of bytes. Tests ask them of bytes by chance, `fuzz/` of bytes that a fuzzer finds by
//! looking which of them lead to code that was not run yet.

use std::io::Read;
use std::path::Path;

use super::FileAccount;
use super::discover::{FileStamp, discover};
use super::format::ReadOptions;
use super::infer::{Look, infer};
use super::options::LandOptions;
use super::read::split::{Marks, Records};
use super::read::{Parsed, read};

/// Splits a text into records, at once and `most` bytes at a time.
///
/// # Panics
/// If that differs, if a byte that ends no line is in no record, or if lines are not counted up.
pub fn split(bytes: &[u8], most: usize, delimiter: u8, quote: Option<u8>) {
    let marks = Marks { delimiter, quote, comment: None };
    let whole = records(bytes, marks);
    assert_eq!(whole, records(Dripping { bytes, most: most.max(1) }, marks), "it is the same in pieces");
    let kept: usize = whole.iter().map(|(_, bytes, ..)| bytes.len()).sum();
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!(kept <= bytes.len() && kept + ends >= bytes.len(), "{kept} of {} bytes", bytes.len());
    assert!(whole.windows(2).all(|pair| pair[0].0 < pair[1].0), "lines go up");
}

/// Reads a file of these bytes as a table of its own, under a name that tells its format.
///
/// # Panics
/// If the account of it does not add up. A file that is refused has none.
pub fn load(folder: &Path, name: &str, bytes: &[u8], header: Option<bool>, infer_types: bool) {
    std::fs::write(folder.join(name), bytes).expect("a file can be written");
    let file = discover(folder, &[name.to_owned()]).expect("it was just written").remove(0);
    let options = LandOptions {
        read: ReadOptions { header, infer_types, ..ReadOptions::default() },
        ..LandOptions::default()
    };
    if let Some(account) = account(&file, &options) {
        assert!(account.check().is_ok(), "{account:?}");
    }
}

/// Gives out as many bytes at a time as it was told.
struct Dripping<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl Read for Dripping<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.bytes.len().min(self.most).min(into.len());
        let (now, later) = self.bytes.split_at(length);
        into[..length].copy_from_slice(now);
        self.bytes = later;
        Ok(length)
    }
}

/// The records of a text: the line, the bytes, the fields, the fault.
fn records(source: impl Read, marks: Marks) -> Vec<(u64, Vec<u8>, usize, bool)> {
    let mut records = Records::new(source, marks);
    let mut found = Vec::new();
    while let Some(record) = records.next().expect("a text in memory can be read") {
        found.push((record.line, record.bytes.to_vec(), record.fields.len(), record.fault.is_some()));
    }
    found
}

/// The account of a file that is read as a table of its own; nothing if it is refused.
fn account(file: &FileStamp, options: &LandOptions) -> Option<FileAccount> {
    let columns = infer(std::slice::from_ref(file), options, &[], Look::All).ok()?.schema;
    let mut options = options.clone();
    options.read.orders = columns
        .fields()
        .iter()
        .map(|field| (field.name().clone(), super::read::moment::DateOrder::Ymd))
        .collect();
    let mut account = FileAccount::new(&file.path);
    for piece in read(file, &columns, &options).ok()? {
        let parsed: Parsed = piece.and_then(|piece| piece()).ok()?;
        account.add(&parsed);
    }
    Some(account)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What means something to readers of text.
    const TELLING: &[&[u8]] = &[
        b",",
        b";",
        b"\t",
        b"|",
        b"\"",
        b"\"\"",
        b"'",
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"{\"a\":1}",
        b"[1,2]",
        b"{\"a\":",
        b"null",
        b"true",
        b"1",
        b"1.5",
        b"1,5",
        b"1.234,5",
        b"-0",
        b"1e400",
        b"9223372036854775808",
        b"31/01/2013",
        b"01/02/2013",
        b"2013-01-31",
        b"2013-01-31T10:00:00Z",
        b"id",
        b"name",
        b" ",
        b"\xEF\xBB\xBF",
        b"\xFF\xFE",
        b"\xFF",
        b"\xC3",
        b"\xC3\xA5",
        b"\0",
        b"\x1F\x8B",
        b"PAR1",
        b"NaN",
        b"\\N",
        b"#",
    ];

    /// Bytes of any kind, and bytes that mean something to readers of text, more often than chance would have it.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(TELLING);
        prop_oneof![
            2 => prop::collection::vec(any::<u8>(), 0..300),
            8 => prop::collection::vec(telling, 0..120).prop_map(|words| words.concat()),
        ]
    }

    proptest! {
        #[test]
        fn records_are_the_same_however_the_bytes_come(
            bytes in bytes(),
            most in 1_usize..9,
            delimiter in prop::sample::select(b",;\t|".to_vec()),
            quote in prop::sample::select(vec![None, Some(b'"'), Some(b'\'')]),
        ) {
            split(&bytes, most, delimiter, quote);
        }
    }

    proptest! {
        // A file is opened many times in each case: PROPTEST_CASES=10000 tries a thousand.
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 10, ..ProptestConfig::default() })]

        #[test]
        fn every_record_of_any_file_is_accounted_for(
            bytes in bytes(),
            name in prop::sample::select(vec!["f.csv", "f.tsv", "f.json", "f.jsonl", "f.csv.gz", "f.parquet", "f.avro", "f.arrow"]),
            header in any::<Option<bool>>(),
            infer_types in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            load(folder.path(), name, &bytes, header, infer_types);
        }
    }
}
