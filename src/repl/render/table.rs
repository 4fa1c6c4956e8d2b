//! How do rows look in a box?

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Cells, clipped, in_one_line, is_right_aligned, pad, width};
use super::layout::{Slot, Wish, fit};
use super::line;
use super::{Renderer, ShowOptions, count, dim, rows_words};
use crate::base::{grouped, sql_type_name};

/// Rows that are looked at before the widths of an unlimited table are fixed.
const SAMPLE: usize = 1000;

/// Text columns are not made narrower than this while there is another way.
const LEAST: usize = 8;

type Row = Vec<Option<String>>;

/// A box of rows. It keeps those that it will show, and counts the others.
///
/// Without a limit it keeps [`SAMPLE`] rows, fixes the widths by them, and from then on keeps none: a
/// wider cell later pushes its line out, or is cut where the terminal's width is known.
pub(super) struct Table<'a> {
    options: &'a ShowOptions,
    columns: Vec<Column>,
    first: Vec<Row>,
    last: VecDeque<Row>,
    rows: u64,
    /// The layout, once the header is written.
    slots: Option<Vec<Slot>>,
    /// The rows written as lines, if the table was too wide.
    lines: Option<u64>,
}

/// Whether a text is a day, or a moment.
fn is_moment(text: &str) -> bool {
    text.len() <= 32
        && text.as_bytes().get(..10).is_some_and(|day| {
            let dashes = day[4] == b'-' && day[7] == b'-';
            dashes && day.iter().filter(|byte| byte.is_ascii_digit()).count() == 8
        })
}

struct Column {
    name: String,
    type_name: String,
    right: bool,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: &SchemaRef, options: &'a ShowOptions) -> Self {
        let columns = schema.fields().iter().map(|field| Column {
            name: in_one_line(field.name()).into_owned(),
            type_name: sql_type_name(field.data_type()),
            right: is_right_aligned(field.data_type()),
        });
        let columns = columns.collect();
        Self { options, columns, first: Vec::new(), last: VecDeque::new(), rows: 0, slots: None, lines: None }
    }

    /// Rows kept from the beginning and from the end.
    fn limits(&self) -> (usize, usize) {
        match self.options.max_rows {
            Some(most) => (most.saturating_sub(self.options.last_rows), self.options.last_rows.min(most)),
            None => (usize::MAX, 0),
        }
    }

    /// A row as it is kept: as it stands in the box, or whole where it may become lines.
    fn row(&self, cells: &mut Cells<'_>, row: usize) -> Row {
        let texts = cells.row(row);
        match self.options.expand_wide {
            true => texts.collect(),
            false => texts.map(|text| text.map(|text| self.in_box(&text))).collect(),
        }
    }

    /// A text in one line that is no longer than one of the terminal.
    fn in_box(&self, text: &str) -> String {
        if text == self.options.null {
            return format!("'{text}'"); // so that it is not taken for NULL
        }
        let line = in_one_line(text);
        self.options.width.map_or_else(|| line.clone(), |width| clipped(&line, width)).into_owned()
    }

    /// A cell of a row that is kept, as it stands in the box.
    fn boxed(&self, cell: Option<&String>) -> Option<String> {
        match self.options.expand_wide {
            true => cell.map(|text| self.in_box(text)),
            false => cell.cloned(),
        }
    }

    /// Fixes the widths; writes the header and the rows kept so far.
    fn open(&mut self, page: &mut String) {
        let (first, last) = (std::mem::take(&mut self.first), std::mem::take(&mut self.last));
        let wishes: Vec<Wish> =
            (0..self.columns.len()).map(|at| self.wish(at, first.iter().chain(&last))).collect();
        if self.options.expand_wide && self.is_too_wide(&wishes) {
            self.lines = Some(0);
            first.iter().for_each(|row| self.expanded(page, row));
            self.lines = Some(self.rows - count(last.len()));
            last.iter().for_each(|row| self.expanded(page, row));
            self.slots = Some(Vec::new());
            return;
        }
        let slots = fit(&wishes, self.options.width);
        border(page, &slots, ['┌', '┬', '┐']);
        self.heading(page, &slots, |column| column.name.clone(), false);
        self.heading(page, &slots, |column| column.type_name.clone(), self.options.color);
        if !first.is_empty() || !last.is_empty() {
            border(page, &slots, ['├', '┼', '┤']);
        }
        first.iter().for_each(|row| self.line(page, &slots, row));
        if count(first.len() + last.len()) < self.rows {
            self.heading(page, &slots, |_| "⋮".to_owned(), self.options.color);
        }
        last.iter().for_each(|row| self.line(page, &slots, row));
        self.slots = Some(slots);
    }

    fn is_too_wide(&self, wishes: &[Wish]) -> bool {
        let natural = wishes.iter().map(|wish| wish.natural + 3).sum::<usize>() + 1;
        self.options.width.is_some_and(|width| natural > width)
    }

    /// A row with a line for each column.
    fn expanded(&mut self, page: &mut String, row: &Row) {
        let number = self.lines.unwrap_or(0) + 1;
        self.lines = Some(number);
        let names = self.columns.iter().map(|column| column.name.as_str());
        line::record(page, number, names.zip(row.iter().cloned()).collect(), self.options);
    }

    fn wish<'r>(&self, at: usize, rows: impl Iterator<Item = &'r Row>) -> Wish {
        let column = &self.columns[at];
        let texts: Vec<Option<String>> = rows.map(|row| self.boxed(row[at].as_ref())).collect();
        let cells = texts.iter().map(|text| width(text.as_ref().unwrap_or(&self.options.null))).max();
        let cells = cells.unwrap_or(0);
        let natural = cells.max(width(&column.name)).max(width(&column.type_name)).max(1);
        // Half a number is a wrong number, and half a moment another one.
        let is_whole = column.right || texts.iter().flatten().all(|text| is_moment(text));
        let least = if is_whole { cells.max(LEAST) } else { LEAST };
        Wish { natural, least: least.min(natural) }
    }

    fn heading(&self, page: &mut String, slots: &[Slot], text: impl Fn(&Column) -> String, faint: bool) {
        self.cells(page, slots, |at| (Some(text(&self.columns[at])), faint));
    }

    fn line(&self, page: &mut String, slots: &[Slot], row: &Row) {
        self.cells(page, slots, |at| (self.boxed(row[at].as_ref()), false));
    }

    fn cells(&self, page: &mut String, slots: &[Slot], cell: impl Fn(usize) -> (Option<String>, bool)) {
        for slot in slots {
            page.push_str("│ ");
            match slot {
                Slot::Gap => page.push_str(&dim("…", self.options.color)),
                Slot::Column { at, width } => {
                    let (text, faint) = cell(*at);
                    let faint = faint || (text.is_none() && self.options.color);
                    let text = text.as_deref().unwrap_or(&self.options.null);
                    // Without a terminal nothing is cut: a late wide cell pushes its line out.
                    let text = if self.options.width.is_some() { clipped(text, *width) } else { text.into() };
                    pad(page, &text, &dim(&text, faint), *width, self.columns[*at].right);
                }
            }
            page.push(' ');
        }
        page.push_str("│\n");
    }

    fn footer(&self, slots: &[Slot]) -> String {
        let mut words = rows_words(self.rows);
        let (first, last) = self.limits();
        if self.rows > count(first.saturating_add(last)) {
            let parts = [("first", first), ("last", last)];
            let parts = parts.iter().filter(|(_, rows)| *rows > 0);
            let parts: Vec<_> =
                parts.map(|(which, rows)| format!("{which} {}", grouped(count(*rows)))).collect();
            let parts = if parts.is_empty() { "none".to_owned() } else { parts.join(" and ") };
            words += &format!(" ({parts} shown)");
        }
        let shown = slots.iter().filter(|slot| matches!(slot, Slot::Column { .. })).count();
        if shown < self.columns.len() {
            words += &format!(", {} columns ({shown} shown)", self.columns.len());
        }
        words
    }
}

impl Renderer for Table<'_> {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let total = batch.num_rows();
        self.rows += count(total);
        let mut cells = Cells::of(batch)?;
        if self.lines.is_some() {
            for row in 0..total {
                let row = self.row(&mut cells, row);
                self.expanded(page, &row);
            }
            return Ok(());
        }
        if let Some(slots) = &self.slots {
            for row in 0..total {
                self.line(page, slots, &self.row(&mut cells, row));
            }
            return Ok(());
        }
        let (first, last) = self.limits();
        let head = total.min(first.saturating_sub(self.first.len()));
        for row in 0..head {
            let row = self.row(&mut cells, row);
            self.first.push(row);
        }
        for row in total.saturating_sub(last).max(head)..total {
            if self.last.len() == last {
                self.last.pop_front();
            }
            let row = self.row(&mut cells, row);
            self.last.push_back(row);
        }
        if self.options.max_rows.is_none() && self.first.len() > SAMPLE {
            self.open(page);
        }
        Ok(())
    }

    fn end(&mut self, page: &mut String) {
        if self.slots.is_none() {
            self.open(page);
        }
        let slots = self.slots.take().unwrap_or_default();
        if self.lines.is_some() {
            let all = (0..self.columns.len()).map(|at| Slot::Column { at, width: 0 }).collect::<Vec<_>>();
            page.push_str(&self.footer(&all));
            page.push('\n');
            return;
        }
        border(page, &slots, ['└', '┴', '┘']);
        page.push_str(&self.footer(&slots));
        page.push('\n');
    }
}

fn border(page: &mut String, slots: &[Slot], [left, between, right]: [char; 3]) {
    for (at, slot) in slots.iter().enumerate() {
        page.push(if at == 0 { left } else { between });
        let width = if let Slot::Column { width, .. } = slot { *width } else { 1 };
        page.extend(std::iter::repeat_n('─', width + 2));
    }
    page.push(right);
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    fn cities() -> RecordBatch {
        let ids = Int64Array::from(vec![Some(1), Some(22), None, Some(-4)]);
        let names = StringArray::from(vec![Some("Oslo"), Some("東京"), Some("NULL"), None]);
        let sums = Decimal128Array::from(vec![Some(120), Some(3), None, Some(-99_999)]);
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(ids)),
            ("city", Arc::new(names)),
            ("total", Arc::new(sums.with_precision_and_scale(12, 2).unwrap())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn table(batches: &[RecordBatch], options: &ShowOptions) -> String {
        shown(batches, Format::Table, options)
    }

    fn numbers(from: i64, to: i64) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new((from..to).collect::<Int64Array>()) as _)]).unwrap()
    }

    fn texts<const N: usize>(columns: [(&str, &str); N]) -> RecordBatch {
        let arrays = columns.map(|(name, text)| (name, Arc::new(StringArray::from(vec![text])) as ArrayRef));
        RecordBatch::try_from_iter(arrays).unwrap()
    }

    #[test]
    fn numbers_stand_right_and_null_is_not_the_text_null() {
        insta::assert_snapshot!(table(&[cities()], &ShowOptions::default()), @r"
        ┌────────┬─────────┬───────────────┐
        │     id │ city    │         total │
        │ bigint │ varchar │ decimal(12,2) │
        ├────────┼─────────┼───────────────┤
        │      1 │ Oslo    │          1.20 │
        │     22 │ 東京    │          0.03 │
        │   NULL │ 'NULL'  │          NULL │
        │     -4 │ NULL    │       -999.99 │
        └────────┴─────────┴───────────────┘
        4 rows
        ");
    }

    #[test]
    fn an_empty_answer_shows_its_columns() {
        insta::assert_snapshot!(table(&[cities().slice(0, 0)], &ShowOptions::default()), @r"
        ┌────────┬─────────┬───────────────┐
        │     id │ city    │         total │
        │ bigint │ varchar │ decimal(12,2) │
        └────────┴─────────┴───────────────┘
        0 rows
        ");
    }

    #[test]
    fn colour_only_dims() {
        let options = ShowOptions { color: true, ..ShowOptions::default() };
        let text = table(&[cities()], &options);
        assert!(text.contains("│   \x1b[2mNULL\x1b[0m │ 'NULL'  │"), "{text}");
        let plain = text.replace("\x1b[2m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table(&[cities()], &ShowOptions::default()));
    }

    #[test]
    fn a_narrow_terminal_shortens_texts_and_then_leaves_out_the_middle() {
        let wide = texts([
            ("code", "AB"),
            ("name", "a name that is rather long"),
            ("note", "one\nand two and three"),
            ("place", "somewhere\tfar away"),
        ]);
        let at = |width| table(std::slice::from_ref(&wide), &ShowOptions::terminal(Some(width), false));
        insta::assert_snapshot!(at(60), @r"
        ┌─────────┬────────────────┬───────────────┬───────────────┐
        │ code    │ name           │ note          │ place         │
        │ varchar │ varchar        │ varchar       │ varchar       │
        ├─────────┼────────────────┼───────────────┼───────────────┤
        │ AB      │ a name that i… │ one\nand two… │ somewhere\tf… │
        └─────────┴────────────────┴───────────────┴───────────────┘
        1 row
        ");
        insta::assert_snapshot!(at(40), @r"
        ┌─────────┬────────────┬───┬───────────┐
        │ code    │ name       │ … │ place     │
        │ varchar │ varchar    │ … │ varchar   │
        ├─────────┼────────────┼───┼───────────┤
        │ AB      │ a name th… │ … │ somewher… │
        └─────────┴────────────┴───┴───────────┘
        1 row, 4 columns (3 shown)
        ");
    }

    #[test]
    fn moments_are_not_cut() {
        let wide = texts([
            ("published_at", "2026-01-31 23:59:59.123"),
            ("tables", "main.orders, main.customers, main.flights"),
        ]);
        let text = table(&[wide], &ShowOptions::terminal(Some(50), false));
        assert!(text.contains("│ 2026-01-31 23:59:59.123 │ main.orders, m"), "{text}");
    }

    #[test]
    fn what_becomes_lines_is_shown_whole() {
        let long = "a text that is longer than the terminal is wide,\nin two lines";
        let options = ShowOptions { expand_wide: true, ..ShowOptions::terminal(Some(30), false) };
        insta::assert_snapshot!(table(&[texts([("a", "x"), ("note", long)])], &options), @r"
        ─[ row 1 ]──────
        a    │ x
        note │ a text that is longer than the terminal is wide,
             │ in two lines
        1 row
        ");
        let narrow = table(&[texts([("a", "x\ny"), ("b", "NULL")])], &options);
        assert!(narrow.contains(r"│ x\ny") && narrow.contains("│ 'NULL'"), "{narrow}");
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_answer_are_kept() {
        let batches: Vec<RecordBatch> = (0..50).map(|at| numbers(at * 3, at * 3 + 3)).collect();
        let options = ShowOptions { max_rows: Some(5), last_rows: 2, ..ShowOptions::default() };
        insta::assert_snapshot!(table(&batches, &options), @r"
        ┌────────┐
        │      n │
        │ bigint │
        ├────────┤
        │      0 │
        │      1 │
        │      2 │
        │      ⋮ │
        │    148 │
        │    149 │
        └────────┘
        150 rows (first 3 and last 2 shown)
        ");
        let all = ShowOptions { max_rows: Some(150), last_rows: 75, ..ShowOptions::default() };
        let text = table(&batches, &all);
        assert!(text.ends_with("150 rows\n") && !text.contains('⋮'), "{text}");
    }

    #[test]
    fn without_a_limit_every_row_is_written_as_it_comes() {
        let options = ShowOptions::default();
        let schema = numbers(0, 0).schema();
        let mut table = Table::new(&schema, &options);
        let mut page = String::new();
        for at in 0..30 {
            table.rows(&numbers(at * 100, at * 100 + 100), &mut page).unwrap();
            assert!(table.first.len() <= SAMPLE, "rows pile up");
        }
        table.rows(&numbers(1_000_000_000_000, 1_000_000_000_001), &mut page).unwrap();
        table.end(&mut page);
        assert!(page.contains("│ 1000000000000 │\n"), "a late wide number is not cut");
        assert_eq!(page.lines().count(), 4 + 3001 + 2);
    }
}
