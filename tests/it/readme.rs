//! Does the README tell the truth?
//!
//! Every `console` block is typed into a shell, in order, in a folder with the bundled project. Each
//! line below a command must be a line of its output; `…` stands for anything.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command of the README, and the lines that it shows below it.
struct Shown {
    command: String,
    lines: Vec<String>,
}

fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => all.push(Shown { command: command.to_owned(), lines: Vec::new() }),
                None => all.last_mut().expect("a block begins with a command").lines.push(line.to_owned()),
            },
        }
    }
    all
}

/// Whether `line` is what `pattern` shows.
fn fits(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    let parts: Vec<&str> = pattern.split('…').collect();
    for (at, part) in parts.iter().enumerate() {
        let part = part.trim();
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(found) if at > 0 => rest = &rest[found + part.len()..],
            _ => return false,
        }
    }
    parts.len() > 1 || rest.is_empty()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("elt");
    for part in ["models", "sql", "tests/data"] {
        copy(Path::new(part), &project.join(part));
    }
    std::fs::copy("dbt_project.yml", project.join("dbt_project.yml")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_elt")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var_os("PATH").unwrap().to_string_lossy());

    let mut tried = 0;
    for Shown { command, lines } in shown(include_str!("../../README.md")) {
        // The commands that build the program are run by `.ci/run`, which this test is a part of.
        if command.starts_with("cargo ") {
            continue;
        }
        let output = Command::new("bash")
            .args(["-c", &command])
            .current_dir(&project)
            .env("PATH", &path)
            .env_remove("ELT_LAKE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let streams =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success(), "`{command}` failed:\n{said}");
        for line in &lines {
            let found =
                streams.iter().any(|stream| stream.lines().any(|said| fits(said.trim(), line.trim())));
            assert!(found, "`{command}` does not say\n  {line}\nbut:\n{said}");
        }
        tried += 1;
    }
    assert!(tried > 20, "only {tried} commands were found");
}

#[test]
fn a_shown_line_fits_or_does_not() {
    assert!(fits("built table a  3 rows  5 ms", "built table a …3 rows…"));
    assert!(fits("exactly", "exactly"));
    assert!(!fits("exactly so", "exactly"));
    assert!(!fits("nearly exactly", "exactly…"));
}
