//! What does a `COPY` from or to the client order, and how are its lines written?

use std::fmt::Write as _;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// One that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// What gives its rows, or the columns that rows come for.
    pub(super) select: String,
    /// `insert into t (a, b)`; nothing where a query is copied.
    pub(super) insert: String,
    /// Whether rows come from the client.
    pub(super) comes: bool,
    pub(super) header: bool,
    is_csv: bool,
    delimiter: char,
    null: String,
    quote: char,
    escape: char,
}

impl Copy {
    /// Reads one; nothing for a COPY that is the lake's.
    ///
    /// # Errors
    /// What of it is not supported.
    pub(super) fn read(sql: &str) -> Option<Result<Self, String>> {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize().ok()?;
        let word = |token: &Token| match token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
            _ => String::new(),
        };
        let mut depth = 0_usize;
        let mut way = None;
        for (at, token) in tokens.iter().enumerate() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.checked_sub(1)?,
                _ if depth == 0 && ["from", "to"].contains(&word(token).as_str()) => {
                    way = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let way = way?;
        let comes = word(&tokens[way]) == "from";
        let mut rest = tokens[way + 1..].iter().filter(|token| !matches!(token, Token::Whitespace(_)));
        let place = word(rest.next()?);
        if place != if comes { "stdin" } else { "stdout" } {
            return None;
        }
        let what: String = tokens[1..way].iter().map(Token::to_string).collect();
        let what = what.trim();
        let mut copy = Self {
            select: String::new(),
            insert: String::new(),
            comes,
            header: false,
            is_csv: false,
            delimiter: '\t',
            null: "\\N".to_owned(),
            quote: '"',
            escape: '"',
        };
        if let Some(query) = what.strip_prefix('(').and_then(|query| query.strip_suffix(')')) {
            query.trim().clone_into(&mut copy.select);
        } else {
            let (table, columns) = match what.split_once('(') {
                Some((table, columns)) => (table.trim(), columns.trim_end_matches(')').trim()),
                None => (what, ""),
            };
            let list = if columns.is_empty() { "*" } else { columns };
            copy.select = format!("select {list} from {table}");
            copy.insert = match columns {
                "" => format!("insert into {table}"),
                columns => format!("insert into {table} ({columns})"),
            };
        }
        if comes && copy.insert.is_empty() {
            return Some(Err("rows are copied into a table, and not into a query".to_owned()));
        }
        let rest: Vec<&Token> = rest.collect();
        Some(copy.options(&rest, word).map(|()| copy))
    }

    fn options(&mut self, tokens: &[&Token], word: impl Fn(&Token) -> String) -> Result<(), String> {
        let (mut at, mut own) = (0, [None, None, None, None]);
        while at < tokens.len() {
            let name = word(tokens[at]);
            at += 1;
            let value = |at: usize| -> Option<String> {
                match tokens.get(at)? {
                    Token::SingleQuotedString(text) => Some(text.replace("''", "'")),
                    Token::EscapedStringLiteral(text) => {
                        Some(text.replace("\\t", "\t").replace("\\\\", "\\"))
                    }
                    token => Some(word(token)),
                }
            };
            match name.as_str() {
                "" | "with" | "as" => {}
                "csv" => self.is_csv = true,
                "text" => self.is_csv = false,
                "format" => {
                    match value(at).as_deref() {
                        Some("csv") => self.is_csv = true,
                        Some("text") => self.is_csv = false,
                        other => {
                            let other = other.unwrap_or_default();
                            return Err(format!("the format `{other}` is not supported, text and csv are"));
                        }
                    }
                    at += 1;
                }
                "header" => {
                    let said = value(at).filter(|said| {
                        ["true", "on", "1", "false", "off", "0", "match"].contains(&said.as_str())
                    });
                    self.header = !said.as_deref().is_some_and(|said| ["false", "off", "0"].contains(&said));
                    at += usize::from(said.is_some());
                }
                "encoding" => {
                    let said = value(at).unwrap_or_default().to_lowercase();
                    if !["utf8", "utf-8", "unicode"].contains(&said.as_str()) {
                        return Err(format!("the encoding `{said}` is not supported: send UTF-8"));
                    }
                    at += 1;
                }
                "delimiter" | "null" | "quote" | "escape" => {
                    if tokens.get(at).is_some_and(|token| word(token) == "as") {
                        at += 1;
                    }
                    let place =
                        ["delimiter", "null", "quote", "escape"].iter().position(|known| *known == name);
                    own[place.unwrap_or(0)] = value(at);
                    at += 1;
                }
                other => return Err(format!("the option `{other}` of COPY is not supported: leave it out")),
            }
        }
        if self.is_csv {
            (self.delimiter, self.null) = (',', String::new());
        }
        let [delimiter, null, quote, escape] = own;
        let one = |text: Option<String>, known: char| match text
            .as_deref()
            .map(|text| (text, text.chars().count()))
        {
            None => Ok(known),
            Some((text, 1)) => Ok(text.chars().next().unwrap_or(known)),
            Some((text, _)) => Err(format!("`{text}` is not one letter")),
        };
        self.delimiter = one(delimiter, self.delimiter)?;
        self.quote = one(quote, self.quote)?;
        self.escape = one(escape, self.quote)?;
        self.null = null.unwrap_or_else(|| self.null.clone());
        Ok(())
    }

    /// A line of these cells, with its end.
    pub(super) fn line(&self, cells: &[Option<String>]) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                line.push(self.delimiter);
            }
            match cell {
                None => line.push_str(&self.null),
                Some(text) if self.is_csv => self.quoted(&mut line, text),
                Some(text) => {
                    for letter in text.chars() {
                        match letter {
                            '\\' => line.push_str("\\\\"),
                            '\n' => line.push_str("\\n"),
                            '\r' => line.push_str("\\r"),
                            '\t' => line.push_str("\\t"),
                            letter if letter == self.delimiter => {
                                let _ = write!(line, "\\{letter}");
                            }
                            letter => line.push(letter),
                        }
                    }
                }
            }
        }
        line.push('\n');
        line
    }

    fn quoted(&self, line: &mut String, text: &str) {
        let is_special = |letter: char| {
            letter == self.delimiter || letter == self.quote || letter == '\n' || letter == '\r'
        };
        // What looks like a null, or like the end, and is none, has quotes.
        if !(text.contains(is_special) || text == self.null || text == "\\.") {
            line.push_str(text);
            return;
        }
        line.push(self.quote);
        for letter in text.chars() {
            if letter == self.quote || letter == self.escape {
                line.push(self.escape);
            }
            line.push(letter);
        }
        line.push(self.quote);
    }

    /// The rows of a text.
    ///
    /// # Errors
    /// It ends within quotes.
    pub(super) fn rows(&self, text: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let mut rows = match self.is_csv {
            true => self.csv_rows(text)?,
            false => text.lines().take_while(|line| *line != "\\.").map(|line| self.text_row(line)).collect(),
        };
        if self.header && !rows.is_empty() {
            rows.remove(0);
        }
        Ok(rows)
    }

    fn text_row(&self, line: &str) -> Vec<Option<String>> {
        // Where a cell ends is seen before its letters are read: a delimiter after a backslash ends none.
        let (mut cells, mut raw, mut letters) = (Vec::new(), String::new(), line.chars());
        loop {
            match letters.next() {
                Some('\\') => {
                    raw.push('\\');
                    raw.extend(letters.next());
                }
                Some(letter) if letter != self.delimiter => raw.push(letter),
                end => {
                    cells.push((raw != self.null).then(|| unescaped(&raw)));
                    raw.clear();
                    if end.is_none() {
                        return cells;
                    }
                }
            }
        }
    }

    fn csv_rows(&self, text: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let (mut is_quoted, mut was_quoted) = (false, false);
        let mut letters = text.chars().peekable();
        let ended = |cell: &mut String, was_quoted: &mut bool| {
            let text = std::mem::take(cell);
            let is_null = text == self.null && !*was_quoted;
            *was_quoted = false;
            (!is_null).then_some(text)
        };
        while let Some(letter) = letters.next() {
            if is_quoted {
                let next = letters.peek().copied();
                if letter == self.escape && next.is_some_and(|next| next == self.quote || next == self.escape)
                {
                    cell.extend(letters.next());
                } else if letter == self.quote {
                    is_quoted = false;
                } else {
                    cell.push(letter);
                }
            } else if letter == self.quote {
                (is_quoted, was_quoted) = (true, true);
            } else if letter == self.delimiter {
                row.push(ended(&mut cell, &mut was_quoted));
            } else if letter == '\n' {
                if cell.ends_with('\r') && !was_quoted {
                    cell.pop();
                }
                if row.is_empty() && cell == "\\." && !was_quoted {
                    return Ok(rows);
                }
                row.push(ended(&mut cell, &mut was_quoted));
                rows.push(std::mem::take(&mut row));
            } else if letter != '\r' || letters.peek() != Some(&'\n') {
                cell.push(letter);
            }
        }
        if is_quoted {
            return Err(format!("row {} ends within quotes", rows.len() + 1));
        }
        if !(row.is_empty() && cell.is_empty() && !was_quoted) && cell != "\\." {
            row.push(ended(&mut cell, &mut was_quoted));
            rows.push(row);
        }
        Ok(rows)
    }
}

/// A cell as text has it, with its letters for what is after a backslash.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut letters = raw.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => text.push(letter),
            _ => text.push(match letters.next() {
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('v') => '\u{b}',
                Some(other) => other,
                None => '\\',
            }),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Copy {
        Copy::read(sql).unwrap().unwrap()
    }

    #[test]
    fn what_is_copied_is_told_from_the_lakes_own_copies() {
        let copy = read("copy main.t (a, \"B c\") from stdin with (format csv, header, null 'x')");
        assert_eq!(copy.select, "select a, \"B c\" from main.t");
        assert_eq!(copy.insert, "insert into main.t (a, \"B c\")");
        assert!(copy.comes && copy.header && copy.is_csv && copy.delimiter == ',' && copy.null == "x");
        let copy = read("COPY (select 'to', f(1) from t) TO STDOUT CSV DELIMITER AS ';'");
        assert_eq!(copy.select, "select 'to', f(1) from t");
        assert!(!copy.comes && copy.delimiter == ';');
        assert_eq!(Copy::read("copy t to 'a.parquet'"), None);
        assert_eq!(Copy::read("copy into t from 'a.csv'"), None);
        assert!(Copy::read("copy t to stdout (format binary)").unwrap().is_err());
        assert!(Copy::read("copy t to stdout (freeze)").unwrap().is_err());
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let cells =
            |cells: &[Option<&str>]| cells.iter().map(|cell| cell.map(str::to_owned)).collect::<Vec<_>>();
        let rows = vec![
            cells(&[Some("a,b"), Some("c\"d\\e"), None, Some("")]),
            cells(&[Some("x\ty\nz"), Some("\\N"), Some("\\."), Some("'")]),
        ];
        for sql in ["copy t to stdout", "copy t to stdout csv", "copy t to stdout (delimiter '|', null '-')"]
        {
            let copy = read(sql);
            let text: String = rows.iter().map(|row| copy.line(row)).collect();
            assert_eq!(copy.rows(&text).unwrap(), rows, "{sql}: {text}");
        }
        let csv = read("copy t from stdin csv header");
        assert_eq!(
            csv.rows("a,b\r\n1,\r\n\"\",2").unwrap(),
            [cells(&[Some("1"), None]), cells(&[Some(""), Some("2")])]
        );
        assert!(csv.rows("a\n\"1").is_err());
    }
}
