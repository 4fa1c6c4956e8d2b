//! Whatever a file holds, finding out how it is written does not panic, and its account adds up. The first byte says
//! which format its name tells and what is declared.
#![no_main]

use std::sync::LazyLock;

use elt::landing::any_bytes::load;
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is room for a file"));

fuzz_target!(|bytes: &[u8]| {
    let [how, text @ ..] = bytes else { return };
    let name = ["f.csv", "f.csv", "f.tsv", "f.jsonl", "f.json", "f.csv.gz", "f.avro", "f.arrow"]
        [usize::from(how % 8)];
    let header = [None, None, Some(true), Some(false)][usize::from(how / 8 % 4)];
    load(FOLDER.path(), name, text, header, how / 32 % 2 == 0);
});
