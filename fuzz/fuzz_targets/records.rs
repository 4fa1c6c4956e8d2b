//! No byte of a text is lost between its records, however it is split. The first three bytes say how.
#![no_main]

use elt::landing::any_bytes::split;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [delimiter, quote, most, text @ ..] = bytes else { return };
    let delimiter = b",;\t|"[usize::from(*delimiter) % 4];
    let quote = [None, Some(b'"'), Some(b'\'')][usize::from(*quote) % 3];
    split(text, usize::from(most % 16), delimiter, quote);
});
