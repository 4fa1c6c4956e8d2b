//! What if an answer is longer than the screen?
//!
//! It goes to a pager: `$ELT_PAGER`, `$PAGER`, `less`, or one of our own that waits for Enter. An answer that fits is
//! printed as it is, so the beginning is held back until it is known to be too long.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustyline::DefaultEditor;

/// When answers are paged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Paging {
    /// Whether at all.
    pub(super) is_on: bool,
    /// The program to page with; our own pager if nothing.
    pub(super) program: Option<String>,
}

impl Paging {
    /// As the environment has it: an empty `PAGER`, or `cat`, is none.
    pub(super) fn of(env: &BTreeMap<String, String>) -> Self {
        let named = ["ELT_PAGER", "PAGER"].iter().find_map(|name| env.get(*name));
        let program = match named.map(|name| name.trim()) {
            Some("" | "cat") => return Self { is_on: false, program: None },
            Some(program) => Some(program.to_owned()),
            None => is_there("less", env).then(|| "less".to_owned()),
        };
        Self { is_on: true, program }
    }
}

impl std::fmt::Display for Paging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.is_on, &self.program) {
            (false, _) => f.write_str("off"),
            (true, Some(program)) => write!(f, "on, with {program}"),
            (true, None) => f.write_str("on, with Enter"),
        }
    }
}

fn is_there(program: &str, env: &BTreeMap<String, String>) -> bool {
    let folders = env.get("PATH").map_or("", String::as_str);
    std::env::split_paths(folders).any(|folder| folder.join(program).is_file())
}

/// Holds text back until it is known whether it fits the screen.
pub(super) struct Pager<'a> {
    out: &'a mut (dyn Write + Send),
    program: Option<String>,
    height: usize,
    width: usize,
    state: State,
}

enum State {
    /// So much was written, in so many lines of the screen.
    Held { text: Vec<u8>, lines: usize, column: usize },
    /// Another program shows it.
    Program { child: Child, stdin: Option<ChildStdin> },
    /// Ours shows it: so many lines of this screenful.
    Own { lines: usize, line: Vec<u8>, has_enough: bool },
}

impl<'a> Pager<'a> {
    /// Pages what goes to `out`, a screen of `height` lines and `width` columns.
    pub(super) fn new(out: &'a mut (dyn Write + Send), paging: &Paging, height: usize, width: usize) -> Self {
        let state = State::Held { text: Vec::new(), lines: 0, column: 0 };
        Self { out, program: paging.program.clone(), height, width, state }
    }

    /// Shows what was held back, and waits until a pager was left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Held { text, .. } => {
                let text = std::mem::take(text);
                self.out.write_all(&text)?;
                self.out.flush()
            }
            State::Program { child, stdin } => {
                drop(stdin.take());
                child.wait().map(drop)
            }
            State::Own { line, has_enough, .. } => {
                let line = std::mem::take(line);
                if !*has_enough {
                    self.out.write_all(&line)?;
                }
                self.out.flush()
            }
        }
    }

    /// Begins to page, with what was held back.
    fn begin(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(program) = &self.program {
            let mut command = Command::new("sh");
            command.arg("-c").arg(program).stdin(Stdio::piped());
            // What psql and git ask of it: colours, whole lines, no questions where all fits.
            command.env("LESS", "FRSX").env("LESSCHARSET", "utf-8");
            if let Ok(mut child) = command.spawn() {
                let stdin = child.stdin.take();
                self.state = State::Program { child, stdin };
                return self.write_all(text);
            }
        }
        self.state = State::Own { lines: 0, line: Vec::new(), has_enough: false };
        self.write_all(text)
    }
}

impl Write for Pager<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Held { text, lines, column } => {
                text.extend_from_slice(bytes);
                for c in String::from_utf8_lossy(bytes).chars() {
                    if c == '\n' {
                        *lines += 1;
                        *column = 0;
                    } else {
                        *column += 1;
                        if *column > self.width {
                            *lines += 1;
                            *column = 1;
                        }
                    }
                }
                // The prompt takes the last line.
                if *lines >= self.height {
                    let text = std::mem::take(text);
                    self.begin(&text)?;
                }
            }
            State::Program { stdin, .. } => {
                let Some(open) = stdin else { return Err(io::ErrorKind::BrokenPipe.into()) };
                open.write_all(bytes)?;
            }
            State::Own { lines, line, has_enough } => {
                for byte in bytes {
                    line.push(*byte);
                    if *byte != b'\n' {
                        continue;
                    }
                    if *has_enough {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    let shown = line.len().div_ceil(self.width.max(1)).max(1);
                    if *lines + shown >= self.height {
                        self.out.flush()?;
                        *lines = 0;
                        *has_enough = !goes_on();
                        if *has_enough {
                            return Err(io::ErrorKind::BrokenPipe.into());
                        }
                    }
                    *lines += shown;
                    self.out.write_all(line)?;
                    line.clear();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Program { stdin: Some(stdin), .. } => stdin.flush(),
            _ => Ok(()),
        }
    }
}

impl Drop for Pager<'_> {
    fn drop(&mut self) {
        if let State::Program { child, stdin } = &mut self.state {
            drop(stdin.take());
            let _ = child.wait(); // the terminal is not ours before
        }
    }
}

/// Asks whether more is wanted.
fn goes_on() -> bool {
    let Ok(mut editor) = DefaultEditor::new() else { return true };
    match editor.readline("-- more: Enter, or q --") {
        Ok(answer) => !answer.trim().eq_ignore_ascii_case("q"),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(text: &str, height: usize, program: &str) -> String {
        let mut out = Vec::new();
        let paging = Paging { is_on: true, program: Some(program.to_owned()) };
        let mut pager = Pager::new(&mut out, &paging, height, 10);
        pager.write_all(text.as_bytes()).unwrap();
        pager.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_fits_is_printed_and_what_does_not_goes_to_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paged");
        let program = format!("cat > '{}'", file.display());
        assert_eq!(paged("a\nb\n", 3, &program), "a\nb\n");
        assert!(!file.exists());
        assert_eq!(paged("a\nb\nc\n", 3, &program), "");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\nb\nc\n");
        assert_eq!(paged("0123456789012\nb\n", 3, &program), "", "a wide line takes two of the screen");
    }

    #[test]
    fn the_environment_says_which_pager() {
        let of = |pairs: &[(&str, &str)]| {
            Paging::of(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
                .to_string()
        };
        assert_eq!(of(&[("PAGER", "more -d")]), "on, with more -d");
        assert_eq!(of(&[("PAGER", "more"), ("ELT_PAGER", "")]), "off");
        assert_eq!(of(&[("PAGER", "cat")]), "off");
        assert_eq!(of(&[("PATH", "/nowhere")]), "on, with Enter");
    }
}
