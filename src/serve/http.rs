//! Is the server there, is it ready, and how is it doing?
//!
//! `/healthz`, `/readyz` and `/metrics`, for whoever starts programs and watches them. Nothing of the lake is told here, and
//! nobody is asked who they are; so it listens at an address of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::endpoint::Endpoint;

/// Bytes of a request at most.
const LARGEST: usize = 8 << 10;

/// How long a request, and its answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at once. Whoever connects and says nothing has one until its patience is over.
const AT_ONCE: usize = 1024;

/// Answers that are worked out at once.
const ANSWERS: usize = 8;

/// Answers until it is dropped.
pub(super) async fn watch(endpoint: Arc<Endpoint>, listener: TcpListener) {
    let (turns, answers) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(ANSWERS)));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (endpoint, answers) = (Arc::clone(&endpoint), Arc::clone(&answers));
                tokio::spawn(async move {
                    let _turn = turn;
                    drop(tokio::time::timeout(PATIENCE, answer(&endpoint, &answers, stream)).await);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer(endpoint: &Endpoint, answers: &Semaphore, mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= LARGEST || stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let _turn = answers.acquire().await;
    let line =
        String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/healthz") => ("200 OK", "ok\n".to_owned()),
        ("GET" | "HEAD", "/readyz") => match ready(endpoint).await {
            Ok(()) => ("200 OK", "ready\n".to_owned()),
            Err(because) => ("503 Service Unavailable", format!("{because}\n")),
        },
        ("GET" | "HEAD", "/metrics") => {
            let release = endpoint.lakehouse.releases(1).await.ok();
            let release = release.and_then(|found| found.first().map(|release| release.number.0));
            ("200 OK", endpoint.told_metrics(release) + &endpoint.told_runs().await)
        }
        ("GET" | "HEAD", _) => ("404 Not Found", "there are /healthz, /readyz and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Whether statements are taken, and the lake can be read.
async fn ready(endpoint: &Endpoint) -> Result<(), String> {
    if endpoint.closing.load(Ordering::Relaxed) {
        return Err("the server is stopping".to_owned());
    }
    if let Some(taken) = endpoint.workers.taken_for_long() {
        return Err(format!(
            "{} statements run, and none ended within {} s\nhelp: ask again later, or start the server with a higher `--max-queries`",
            endpoint.workers.limits.running,
            taken.as_secs()
        ));
    }
    let look = async || {
        let newest =
            endpoint.lakehouse.releases(1).await.map_err(|_| "the lake cannot be read".to_owned())?;
        endpoint.still_the_lake(newest.first().map(|release| release.number))
    };
    // A release that came while this one was read was seen by somebody else.
    if look().await.is_err() { look().await } else { Ok(()) }
}
