//! How does a browser read the site of a project?
//!
//! Over HTTP/1.1, file by file as they are on disk at that moment: who writes the site anew has only to reload the page. No
//! file is given away but those of the site and dbt's artifacts beside it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::sockets::{PATIENCE, watched};
use crate::base::{Error, Result};
use crate::lakehouse::{DOCS, SITE_FILES};

/// A server of the pages in a folder, that listens, and answers once it is run.
#[derive(Debug)]
pub struct PageServer {
    folder: Arc<Path>,
    listener: TcpListener,
    address: SocketAddr,
}

impl PageServer {
    /// Takes the address. Nobody is answered before [`PageServer::run`].
    ///
    /// # Errors
    /// There is no page in the folder, or the address cannot be taken.
    pub async fn bind(folder: &Path, listen: SocketAddr) -> Result<Self> {
        if !folder.join(SITE_FILES[0]).is_file() {
            let what = format!("there is no site in {}", folder.display());
            return Err(Error::user("elt::docs::no_site", what, "`elt docs generate` writes it"));
        }
        let cannot = |error: std::io::Error| {
            let what = format!("cannot listen at {listen}: {error}");
            let help = "another program may listen there: give another port, `--port 0` takes a free one";
            Error::user("elt::docs::listen", what, help)
        };
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { folder: folder.into(), listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `enough` has come.
    pub async fn run(self, enough: impl Future<Output = ()> + Send) {
        let is_local = self.address.ip().is_loopback();
        let mut enough = Box::pin(enough);
        loop {
            let accepted = tokio::select! {
                () = &mut enough => return,
                accepted = self.listener.accept() => accepted,
            };
            // One that went away before it was taken, or too many at once: the next one is waited for.
            let Ok((stream, _)) = accepted else { continue };
            let folder = Arc::clone(&self.folder);
            tokio::spawn(async move {
                let answer = service_fn(move |request: Request<Incoming>| {
                    let folder = Arc::clone(&folder);
                    async move { Ok::<_, Infallible>(answer(&folder, &request, is_local).await) }
                });
                watched(&stream);
                let mut http = http1::Builder::new();
                // Who does not go on asking is not waited for.
                http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
                    tracing::debug!("a browser went away: {error}");
                }
            });
        }
    }
}

/// What a request is answered with.
async fn answer(folder: &Path, request: &Request<Incoming>, is_local: bool) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    // A page from elsewhere whose name was made to mean this machine is not to read what is only for it.
    if is_local && !host.is_some_and(is_own_name) {
        return plain(StatusCode::FORBIDDEN, "this server answers at 127.0.0.1 and localhost alone\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "there is only something to read here\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let nothing = || plain(StatusCode::NOT_FOUND, "there is no such page; the site is at /\n");
    let Some(path) = file_of(request.uri().path()) else { return nothing() };
    let Ok(bytes) = tokio::task::spawn_blocking({
        let path = folder.join(&path);
        move || std::fs::read(path)
    })
    .await
    .expect("reading a file does not panic") else {
        return nothing();
    };
    let kind = match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "application/json",
    };
    respond(StatusCode::OK, kind, bytes.into())
}

/// Whether a browser that asks for this host means this machine.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The file below the folder that an address means; nothing if it is none that is given away.
fn file_of(path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix('/')?;
    if path.is_empty() {
        return Some(SITE_FILES[0].into());
    }
    let is_script = |name: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        name.strip_suffix(".js").is_some_and(|name| !name.is_empty() && name.chars().all(plain))
    };
    match path.split_once('/') {
        None => SITE_FILES.contains(&path).then(|| path.into()),
        Some((folder, name)) => (folder == DOCS && is_script(name)).then(|| path.into()),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_site_is_given_away() {
        let file = |path: &str| file_of(path).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(file("/").as_deref(), Some("index.html"));
        assert_eq!(file("/docs/code_12.js").as_deref(), Some("docs/code_12.js"));
        assert_eq!(file("/manifest.json").as_deref(), Some("manifest.json"));
        let others = [
            "",
            "/..",
            "/docs/../x.js",
            "/docs//x.js",
            "/docs/.made-by-elt",
            "/docs/.js",
            "/partial_parse.elt.json",
        ];
        for path in others.into_iter().chain(["//etc/passwd", "/compiled/shop/a.sql", "/docs/a/b.js"]) {
            assert_eq!(file(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_from_elsewhere_is_no_name_of_this_machine() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:80", "[::1]:8080"] {
            assert!(is_own_name(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com:80", "192.168.0.1", "127.0.0.1.example.com"] {
            assert!(!is_own_name(host), "{host}");
        }
    }
}
