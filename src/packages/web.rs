//! How is something had from a web server?

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::PackageError;

/// How often a server is asked that does not answer.
const ATTEMPTS: u32 = 4;

/// How long a server may take to begin, and between two pieces.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long somebody is waited for altogether who is only told something: work waits for it.
const TELLING: Duration = Duration::from_secs(10);

/// The time before somebody is told again, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// The most that an archive may hold, packed: nobody's macros are as big.
const MOST: u64 = 512 * 1024 * 1024;

/// Asks web servers.
#[derive(Clone, Debug)]
pub(super) struct Web {
    client: reqwest::Client,
}

/// Why an attempt failed: whether another one may do better, and the words.
struct Failed {
    again: bool,
    absent: bool,
    because: String,
}

impl Web {
    pub(super) fn new() -> Result<Self, PackageError> {
        let builder = reqwest::Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE);
        let client = builder.user_agent(concat!("elt/", env!("CARGO_PKG_VERSION"))).build();
        let unreachable = |error: reqwest::Error| PackageError::Unreachable {
            url: "the web".to_owned(),
            because: error.to_string(),
        };
        Ok(Self { client: client.map_err(unreachable)? })
    }

    /// A document; nothing if the server says that there is none.
    pub(super) async fn document(&self, url: &str) -> Result<Option<Value>, PackageError> {
        let Some(bytes) = self.bytes(url).await? else { return Ok(None) };
        let unreadable = |error: serde_json::Error| PackageError::Unreachable {
            url: url.to_owned(),
            because: format!("the answer is no JSON: {error}"),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// Copies what is at `url` to a file.
    pub(super) async fn file(&self, url: &str, to: &Path, what: &str) -> Result<(), PackageError> {
        let Some(bytes) = self.bytes(url).await? else {
            return Err(PackageError::NotFound { what: what.to_owned(), url: url.to_owned(), help: None });
        };
        std::fs::write(to, bytes).map_err(|because| PackageError::Files { path: to.to_owned(), because })
    }

    async fn bytes(&self, url: &str) -> Result<Option<Vec<u8>>, PackageError> {
        let mut attempt = 1;
        loop {
            match self.attempt(url).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(failed) if failed.absent => return Ok(None),
                Err(failed) if failed.again && attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
                    attempt += 1;
                }
                Err(failed) => {
                    return Err(PackageError::Unreachable { url: url.to_owned(), because: failed.because });
                }
            }
        }
    }

    async fn attempt(&self, url: &str) -> Result<Vec<u8>, Failed> {
        let failed = |error: reqwest::Error| Failed {
            again: !error.is_builder() && !error.is_redirect(),
            absent: false,
            because: in_full(&error.without_url()),
        };
        let mut answer = self.client.get(url).send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Failed {
                again: status.is_server_error() || status.as_u16() == 429,
                absent: matches!(status.as_u16(), 404 | 410),
                because: format!("the server says {status}"),
            });
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > MOST {
                let because = format!("it is larger than {} MB", MOST / 1024 / 1024);
                return Err(Failed { again: false, absent: false, because });
            }
        }
        Ok(bytes)
    }
}

/// Sends a document to a web server, and once more if it does not answer. Headers are given as they are.
///
/// # Errors
/// Why it did not arrive, in words that do not tell the address: it may be a secret.
pub async fn post_json(url: &str, document: &Value, headers: &[(&str, String)]) -> Result<(), String> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    post_again(url, document, &headers, 1).await
}

/// The same for somebody who is to be told, again and again if that may help, for ten seconds at most.
///
/// # Errors
/// Why it did not arrive.
pub async fn post_json_again(url: &str, document: &Value) -> Result<(), String> {
    post_again(url, document, &[], u32::MAX).await
}

/// Sends a document, and again so often at most, all of it within [`TELLING`].
async fn post_again(
    url: &str,
    document: &Value,
    headers: &[(String, String)],
    mut again: u32,
) -> Result<(), String> {
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        let rest = TELLING.saturating_sub(begun.elapsed());
        let because = match post(url, document, headers, rest).await {
            Ok(()) => return Ok(()),
            Err((false, because)) => return Err(because),
            Err((true, because)) => because,
        };
        if again == 0 || begun.elapsed() + pause >= TELLING {
            return Err(because);
        }
        tokio::time::sleep(pause).await;
        (pause, again) = (pause * 2, again - 1);
    }
}

/// The same, and only once.
///
/// # Errors
/// Why it did not arrive.
pub async fn post_json_once(url: &str, document: &Value, headers: &[(String, String)]) -> Result<(), String> {
    post(url, document, headers, TELLING).await.map_err(|(_, because)| because)
}

/// Sends a document; if it does not arrive, tells whether another try may help, and why.
async fn post(
    url: &str,
    document: &Value,
    headers: &[(String, String)],
    patience: Duration,
) -> Result<(), (bool, String)> {
    let web = Web::new().map_err(|error| (false, error.to_string()))?;
    let body = serde_json::to_vec(document).expect("a document is plain data");
    let mut asked = web.client.post(url).timeout(patience).body(body);
    asked = asked.header("content-type", "application/json");
    for (name, value) in headers {
        asked = asked.header(name, value);
    }
    match asked.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => {
            Err((answer.status().is_server_error(), format!("the server says {}", answer.status())))
        }
        Err(error) => Err((true, in_full(&error.without_url()))),
    }
}

/// An error with what caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    words.join(": ")
}
