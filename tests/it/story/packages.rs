//! Packages come from a hub, a repository, an archive, a folder; the lock file remembers which.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use elt::base::Unwatched;
use elt::lakehouse::{BuildRequest, DepsRequest, NewPackage, Origin};
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// A web server with a few files. What it does not have is not found.
struct Server {
    address: String,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (has, notes) = (Arc::clone(&files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
                let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                let body = has.lock().unwrap().get(&path).cloned();
                notes.lock().unwrap().push(path);
                let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
                let body = body.unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
            }
        });
        Self { address, files, asked }
    }

    fn put(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.to_owned(), body.into());
    }

    /// What was asked for since the last look.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Offers versions of `acme/NAME`: each with what it stands on, and the versions of dbt that it needs.
    fn offer(&self, name: &str, versions: &[(&str, &str, &str)]) {
        let mut all = serde_json::Map::new();
        for (version, packages, dbt) in versions {
            let packages: serde_json::Value = serde_json::from_str(packages).unwrap();
            let about = serde_json::json!({
                "name": name, "version": version, "packages": packages, "require_dbt_version": [dbt],
                "downloads": {"tarball": format!("https://codeload.invalid/{name}/{version}"), "format": "tgz"},
            });
            all.insert((*version).to_owned(), about);
            let macros = format!("{{% macro which_{name}() %}}'{version}'{{% endmacro %}}");
            let project = format!("name: {name}\nversion: {version}\n");
            self.put(&format!("{name}/{version}"), archive(&format!("{name}-{version}"), &project, &macros));
        }
        let document = serde_json::json!({"name": name, "namespace": "acme", "versions": all});
        self.put(&format!("api/v1/acme/{name}.json"), document.to_string());
        self.put("api/v1/index.json", r#"["acme/tools", "acme/dates"]"#);
    }

    /// Asks for packages here, and for archives here too.
    fn request(&self) -> DepsRequest {
        let mirrors = vec![("https://codeload.invalid/".to_owned(), self.address.clone())];
        DepsRequest { hub: Some(self.address.clone()), mirrors, ..DepsRequest::default() }
    }
}

fn archive(folder: &str, project: &str, macros: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in [("dbt_project.yml", project), ("macros/m.sql", macros)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{folder}/{path}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Installs, and tells what became of each package.
async fn deps(lake: &TestLake, request: &DepsRequest) -> String {
    let done = Box::pin(lake.open().install_packages(request, &Unwatched)).await;
    let told = match done {
        Err(error) => {
            let help = error
                .diagnostics()
                .iter()
                .filter_map(|one| Some(one.help()?.to_string()))
                .collect::<Vec<_>>();
            format!("{error} ({})", help.join("; "))
        }
        Ok(done) => {
            let report = done.report;
            let one = |one: &elt::lakehouse::InstalledPackage| {
                let newer = one.newer.as_ref().map(|newer| format!(", {newer} is newer")).unwrap_or_default();
                format!("{} {} {:?}{newer}", one.name, one.version, one.state)
            };
            let gone = report.removed.iter().map(|name| format!("{name} removed"));
            let lines = report.packages.iter().map(one).chain(gone).chain(report.notes.clone());
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    told.replace(&lake.path().display().to_string(), "FOLDER")
}

fn lock(lake: &TestLake) -> String {
    std::fs::read_to_string(lake.path().join("package-lock.yml")).unwrap_or_default()
}

#[tokio::test]
async fn versions_are_settled_for_everybody_and_the_lock_file_remembers() {
    let (lake, hub) = (TestLake::new(), Server::new());
    hub.offer(
        "tools",
        &[
            ("0.8.0", "[]", ""),
            ("0.9.1", "[]", ""),
            ("0.10.0", "[]", ">=9.0.0"),
            ("1.0.0", "[]", ""),
            ("2.0.0-rc1", "[]", ""),
        ],
    );
    hub.offer("dates", &[("1.0.0", r#"[{"package": "acme/tools", "version": [">=0.8.0", "<1.0.0"]}]"#, "")]);
    lake.write("packages.yml", "packages:\n  - package: acme/dates\n    version: ['>=1.0.0']\n");
    lake.write(
        "models/m.sql",
        "select {{ tools.which_tools() }} as tools, {{ dates.which_dates() }} as dates",
    );
    let first = deps(&lake, &hub.request()).await;
    lake.build().await;
    lake.sql("select * from m").await;
    assert_snapshot!(first, @"
    dates version 1.0.0 Installed
    tools version 0.9.1 Installed, 1.0.0 is newer
    ");
    assert_snapshot!(lake.story(), @"
    build: m view (no rows)
    build: release 1
    sql: 0.9.1 1.0.0
    ");
    assert_snapshot!(lock(&lake), @"
    packages:
      - name: dates
        package: acme/dates
        version: 1.0.0
      - name: tools
        package: acme/tools
        version: 0.9.1
    sha1_hash: 17b73754253784c7db78156009eafa777f554f3d
    ");

    // What is there is not asked for again, though the hub has something newer by now.
    hub.asked();
    hub.offer("tools", &[("0.9.2", "[]", ""), ("0.9.1", "[]", "")]);
    assert_snapshot!(deps(&lake, &hub.request()).await, @"
    dates version 1.0.0 UpToDate
    tools version 0.9.1 UpToDate
    ");
    assert_eq!(hub.asked(), Vec::<String>::new());
    // A folder that went comes back as it was locked.
    std::fs::remove_dir_all(lake.path().join("dbt_packages/tools")).unwrap();
    assert_snapshot!(deps(&lake, &hub.request()).await, @"
    dates version 1.0.0 UpToDate
    tools version 0.9.1 Installed, 0.9.2 is newer
    ");
    let upgrade = DepsRequest { upgrade: true, ..hub.request() };
    assert_snapshot!(deps(&lake, &upgrade).await, @"
    dates version 1.0.0 UpToDate
    tools version 0.9.2 Installed
    ");
    // Another list: the lock file is for the old one.
    lake.write("packages.yml", "packages:\n  - package: acme/tools\n    version: 0.9.1\n");
    assert_snapshot!(deps(&lake, &hub.request()).await, @"
    tools version 0.9.1 Installed, 0.9.2 is newer
    dates removed
    ");
}

#[tokio::test]
async fn why_no_version_will_do_is_told() {
    let (lake, hub) = (TestLake::new(), Server::new());
    hub.offer("tools", &[("0.9.0", "[]", ""), ("1.0.0", "[]", ">=9.0.0"), ("2.0.0-rc1", "[]", "")]);
    hub.offer("dates", &[("1.0.0", r#"[{"package": "acme/tools", "version": "<0.5.0"}]"#, "")]);
    let mut told = Vec::new();
    for list in [
        "[{package: acme/tools, version: '>=0.8.0'}, {package: acme/dates, version: 1.0.0}]",
        "[{package: acme/tools, version: 1.0.0}]",
        "[{package: acme/tools, version: '>1.0.0'}]",
        "[{package: acme/tools, version: latest}]",
        "[{package: dbt/tools, version: 1.0.0}]",
        "[{package: acme/tools}]",
    ] {
        lake.write("packages.yml", &format!("packages: {list}\n"));
        told.push(deps(&lake, &hub.request()).await.replace(&hub.address, "HUB/"));
    }
    assert_snapshot!(told.join("\n"), @"
    no version of `acme/tools` will do: >=0.8.0 (packages.yml), <0.5.0 (dates) (there are 2.0.0-rc1, 1.0.0, 0.9.0)
    no version of `acme/tools` will do: 1.0.0 (packages.yml) (1.0.0 needs dbt >=9.0.0 (`--no-version-check` takes it anyway))
    no version of `acme/tools` will do: >1.0.0 (packages.yml) (2.0.0-rc1 comes before a release (`install_prerelease: true` takes it))
    `latest` is no version of the package `acme/tools` (write `1.2.3`, or a bound such as `>=1.2.0`; several go in a list: `[\">=1.0.0\", \"<2.0.0\"]`)
    the package `dbt/tools` was not found: there is no HUB/api/v1/dbt/tools.json (did you mean `acme/tools`?)
    the package `acme/tools` has no version (add `version: 1.0.0`, or bounds: `version: [\">=1.0.0\", \"<2.0.0\"]`)
    ");
    assert_eq!(lock(&lake), "");
    let early = "packages: [{package: acme/tools, version: '>1.0.0', install_prerelease: true}]\n";
    lake.write("packages.yml", early);
    assert_snapshot!(deps(&lake, &hub.request()).await, @"tools version 2.0.0-rc1 Installed");
}

/// A repository with two packages, one at its top and one inside, each in two revisions.
fn repository(folder: &Path) {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]);
        command
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z");
        assert!(
            command.args(arguments).current_dir(folder).output().unwrap().status.success(),
            "{arguments:?}"
        );
    };
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        std::fs::write(folder.join(path), text).unwrap();
    };
    std::fs::create_dir_all(folder).unwrap();
    git(&["init", "--quiet"]);
    write("dbt_project.yml", "name: outer\n");
    write("inside/dbt_project.yml", "name: inner\n");
    write("inside/macros/m.sql", "{% macro inner() %}'old'{% endmacro %}");
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["tag", "v1"]);
    write("inside/macros/m.sql", "{% macro inner() %}'new'{% endmacro %}");
    git(&["commit", "--quiet", "-am", "two"]);
}

#[tokio::test]
async fn a_repository_is_taken_out_at_its_revision() {
    let lake = TestLake::new();
    let elsewhere = tempfile::tempdir().unwrap();
    repository(&elsewhere.path().join("tools.git"));
    let (url, host) = (format!("file://{}/", elsewhere.path().display()), "https://git.invalid/");
    let request = DepsRequest { mirrors: vec![(host.to_owned(), url.clone())], ..DepsRequest::default() };
    lake.write("models/m.sql", "select {{ inner.inner() }} as it");
    lake.write(
        "packages.yml",
        "packages: [{git: 'https://git.invalid/tools.git', revision: v1, subdirectory: inside}]\n",
    );
    let told = deps(&lake, &request).await;
    assert!(told.starts_with("inner revision "), "{told}");
    let commit = told.split(' ').nth(2).unwrap().to_owned();
    assert!(lock(&lake).contains(&format!("revision: {commit}")), "{}", lock(&lake));
    assert!(!lake.path().join("dbt_packages/inner/.git").exists());
    lake.build().await;
    lake.sql("select * from m").await;
    assert_snapshot!(lake.story(), @"
    build: m view (no rows)
    build: release 1
    sql: old
    ");
    // What is locked is got by its commit, long or short; what may move is worth a word.
    std::fs::remove_dir_all(lake.path().join("dbt_packages")).unwrap();
    assert!(deps(&lake, &request).await.ends_with("Installed"));
    for revision in [&commit[..8], &commit] {
        lake.write(
            "packages.yml",
            &format!("packages: [{{git: 'https://git.invalid/tools', revision: '{revision}'}}]\n"),
        );
        assert!(deps(&lake, &request).await.starts_with(&format!("outer revision {commit} ")));
    }
    let mut told = Vec::new();
    for list in [
        "[{git: 'https://git.invalid/tools.git'}]",
        "[{git: 'https://git.invalid/tools.git', revision: v9}]",
        "[{git: 'https://git.invalid/tools.git', subdirectory: ../..}]",
        "[{git: 'https://git.invalid/tools.git', revision: v1}, {git: 'https://git.invalid/tools', revision: main}]",
        "[{git: 'https://git.invalid/tools.git', revision: v1}, {local: other}]",
    ] {
        lake.write("other/dbt_project.yml", "name: outer\n");
        lake.write("packages.yml", &format!("packages: {list}\n"));
        let words = deps(&lake, &request).await;
        let words = words.lines().map(|line| if line.starts_with("outer") { "outer …" } else { line });
        told.push(words.collect::<Vec<_>>().join("\n").split(" (").next().unwrap().replace(&url, "URL/"));
    }
    assert_snapshot!(told.join("\n"), @"
    outer …
    https://git.invalid/tools.git is not pinned: HEAD may be something else tomorrow; give `revision:` a tag or a commit, or say `warn-unpinned: false`
    git did not get v9 of URL/tools.git: fatal: couldn't find remote ref v9
    https://git.invalid/tools.git at HEAD is no package: it has no folder ../..
    `https://git.invalid/tools.git` is asked for in several revisions: v1
    two packages are called `outer`: https://git.invalid/tools.git and other
    ");
}

#[tokio::test]
async fn archives_folders_and_what_somebody_put_there_go_side_by_side() {
    let (lake, hub) = (TestLake::new(), Server::new());
    hub.put("dist/tools.tar.gz", archive("x", "name: tools\n", ""));
    hub.put("dist/evil.tar.gz", "no archive");
    lake.write("other/dbt_project.yml", "name: other\n");
    lake.write("dbt_packages/dates/dbt_project.yml", "name: dates\n");
    lake.write(
        "dependencies.yml",
        &format!(
            "packages:\n  - tarball: {}dist/tools.tar.gz\n    name: tools\n  - local: other\n  - package: acme/dates\n    version: 1.0.0\n",
            hub.address
        ),
    );
    assert_snapshot!(deps(&lake, &hub.request()).await, @"
    tools tarball Installed
    other local Local
    dates as it is there Vendored
    ");
    assert!(!lock(&lake).contains("dates"), "{}", lock(&lake));
    lake.write(
        "packages.yml",
        &format!("packages: [{{tarball: '{}dist/evil.tar.gz', name: evil}}]\n", hub.address),
    );
    let told = deps(&lake, &hub.request()).await;
    assert!(told.contains("is no package"), "{told}");
    // The mistake took nothing away.
    assert!(lake.path().join("dbt_packages/tools/dbt_project.yml").exists());
    let left: Vec<_> = std::fs::read_dir(lake.path().join("dbt_packages")).unwrap().flatten().collect();
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn a_package_is_added_to_the_list() {
    let (lake, hub) = (TestLake::new(), Server::new());
    hub.offer("tools", &[("1.0.0", "[]", ""), ("1.1.0", "[]", "")]);
    let add = |text: &str| DepsRequest { add: Some(NewPackage::read(text, Origin::Hub)), ..hub.request() };
    assert_snapshot!(deps(&lake, &add("acme/tools@1.0.0")).await, @"tools version 1.0.0 Installed, 1.1.0 is newer");
    let only = DepsRequest { only_lock: true, ..add("acme/tools@1.1.0") };
    assert_snapshot!(deps(&lake, &only).await, @"tools version 1.1.0 Locked");
    let list = std::fs::read_to_string(lake.path().join("packages.yml")).unwrap();
    assert_snapshot!(list, @"
    packages:
      - package: acme/tools
        version: 1.1.0
    ");
    let installed = std::fs::read_to_string(lake.path().join("dbt_packages/tools/dbt_project.yml")).unwrap();
    assert!(installed.contains("1.0.0"), "the lock alone was written");
    // The address of the hub may stand in elt.yml.
    lake.write(
        "elt.yml",
        &format!("packages:\n  hub: {0}\n  mirrors:\n    https://codeload.invalid/: {0}\n", hub.address),
    );
    assert_snapshot!(deps(&lake, &DepsRequest::default()).await, @"tools version 1.1.0 Installed");
    lake.write("elt.yml", "packages: {hubb: x}\n");
    assert_snapshot!(deps(&lake, &DepsRequest::default()).await, @"`hubb` is not known under `packages:` (did you mean `hub`?)");
}

#[tokio::test]
async fn secrets_of_the_environment_are_not_written_down() {
    let (mut lake, hub) = (TestLake::new(), Server::new());
    hub.put("s3cret/tools.tar.gz", archive("x", "name: tools\n", ""));
    lake.set_env("DBT_ENV_SECRET_TOKEN", "s3cret");
    let list = |name: &str| {
        format!(
            "packages: [{{tarball: \"{}{{{{ env_var('DBT_ENV_SECRET_TOKEN') }}}}/{name}\", name: tools}}]\n",
            hub.address
        )
    };
    lake.write("packages.yml", &list("tools.tar.gz"));
    assert_snapshot!(deps(&lake, &hub.request()).await, @"tools tarball Installed");
    assert!(lock(&lake).contains("env_var") && !lock(&lake).contains("s3cret"), "{}", lock(&lake));
    assert_snapshot!(deps(&lake, &hub.request()).await, @"tools tarball UpToDate");
    lake.write("packages.yml", &list("gone.tar.gz"));
    let told = deps(&lake, &hub.request()).await;
    assert!(told.contains("*****/gone.tar.gz") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_project_says_which_dbt_it_needs() {
    let lake = TestLake::new();
    lake.write("models/m.sql", "select 1 as id");
    for needed in ["'>=1.5.0,<2.0.0'", "['>=1.5.0', '<2.0.0']", "'>=99.0.0'", "'what'"] {
        lake.write("dbt_project.yml", &format!("name: shop\nrequire-dbt-version: {needed}\n"));
        let built = lake.try_build(&BuildRequest::default()).await;
        lake.note(&format!("{needed}: {}", if built.is_ok() { "builds" } else { "is refused" }));
    }
    assert_snapshot!(lake.story(), @"
    build: m view (no rows)
    build: release 1
    '>=1.5.0,<2.0.0': builds
    build: up to date: m
    build: no release
    ['>=1.5.0', '<2.0.0']: builds
    build: This version of dbt is not supported with the 'shop' package: it needs dbt >=99.0.0, and elt builds projects of dbt 1.11.0
    '>=99.0.0': is refused
    build: `what` is no bound of versions; write it as `>=1.6.0`
    'what': is refused
    ");
}
