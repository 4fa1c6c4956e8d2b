//! How is a package had from a repository?
//!
//! Through the program `git`, as its user has set it up: with their keys, their proxies and their mirrors.

use std::path::Path;
use std::process::{Command, Stdio};

use super::error::PackageError;

/// The name for what a repository shows first.
pub(super) const HEAD: &str = "HEAD";

/// Takes one revision of a repository into a folder that is there and empty, and returns its commit.
///
/// Only that revision is fetched; of servers that do not give a commit by its name, all.
///
/// # Errors
/// [`PackageError::Git`] with what git said, [`PackageError::NoGit`] if there is none.
pub(super) fn check_out(url: &str, revision: &str, into: &Path) -> Result<String, PackageError> {
    let told = |said: String| PackageError::Git { url: url.to_owned(), revision: revision.to_owned(), said };
    if url.starts_with('-') || revision.starts_with('-') {
        return Err(told("an address or a revision cannot begin with `-`".to_owned()));
    }
    let git = |arguments: &[&str]| run(into, arguments)?.map_err(told);
    git(&["init", "--quiet"])?;
    let narrow = git(&["fetch", "--quiet", "--depth", "1", "--no-tags", url, revision]);
    let found = match narrow {
        Ok(_) => "FETCH_HEAD".to_owned(),
        Err(PackageError::NoGit { because }) => return Err(PackageError::NoGit { because }),
        Err(error) if looks_like_commit(revision) => {
            let all = git(&[
                "fetch",
                "--quiet",
                url,
                "+refs/heads/*:refs/elt/heads/*",
                "+refs/tags/*:refs/elt/tags/*",
            ]);
            match all {
                Ok(_) => revision.to_owned(),
                Err(_) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{found}^{{commit}}")])
        .map_err(|_| told("there is no such commit".to_owned()))?;
    git(&["checkout", "--quiet", "--detach", &commit])?;
    Ok(commit)
}

/// Whether it may be a commit, long or short.
fn looks_like_commit(revision: &str) -> bool {
    revision.len() >= 7 && revision.len() <= 64 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Runs git in a folder: what it wrote, or what it complained about.
fn run(folder: &Path, arguments: &[&str]) -> Result<Result<String, String>, PackageError> {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "advice.detachedHead=false",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "core.autocrlf=false",
    ]);
    // Nobody is there to answer; a repository that we stand in is not meant.
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").stdin(Stdio::null());
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| PackageError::NoGit { because: error.to_string() })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_look_like_commits() {
        assert!(
            looks_like_commit("b8f3a33") && looks_like_commit("b8f3a3348ce0ff8afc3aa4b9ade2123b00772473")
        );
        assert!(!looks_like_commit("1.0.0") && !looks_like_commit("main") && !looks_like_commit("abc"));
    }

    #[test]
    fn an_option_is_no_address() {
        let folder = tempfile::tempdir().unwrap();
        let told = check_out("--upload-pack=x", "main", folder.path()).unwrap_err().to_string();
        assert!(told.contains("cannot begin with"), "{told}");
    }
}
