//! How is a number written by `to_char(n, 'FM999,990.00')`?
//!
//! As in Postgres: `9` is a digit or a blank, `0` a digit, `,` and `G` stand between thousands, `.` and `D` before the fraction;
//! `S`, `MI`, `PL`, `SG` and `PR` say where the sign stands, `L` and `$` the currency; `FM` takes the blanks away. A number that
//! has more digits than there are places for is written in `#`.

use datafusion::common::{Result, exec_err};

/// One place of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A digit; whether it is one where the number has none.
    Digit {
        is_zero: bool,
    },
    Group,
    Point,
    Sign,
    /// A minus sign or a blank.
    Minus,
    Plus,
    Text(char),
}

/// A pattern of a number.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    places: Vec<Place>,
    is_short: bool,
    in_brackets: bool,
    has_sign: bool,
    whole: usize,
    /// Digits behind the point.
    pub(super) fraction: u8,
}

impl Pattern {
    pub(super) fn read(pattern: &str) -> Result<Self> {
        let mut read = Self {
            places: Vec::new(),
            is_short: false,
            in_brackets: false,
            has_sign: false,
            whole: 0,
            fraction: 0,
        };
        let mut rest = pattern;
        let mut is_behind = false;
        while let Some(c) = rest.chars().next() {
            let two = rest.get(..2).unwrap_or_default().to_uppercase();
            let mut length = 2;
            match two.as_str() {
                "FM" => read.is_short = true,
                "PR" => (read.in_brackets, read.has_sign) = (true, true),
                "MI" => {
                    read.has_sign = true;
                    read.places.push(Place::Minus);
                }
                "PL" => read.places.push(Place::Plus),
                "SG" => {
                    read.has_sign = true;
                    read.places.push(Place::Sign);
                }
                _ => {
                    length = c.len_utf8();
                    let place = match c.to_ascii_uppercase() {
                        '9' | '0' => {
                            if is_behind {
                                read.fraction += 1;
                            } else {
                                read.whole += 1;
                            }
                            Place::Digit { is_zero: c == '0' }
                        }
                        ',' | 'G' => Place::Group,
                        '.' | 'D' if !is_behind => {
                            is_behind = true;
                            Place::Point
                        }
                        'S' => {
                            read.has_sign = true;
                            Place::Sign
                        }
                        'L' | '$' => Place::Text('$'),
                        other if !other.is_alphabetic() && other != '.' => Place::Text(c),
                        _ => {
                            return exec_err!(
                                "`{c}` in '{pattern}' is no part of a number; there are 9 0 . , D G S MI PL SG PR L FM"
                            );
                        }
                    };
                    read.places.push(place);
                }
            }
            rest = &rest[length..];
        }
        if read.whole + usize::from(read.fraction) == 0 || read.fraction > 30 {
            return exec_err!("'{pattern}' has no place for a digit; write 'FM999,990.00'");
        }
        Ok(read)
    }

    /// Writes a number that has as many digits behind the point as the pattern.
    pub(super) fn put(&self, number: i128) -> String {
        let fraction = usize::from(self.fraction);
        let digits = format!("{:0>1$}", number.unsigned_abs(), fraction + 1);
        let (whole, behind) = digits.split_at(digits.len() - fraction);
        let whole = whole.trim_start_matches('0');
        let is_too_long = whole.len() > self.whole;
        let missing = self.whole.saturating_sub(whole.len());
        let is_negative = number < 0;
        let first_zero = self.first_zero();
        let own_sign = if self.has_sign { None } else { Some(if is_negative { '-' } else { ' ' }) };
        let (mut written, mut at, mut place_behind, mut is_behind) = (String::new(), 0, 0, false);
        let mut sign = own_sign;
        let mut begun = false;
        for place in &self.places {
            match place {
                Place::Digit { .. } if is_behind => {
                    written.push(if is_too_long { '#' } else { behind.as_bytes()[place_behind].into() });
                    place_behind += 1;
                }
                Place::Digit { .. } => {
                    let shown = is_too_long || at >= missing.min(first_zero);
                    if shown {
                        begun = true;
                        written.extend(sign.take());
                        written.push(match at.checked_sub(missing) {
                            _ if is_too_long => '#',
                            Some(digit) => whole.as_bytes()[digit].into(),
                            None => '0',
                        });
                    } else {
                        written.push(' ');
                    }
                    at += 1;
                }
                Place::Group => written.push(if begun { ',' } else { ' ' }),
                Place::Point => {
                    written.extend(sign.take());
                    written.push('.');
                    is_behind = true;
                }
                Place::Sign => written.push(if is_negative { '-' } else { '+' }),
                Place::Minus => written.push(if is_negative { '-' } else { ' ' }),
                Place::Plus => written.push(if is_negative { ' ' } else { '+' }),
                Place::Text(text) => written.push(*text),
            }
        }
        if let Some(sign) = sign {
            written.push(sign);
        }
        if self.is_short {
            if is_behind && !is_too_long {
                written = self.without_last_zeros(written);
            }
            written.retain(|c| c != ' ');
        }
        match (self.in_brackets, is_negative) {
            (true, true) => format!("<{}>", written.trim_start()),
            (true, false) if !self.is_short => format!(" {written} "),
            _ => written,
        }
    }

    /// The first place in front of the point that always has a digit: the last, where nothing is behind it.
    fn first_zero(&self) -> usize {
        let whole = self.places.iter().take_while(|place| **place != Place::Point);
        let mut digits = whole.filter(|place| matches!(place, Place::Digit { .. }));
        let zero = digits.position(|place| *place == Place::Digit { is_zero: true });
        let last = if self.fraction == 0 { self.whole.saturating_sub(1) } else { self.whole };
        zero.unwrap_or(last)
    }

    /// Without the zeros at the end that stand in places of `9`.
    fn without_last_zeros(&self, mut written: String) -> String {
        let last_zero = self.places.iter().rposition(|place| *place == Place::Digit { is_zero: true });
        let ends = self.places.iter().rev();
        let removable = ends
            .enumerate()
            .take_while(|(back, place)| {
                let at = self.places.len() - 1 - back;
                **place == Place::Digit { is_zero: false } && last_zero.is_none_or(|zero| at > zero)
            })
            .count();
        for _ in 0..removable {
            if !written.ends_with('0') {
                break;
            }
            written.pop();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postgres_does() {
        for (number, pattern, wanted) in [
            (123_450, "FM999,999.00", "1,234.50"),
            (12, "9999", "   12"),
            (-12, "9999", "  -12"),
            (12, "0000", " 0012"),
            (50, "9.99", "  .50"),
            (50, "FM990.00", "0.50"),
            (50, "FM0.99", "0.5"),
            (-12, "S99", "-12"),
            (12, "99S", "12+"),
            (-12, "99MI", "12-"),
            (-12, "99PR", "<12>"),
            (12345, "999", " ###"),
            (1_234_567, "FM9,999,999", "1,234,567"),
            (5, "FM$9", "$5"),
            (0, "99", "  0"),
        ] {
            let read = Pattern::read(pattern).unwrap();
            let told = read.put(number);
            assert_eq!(told, wanted, "{number} by {pattern}");
        }
        assert!(Pattern::read("abc").is_err());
        assert!(Pattern::read("").is_err());
    }
}
