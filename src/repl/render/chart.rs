//! How do rows look as a picture?
//!
//! Bars with labels, a line of dots, or how often values of one column come: for a quick look in a terminal, made of block
//! and Braille characters. The columns are those that are named, or the first that fit.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};

use super::cell::{Cells, clipped, in_one_line, pad, width};
use super::{ShowOptions, count, rows_words};
use crate::base::{Diagnostic, did_you_mean, grouped};

/// What kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repl) enum Picture {
    /// A bar for each row.
    Bars,
    /// The rows as points from left to right.
    Line,
    /// A bar for each stretch of values.
    Histogram,
}

/// Bars that are drawn.
const BARS: usize = 60;

/// Lines of a terminal that a line's picture takes.
const HEIGHT: usize = 16;

/// Points that are kept for a picture.
pub(in crate::repl) const POINTS: usize = 1_000_000;

/// Draws rows.
///
/// # Errors
/// There is no column that can be drawn, or none of that name.
pub(in crate::repl) fn draw(
    picture: Picture,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    named: &[String],
    options: &ShowOptions,
) -> Result<String, Diagnostic> {
    let named: Vec<usize> = named.iter().map(|name| find(schema, name)).collect::<Result<_, _>>()?;
    match picture {
        Picture::Histogram => {
            let at = match named.as_slice() {
                [] => first(schema, |data_type| data_type.is_numeric(), None).ok_or_else(nothing_to_draw)?,
                [at, ..] => *at,
            };
            let values = numbers(batches, at)?;
            Ok(histogram(schema.field(at).name(), &values, options))
        }
        Picture::Bars => {
            let label = named.first().copied();
            let label =
                label.or_else(|| first(schema, |data_type| !data_type.is_numeric(), None)).unwrap_or(0);
            let value = value_of(schema, &named, label)?;
            let (labels, values) = (texts(batches, label)?, numbers(batches, value)?);
            Ok(bars(schema.field(value).name(), &labels, &values, options))
        }
        Picture::Line => {
            // Along the line lies a column that is named, a time, or a number beside another; texts only stand below it.
            let is_number = |data_type: &DataType| data_type.is_numeric();
            let along = named.first().copied().or_else(|| first(schema, is_time, None)).or_else(|| {
                let number = first(schema, is_number, None)?;
                first(schema, is_number, Some(number)).map(|_| number)
            });
            let value = match along {
                Some(along) => value_of(schema, &named, along)?,
                None => first(schema, is_number, None).ok_or_else(nothing_to_draw)?,
            };
            let ys = numbers(batches, value)?;
            let is_text = |at: &usize| schema.field(*at).data_type().is_string();
            let (xs, labels) = match along.filter(|at| !is_text(at)) {
                Some(at) => (numbers(batches, at)?, texts(batches, at)?),
                None => {
                    let places = 1..=ys.len();
                    let labels = match along.or_else(|| first(schema, DataType::is_string, None)) {
                        Some(at) => texts(batches, at)?,
                        None => places.clone().map(|at| at.to_string()).collect(),
                    };
                    (places.map(|at| Some(at as f64)).collect(), labels)
                }
            };
            Ok(line(schema.field(value).name(), &xs, &labels, &ys, options))
        }
    }
}

fn nothing_to_draw() -> Diagnostic {
    Diagnostic::error("elt::shell::chart", "there is no column of numbers to draw".to_owned())
        .help("select a number, or name the columns: `\\chart bar city total`")
}

fn find(schema: &SchemaRef, name: &str) -> Result<usize, Diagnostic> {
    let mut fields = schema.fields().iter();
    fields.position(|field| field.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let help = did_you_mean(name, names.iter().copied());
        Diagnostic::error("elt::shell::chart", format!("the answer has no column `{name}`"))
            .help(help.unwrap_or_else(|| format!("it has: {}", names.join(", "))))
    })
}

fn first(schema: &SchemaRef, fits: impl Fn(&DataType) -> bool, but: Option<usize>) -> Option<usize> {
    (0..schema.fields().len()).find(|at| Some(*at) != but && fits(schema.field(*at).data_type()))
}

fn value_of(schema: &SchemaRef, named: &[usize], other: usize) -> Result<usize, Diagnostic> {
    let found = named.get(1).copied();
    found
        .or_else(|| first(schema, |data_type| data_type.is_numeric(), Some(other)))
        .or_else(|| schema.field(other).data_type().is_numeric().then_some(other))
        .ok_or_else(nothing_to_draw)
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// The values of a column; nothing for NULL and what is no finite number.
fn numbers(batches: &[RecordBatch], at: usize) -> Result<Vec<Option<f64>>, Diagnostic> {
    let mut values = Vec::new();
    for batch in batches {
        let column = batch.column(at);
        let whole = match column.data_type() {
            DataType::Date32 => cast(column, &DataType::Int32),
            data_type if is_time(data_type) => cast(column, &DataType::Int64),
            _ => Ok(column.clone()),
        };
        let cast = whole.and_then(|column| cast(&column, &DataType::Float64));
        let cast = cast.map_err(|_| {
            let name = batch.schema().field(at).name().clone();
            Diagnostic::error("elt::shell::chart", format!("`{name}` holds no numbers"))
                .help("name a column of numbers, dates or times")
        })?;
        values.extend(
            cast.as_primitive::<Float64Type>().iter().map(|value| value.filter(|value| value.is_finite())),
        );
    }
    Ok(values)
}

fn texts(batches: &[RecordBatch], at: usize) -> Result<Vec<String>, Diagnostic> {
    let mut texts = Vec::new();
    for batch in batches {
        let column = batch.project(&[at]).map_err(|error| unreadable(&error))?;
        let mut cells = Cells::of(&column).map_err(|error| unreadable(&error))?;
        for row in 0..column.num_rows() {
            let text = cells.row(row).next().flatten();
            texts.push(text.map_or_else(|| "NULL".to_owned(), |text| in_one_line(&text).into_owned()));
        }
    }
    Ok(texts)
}

fn unreadable(error: &arrow::error::ArrowError) -> Diagnostic {
    Diagnostic::error("elt::shell::chart", format!("the labels cannot be read: {error}"))
}

/// A number as short as it can be said: `1,204`, `0.25`, `1.2e9`.
fn short(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", grouped(size as u64));
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let places = if size >= 1000.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        4
    };
    format!("{value:.places$}")
}

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

fn bar(cells: f64) -> String {
    let eighths = (cells * 8.0).round().max(0.0) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn bars(name: &str, labels: &[String], values: &[Option<f64>], options: &ShowOptions) -> String {
    let shown = labels.len().min(BARS);
    let total = options.width.unwrap_or(80).max(24);
    let label_room = labels[..shown].iter().map(|label| width(label)).max().unwrap_or(0).min(total / 3);
    let known = || values[..shown].iter().flatten().copied();
    let (most, least) = (known().fold(0.0, f64::max), known().fold(0.0, f64::min));
    let figures: Vec<String> =
        values[..shown].iter().map(|value| value.map_or_else(|| "NULL".to_owned(), short)).collect();
    let figure_room = figures.iter().map(|figure| width(figure)).max().unwrap_or(0);
    let room = total.saturating_sub(label_room + figure_room + 5).max(4) as f64;
    let scale = if most - least > 0.0 { room / (most - least) } else { 0.0 };
    let below = (-least * scale).round();
    let mut page = format!("{name}\n");
    for ((label, value), figure) in labels.iter().zip(values).zip(&figures) {
        let label = clipped(label, label_room);
        pad(&mut page, &label, &label, label_room, false);
        page.push(' ');
        pad(&mut page, figure, figure, figure_room, true);
        page.push_str(" │");
        match value.unwrap_or(0.0) {
            down if down < 0.0 => {
                let cells = (-down * scale).round() as usize;
                page.extend(std::iter::repeat_n(' ', (below as usize).saturating_sub(cells)));
                page.extend(std::iter::repeat_n('█', cells));
            }
            up => {
                page.extend(std::iter::repeat_n(' ', below as usize));
                page.push_str(&bar(up * scale));
            }
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
    }
    let _ = write!(page, "{}", rows_words(count(labels.len())));
    if shown < labels.len() {
        let _ = write!(page, " (first {shown} drawn)");
    }
    page + "\n"
}

fn histogram(name: &str, values: &[Option<f64>], options: &ShowOptions) -> String {
    let mut known: Vec<f64> = values.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (known.first().copied(), known.last().copied()) else {
        return format!("{name}\n{}, no value\n", rows_words(count(values.len())));
    };
    let (step, start) = stretches(&known, least, most);
    let mut bins: Vec<usize> = Vec::new();
    for value in &known {
        let at = ((value - start) / step).floor().max(0.0) as usize;
        if bins.len() <= at {
            bins.resize(at + 1, 0);
        }
        bins[at] += 1;
    }
    let edge = |at: usize| short(start + step * at as f64);
    let labels: Vec<String> = (0..bins.len()).map(|at| format!("[{}, {})", edge(at), edge(at + 1))).collect();
    let counts: Vec<Option<f64>> = bins.iter().map(|bin| Some(*bin as f64)).collect();
    let page = bars(name, &labels, &counts, options);
    let body = page.trim_end().rsplit_once('\n').map_or("", |(body, _)| body);
    let nulls = values.len() - known.len();
    let nulls =
        if nulls > 0 { format!(", {} without a value", grouped(count(nulls))) } else { String::new() };
    format!("{body}\n{}{nulls}, from {} to {}\n", rows_words(count(values.len())), short(least), short(most))
}

/// How wide the stretches are, and where the first begins: round numbers, some 5 to 20 stretches.
fn stretches(sorted: &[f64], least: f64, most: f64) -> (f64, f64) {
    let range = most - least;
    if range <= 0.0 {
        return (1.0, least.floor());
    }
    let quartile = |part: usize| sorted[(sorted.len() - 1) * part / 4];
    // Freedman and Diaconis: what does not follow the noise, and does not hide the shape.
    let ideal = 2.0 * (quartile(3) - quartile(1)) / (sorted.len() as f64).cbrt();
    let wanted = ideal.clamp(range / 20.0, range / 5.0);
    let power = 10_f64.powf(wanted.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= wanted);
    let step = step.unwrap_or(wanted);
    (step, (least / step).floor() * step)
}

/// Dots of a picture made of Braille characters: two by four in each.
struct Dots {
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
}

impl Dots {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![0; columns * rows] }
    }

    fn set(&mut self, x: usize, y: usize) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let at = (y / 4).min(self.rows - 1) * self.columns + (x / 2).min(self.columns - 1);
        self.cells[at] |= BITS[y % 4][x % 2];
    }

    /// Dots from one point to the other.
    fn join(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            let part = step as f64 / steps as f64;
            (a as f64 + (b as f64 - a as f64) * part).round() as usize
        };
        (0..=steps).for_each(|step| self.set(between(from.0, to.0, step), between(from.1, to.1, step)));
    }

    fn row(&self, row: usize) -> String {
        let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
        let dots = cells.iter().map(|bits| char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '));
        dots.map(|dots| if dots == '\u{2800}' { ' ' } else { dots }).collect::<String>()
    }
}

fn line(
    name: &str,
    xs: &[Option<f64>],
    labels: &[String],
    ys: &[Option<f64>],
    options: &ShowOptions,
) -> String {
    let points = xs.iter().zip(ys).enumerate();
    let mut points: Vec<(f64, f64, usize)> =
        points.filter_map(|(at, (x, y))| Some(((*x)?, (*y)?, at))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(left), Some(right)) = (points.first().copied(), points.last().copied()) else {
        return format!("{name}\n{}, no value\n", rows_words(count(ys.len())));
    };
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let total = options.width.unwrap_or(80).max(24);
    let marks = [high, f64::midpoint(low, high), low].map(short);
    let room = marks.iter().map(|mark| width(mark)).max().unwrap_or(0);
    let columns = total.saturating_sub(room + 3).max(8);
    let mut dots = Dots::new(columns, HEIGHT);
    let place = |value: f64, from: f64, to: f64, most: usize| match to > from {
        true => ((value - from) / (to - from) * most as f64).round() as usize,
        false => most / 2,
    };
    let (across, up) = (columns * 2 - 1, HEIGHT * 4 - 1);
    let mut before = None;
    for (x, y, _) in &points {
        let at = (place(*x, left.0, right.0, across), up - place(*y, low, high, up));
        dots.join(before.unwrap_or(at), at);
        before = Some(at);
    }
    let mut page = format!("{name}\n");
    for row in 0..HEIGHT {
        let mark = match row {
            0 => marks[0].as_str(),
            row if row == HEIGHT - 1 => marks[2].as_str(),
            row if row == HEIGHT / 2 && high > low => marks[1].as_str(),
            _ => "",
        };
        pad(&mut page, mark, mark, room, true);
        let _ = writeln!(page, " ┤{}", dots.row(row).trim_end());
    }
    let label = |at: usize| labels.get(at).map_or("", String::as_str);
    let (first, last) = (label(left.2), label(right.2));
    let gap = (columns + 1).saturating_sub(width(first) + width(last));
    let _ = writeln!(page, "{} {first}{}{last}", " ".repeat(room), " ".repeat(gap.max(1)));
    let nulls = ys.len() - points.len();
    let nulls =
        if nulls > 0 { format!(", {} without a value", grouped(count(nulls))) } else { String::new() };
    page + &format!("{}{nulls}\n", rows_words(count(ys.len())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray};

    use super::*;

    fn drawn(picture: Picture, columns: &[(&str, ArrayRef)], named: &[&str]) -> String {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let options = ShowOptions { width: Some(40), ..ShowOptions::default() };
        draw(picture, &batch.schema(), &[batch], &named, &options).unwrap_or_else(|mistake| {
            format!("{} ({})", mistake.message(), mistake.help_text().unwrap_or_default())
        })
    }

    #[test]
    fn bars_have_labels_and_figures() {
        let cities: ArrayRef =
            Arc::new(StringArray::from(vec![Some("Oslo"), Some("東京"), None, Some("Lima")]));
        let totals: ArrayRef = Arc::new(Int64Array::from(vec![Some(1200), Some(300), Some(-600), None]));
        let columns = [
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("city", cities),
            ("total", totals),
        ];
        insta::assert_snapshot!(drawn(Picture::Bars, &columns, &["city", "TOTAL"]), @r"
        total
        Oslo 1,200 │         █████████████████▍
        東京   300 │         ████▍
        NULL  -600 │█████████
        Lima  NULL │
        4 rows
        ");
        assert!(drawn(Picture::Bars, &columns, &[]).starts_with("id\nOslo 1 │"));
        assert_eq!(
            drawn(Picture::Bars, &columns, &["cty"]),
            "the answer has no column `cty` (did you mean `city`?)"
        );
        assert!(drawn(Picture::Histogram, &columns[1..2], &[]).starts_with("there is no column of numbers"));
    }

    #[test]
    fn a_histogram_counts_in_round_steps() {
        let values: Float64Array = (0..100).map(|n| Some(f64::from(n * n) / 100.0)).chain([None]).collect();
        let page = drawn(Picture::Histogram, &[("x", Arc::new(values))], &[]);
        let counts: usize = page
            .lines()
            .filter_map(|line| line.split(") ").nth(1)?.split('│').next()?.trim().parse::<usize>().ok())
            .sum();
        assert_eq!(counts, 100, "{page}");
        assert!(page.ends_with("101 rows, 1 without a value, from 0 to 98.01\n"), "{page}");
        let same = drawn(Picture::Histogram, &[("x", Arc::new(Int64Array::from(vec![7, 7])))], &[]);
        assert!(same.contains("[7, 8) 2 │█"), "{same}");
    }

    #[test]
    fn a_line_goes_from_the_first_day_to_the_last() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 10, 20, 30]));
        let columns = [("day", days), ("n", Arc::new(Int64Array::from(vec![0, 10, 20, 30])) as ArrayRef)];
        let page = drawn(Picture::Line, &columns, &[]);
        assert_eq!(page.lines().count(), 1 + HEIGHT + 2, "{page}");
        assert!(page.contains("1970-01-01") && page.contains("1970-01-31"), "{page}");
        let first = page.lines().nth(1).unwrap();
        assert!(
            first.starts_with("30 ┤")
                && first.ends_with(['⠉', '⠁', '⠊', '⠔', '⠈', '⡠', '⠋', '⠃', '⠎', '⠜', '⡔']),
            "{page}"
        );
        assert!(page.lines().all(|line| width(line) <= 40), "{page}");
        // Of texts and one number it goes from row to row.
        let cities: ArrayRef = Arc::new(StringArray::from(vec!["Oslo", "Rome", "Lima"]));
        let columns = [("city", cities), ("n", Arc::new(Int64Array::from(vec![3, 1, 2])) as ArrayRef)];
        for named in [&[][..], &["city"], &["city", "n"]] {
            let page = drawn(Picture::Line, &columns, named);
            let below = page.lines().nth(HEIGHT + 1).unwrap_or_default();
            assert!(below.contains("Oslo") && below.ends_with("Lima"), "{named:?}\n{page}");
        }
    }
}
