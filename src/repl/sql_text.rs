//! Is a file of statements text?

use crate::base::{Error, Result};

/// The text of a file, or of what came through a pipe, without the mark that editors of Windows put before it.
///
/// # Errors
/// It is not UTF-8; the line is told.
pub fn sql_text(name: &str, bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = before.split(|byte| *byte == b'\n').count();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        Error::user(
            "elt::sql::file",
            format!("{name} is not UTF-8: its line {line} has the byte 0x{byte:02x}"),
            "save it as UTF-8, or turn it: `iconv -f latin1 -t utf-8 FILE`",
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(bare) => bare.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_left_out_and_another_encoding_is_told() {
        assert_eq!(sql_text("a.sql", b"\xef\xbb\xbfselect 1".to_vec()).unwrap(), "select 1");
        assert_eq!(sql_text("a.sql", b"select 1".to_vec()).unwrap(), "select 1");
        let wrong = sql_text("a.sql", b"select 1;\nselect '\xe9'".to_vec()).unwrap_err();
        assert_eq!(wrong.to_string(), "a.sql is not UTF-8: its line 2 has the byte 0xe9");
    }
}
