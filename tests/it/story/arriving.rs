//! Files that come in through other doors, or come later: standard input, web servers, and a folder that is followed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn elt(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(folder).env_remove("ELT_LAKE").stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn rows(folder: &Path, sql: &str) -> String {
    said(&elt(folder).args(["sql", "--format", "csv", "-c", sql]).output().unwrap())
}

fn piped(folder: &Path, text: &str) -> String {
    let arguments = ["land", "raw.t", "-", "-o", "format=csv"];
    let mut child = elt(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    said(&child.wait_with_output().unwrap())
}

#[test]
fn standard_input_is_a_file_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    assert!(piped(folder.path(), "id,city\n1,Oslo\n").contains("published release 1"));
    assert!(piped(folder.path(), "id,city\n1,Oslo\n").contains("already loaded"));
    assert!(piped(folder.path(), "id,city\n2,Rome\n").contains("published release 2"));
    assert_eq!(rows(folder.path(), "select id, city from raw.t order by id"), "id,city\n1,Oslo\n2,Rome\n");
}

/// Serves `text` at every path, until the test ends.
fn server(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let found = if request.contains("/gone") { "404 Not Found" } else { "200 OK" };
            let body = if request.starts_with("HEAD") { "" } else { text };
            let _ = write!(
                stream,
                "HTTP/1.1 {found}\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Tue, 01 Jan 2013 00:00:00 GMT\r\nConnection: close\r\n\r\n{body}",
                text.len()
            );
        }
    });
    port
}

#[test]
fn a_web_server_is_asked_once_for_each_edition_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let port = server("id,city\n1,Oslo\n");
    let land = |path: &str| {
        let url = format!("http://127.0.0.1:{port}/{path}");
        said(&elt(folder.path()).args(["land", "raw.t", &url]).output().unwrap())
    };
    let first = land("data/people.csv");
    assert!(first.contains("published release 1"), "{first}");
    assert!(land("data/people.csv").contains("already loaded"));
    assert!(land("data/gone.csv").contains("there is no file or folder"));
    let path = format!("http://127.0.0.1:{port}/data/people.csv");
    assert_eq!(
        rows(folder.path(), "select id, city, _file_path from raw.t"),
        format!("id,city,_file_path\n1,Oslo,{path}\n")
    );
}

#[test]
fn a_url_of_this_machine_and_a_store_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for n in 1..=2 {
        std::fs::write(folder.path().join(format!("in/{n}.csv")), format!("id\n{n}\n")).unwrap();
    }
    let url = format!("file://{}/in/*.csv", folder.path().display());
    let landed = said(&elt(folder.path()).args(["land", "raw.t", &url]).output().unwrap());
    assert!(landed.contains("published release 1"), "{landed}");
    assert_eq!(rows(folder.path(), "select id from raw.t order by id"), "id\n1\n2\n");
    let nowhere = elt(folder.path()).args(["land", "raw.t", "ftp://example.org/a.csv"]).output().unwrap();
    assert!(said(&nowhere).contains("cannot land from ftp://example.org/a.csv"), "{}", said(&nowhere));
    assert_eq!(nowhere.status.code(), Some(2));
}

/// Ends a child when the test is over, however it is over.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_followed_folder_is_landed_as_it_fills_and_ctrl_c_ends_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("1.csv"), "id\n1\n").unwrap();
    let arguments = ["land", "raw.t", "inbox", "--follow", "--interval", "0.2"];
    let child = elt(folder.path()).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Ended(child);
    let wait_for = |count: &str| {
        let begun = Instant::now();
        while rows(folder.path(), "select count(*) as n from raw.t") != format!("n\n{count}\n") {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {count} rows");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait_for("1");
    std::fs::write(inbox.join("2.csv"), "id\n2\n3\n").unwrap();
    wait_for("3");
    std::fs::copy(inbox.join("2.csv"), inbox.join("copy.csv")).unwrap();
    std::fs::write(inbox.join("3.csv"), "id\n4\n").unwrap();
    wait_for("4");
    let ended = Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert!(child.0.wait().unwrap().success());
    let mut told = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(
        told.contains("same bytes as") && told.ends_with("stopped; everything published is complete\n"),
        "{told}"
    );
    assert_eq!(
        rows(folder.path(), "select count(*) as n, count(distinct id) as ids from raw.t"),
        "n,ids\n4,4\n"
    );
}
