//! Does the code still have the shape that the map in `src/lib.rs` shows?
//!
//! Passes on a clean tree; names file and line for an arrow that points up, a library outside its
//! room, or a room that speaks to people without being a door.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room, and the rooms below it that it may use. Read it from the ground up.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("project", &["base"]),
    ("compile", &["base", "project"]),
    ("lake", &["base"]),
    ("table", &["base", "lake"]),
    ("release", &["base", "lake", "table"]),
    ("landing", &["base", "lake", "table"]),
    ("query", &["base", "lake", "table", "release", "landing"]),
    ("packages", &["base", "project"]),
    ("build", &["base", "compile", "table", "release", "query"]),
    (
        "lakehouse",
        &["base", "project", "compile", "lake", "table", "release", "query", "landing", "packages", "build"],
    ),
    ("repl", &["base", "lakehouse"]),
    ("serve", &["base", "lakehouse"]),
    ("cli", &["base", "lakehouse", "repl", "serve"]),
];

/// Libraries that one room only may name, so that an upgrade is one room's work.
const KEPT_IN: &[(&str, &str)] = &[
    ("deltalake::", "table"),
    ("roaring::", "table"),
    ("minijinja::", "compile"),
    ("croner::", "project"),
    ("rustyline::", "repl"),
    ("indicatif::", "cli"),
    ("argon2::", "lakehouse"),
    ("reqwest::", "packages"),
    ("tar::", "packages"),
    ("arrow_flight::", "serve"),
    ("tonic::", "serve"),
    ("hyper::", "serve"),
    ("hyper_util::", "serve"),
    ("prost::", "serve"),
    ("pgwire::", "serve"),
    ("arrow_pg::", "serve"),
    ("datafusion_pg_catalog::", "query"),
    ("clap::", "cli"),
];

/// What only doors may do.
const SPEAKING: &[&str] = &["println!", "print!", "eprintln!", "eprint!", "stdout()", "stderr()"];

/// What comes in through `main` alone, and what stands for it below.
const OUTSIDE: &[(&str, &str)] = &[
    ("SystemTime::now", "World::now"),
    ("Utc::now", "World::now"),
    ("Uuid::new_v4", "World::id"),
    ("std::env::var", "World::env"),
    ("env::vars", "World::env"),
    ("process::exit", "an Error and its kind"),
];

#[test]
fn rooms_use_only_what_stands_below_them() {
    let mut offences = Vec::new();
    for (room, below) in ROOMS {
        for (place, code) in code_lines(&Path::new("src").join(room)) {
            for used in code.split("crate::").skip(1).map(leading_word) {
                if used != *room && !below.contains(&used) {
                    offences.push(format!("{place}: `{room}` may not use `{used}`"));
                }
            }
            for (library, home) in KEPT_IN {
                if code.contains(library) && home != room {
                    offences.push(format!("{place}: `{library}` belongs in `{home}`"));
                }
            }
        }
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn only_the_doors_speak_and_only_main_knows_the_outside() {
    let mut offences = Vec::new();
    for (room, _) in ROOMS {
        for (place, code) in code_lines(&Path::new("src").join(room)) {
            if !["cli", "repl"].contains(room) {
                let spoken = SPEAKING.iter().filter(|word| code.contains(*word));
                offences.extend(spoken.map(|word| format!("{place}: `{word}` is for doors")));
            }
            let outside = OUTSIDE.iter().filter(|(word, _)| code.contains(word));
            offences.extend(outside.map(|(word, instead)| format!("{place}: `{word}`; use {instead}")));
        }
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let folders = fs::read_dir("src").expect("tests run in the package").flatten().map(|entry| entry.path());
    for folder in folders.filter(|path| path.is_dir()) {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("rooms have plain names");
        assert!(ROOMS.iter().any(|(room, _)| *room == name), "`src/{name}` is not in the table of rooms");
    }
}

/// Returns `file:line` and the code of every line under `dir`, comments and unit tests taken off.
fn code_lines(dir: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for file in rust_files(dir) {
        let text = fs::read_to_string(&file).expect("source files are readable");
        for (at, line) in text.lines().enumerate() {
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            lines.push((format!("{}:{}", file.display(), at + 1), code.to_owned()));
        }
    }
    lines
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("every room is a folder under src/");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("folder entries are readable").path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}

fn leading_word(rest: &str) -> &str {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}
