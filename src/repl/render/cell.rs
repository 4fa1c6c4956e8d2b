//! What is written in one cell?

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use arrow::array::{RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::lakehouse::interval_texts;

/// Dates and times as SQL reads them back.
pub(super) const PLAIN: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(true)
    .with_datetime_format(Some("%Y-%m-%d"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));

static NESTED: LazyLock<EncoderOptions> =
    LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true));

/// The texts of a batch's values. Lists, structs and maps are JSON.
pub(super) struct Cells<'a>(Vec<Column<'a>>);

struct Column<'a> {
    nulls: Option<NullBuffer>,
    reader: Reader<'a>,
}

enum Reader<'a> {
    Plain(ArrayFormatter<'a>),
    Interval(StringArray),
    Nested(NullableEncoder<'a>),
}

impl<'a> Cells<'a> {
    /// The texts of `batch`.
    ///
    /// # Errors
    /// A column has a type that cannot be written.
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let fields = batch.schema_ref().fields().iter();
        let columns = fields.zip(batch.columns()).map(|(field, array)| {
            let nested =
                if array.data_type().is_nested() { make_encoder(field, array, &NESTED).ok() } else { None };
            let reader = match (nested, interval_texts(array)) {
                (Some(encoder), _) => Reader::Nested(encoder),
                (None, Some(texts)) => Reader::Interval(texts),
                (None, None) => Reader::Plain(ArrayFormatter::try_new(array, &PLAIN)?),
            };
            Ok(Column { nulls: array.logical_nulls(), reader })
        });
        Ok(Self(columns.collect::<Result<_, ArrowError>>()?))
    }

    /// The texts of one row, as they are; nothing for NULL.
    pub(super) fn row(&mut self, row: usize) -> impl Iterator<Item = Option<String>> {
        self.0.iter_mut().map(move |column| {
            if column.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return None;
            }
            Some(match &mut column.reader {
                Reader::Plain(formatter) => formatter.value(row).to_string(),
                Reader::Interval(texts) => texts.value(row).to_owned(),
                Reader::Nested(encoder) => {
                    let mut bytes = Vec::new();
                    encoder.encode(row, &mut bytes);
                    String::from_utf8_lossy(&bytes).into_owned()
                }
            })
        })
    }
}

/// Whether values of a type stand at the right of their column.
pub(super) fn is_right_aligned(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// How many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in one line, with nothing in it that a terminal would obey: `\n`, `\t`, `\u{1b}`.
pub(super) fn in_one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unprintable)
}

/// The text without what a terminal would obey, except ends of lines.
pub(super) fn in_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unprintable(c))
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            _ if !is_bad(c) => clean.push(c),
            '\n' => clean.push_str("\\n"),
            '\t' => clean.push_str("\\t"),
            '\r' => clean.push_str("\\r"),
            _ => {
                let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(clean)
}

/// Control characters, and those that break lines or turn the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text, cut to `room` columns of a terminal; `…` stands for what is cut off.
pub(super) fn clipped(text: &str, room: usize) -> Cow<'_, str> {
    // A text of few bytes fits without being measured: no character is wider than its bytes.
    if text.len() <= room || width(text) <= room {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < room
    };
    let kept: String = text.chars().take_while(fits).collect();
    Cow::Owned(if room == 0 { kept } else { kept + "…" })
}

/// Appends the text, filled with spaces to `room` columns.
pub(super) fn pad(line: &mut String, text: &str, shown: &str, room: usize, to_the_right: bool) {
    let spaces = room.saturating_sub(width(text));
    if to_the_right {
        line.extend(std::iter::repeat_n(' ', spaces));
    }
    line.push_str(shown);
    if !to_the_right {
        line.extend(std::iter::repeat_n(' ', spaces));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Decimal128Array, Int32Array, ListArray, NullArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn first(array: ArrayRef) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap();
        let text = Cells::of(&batch).unwrap().row(0).next().unwrap();
        text.unwrap_or_else(|| "-".to_owned())
    }

    #[test]
    fn values_are_written_as_sql_reads_them() {
        let micros = || TimestampMicrosecondArray::from(vec![1_767_323_045_250_000]);
        assert_eq!(first(Arc::new(micros())), "2026-01-02 03:04:05.250");
        assert_eq!(first(Arc::new(micros().with_timezone("UTC"))), "2026-01-02 03:04:05.250+00:00");
        let decimal = Decimal128Array::from(vec![-1205]).with_precision_and_scale(12, 2).unwrap();
        assert_eq!(first(Arc::new(decimal)), "-12.05");
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
        assert_eq!(first(Arc::new(list)), "[1,null]");
        assert_eq!(first(Arc::new(Int32Array::from(vec![None]))), "-");
        assert_eq!(first(Arc::new(NullArray::new(1))), "-");
    }

    #[test]
    fn nothing_in_a_cell_moves_the_cursor() {
        assert_eq!(in_one_line("a\tb\r\nc"), "a\\tb\\r\\nc");
        assert_eq!(in_one_line("\x1b[31mred\u{202e}"), "\\u{1b}[31mred\\u{202e}");
        assert_eq!(in_lines("a\nb\x07"), "a\nb\\u{7}");
        assert!(matches!(in_one_line("Łódź 東京"), Cow::Borrowed(_)));
    }

    #[test]
    fn texts_are_cut_by_what_a_terminal_shows() {
        for (text, room, expected) in [
            ("Oslo", 4, "Oslo"),
            ("Oslo", 3, "Os…"),
            ("東京都", 6, "東京都"),
            ("東京都", 5, "東京…"),
            ("東京都", 4, "東…"),
            ("Łódź", 4, "Łódź"),
            ("Oslo", 1, "…"),
            ("Oslo", 0, ""),
        ] {
            assert_eq!(clipped(text, room), expected, "{text} in {room}");
        }
    }
}
