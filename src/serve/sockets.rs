//! Is anybody there at the other end?
//!
//! A machine that loses its power says nothing: the system asks it now and then, and ends the connection when nothing comes back. Whoever
//! connects and does not begin to speak HTTP/2 is not waited for either; from then on HTTP/2 asks by itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::transport::server::Connected;

/// How long somebody who connects may take to begin.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// After so long without a word the system asks whether anybody is there, so often, and then gives up.
const ASKED: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// What HTTP/2 begins with.
const GREETING: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Has the system watch a connection, and send small messages at once.
pub(super) fn watched(stream: &TcpStream) {
    // Without either it works as well.
    drop(stream.set_nodelay(true));
    drop(SockRef::from(stream).set_tcp_keepalive(&ASKED));
}

/// The connections of a listener on which HTTP/2 has begun, after `agree` has made them what they are to be.
pub(super) fn greeted<S, F>(
    listener: TcpListener,
    agree: impl Fn(TcpStream) -> F + Send + 'static,
) -> impl futures::Stream<Item = io::Result<Greeted<S>>> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Too many files are open, for one: it passes.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            watched(&stream);
            let (agreed, sender) = (agree(stream), sender.clone());
            // Who takes long to begin keeps nobody else waiting.
            tokio::spawn(async move {
                let begun = async { Greeted::of(agreed.await?).await };
                match tokio::time::timeout(PATIENCE, begun).await {
                    Ok(Ok(stream)) => drop(sender.send(Ok(stream)).await),
                    Ok(Err(error)) => tracing::debug!("a connection did not begin: {error}"),
                    Err(_) => tracing::debug!("a connection took too long to begin"),
                }
            });
        }
    });
    futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// A connection on which HTTP/2 has begun.
pub(super) struct Greeted<S> {
    stream: S,
    /// How much of the greeting was handed on.
    told: usize,
}

impl<S: AsyncRead + Unpin> Greeted<S> {
    async fn of(mut stream: S) -> io::Result<Self> {
        // Letter by letter: whoever speaks something else is not waited for.
        for letter in GREETING {
            if stream.read_u8().await? != *letter {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP/2"));
            }
        }
        Ok(Self { stream, told: 0 })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &GREETING[self.told..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.told += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: Connected> Connected for Greeted<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn only_who_begins_is_let_go_on() {
        let (mut client, server) = duplex(64);
        client.write_all(GREETING).await.unwrap();
        client.write_all(b"more").await.unwrap();
        let mut begun = Greeted::of(server).await.unwrap();
        let mut read = vec![0; GREETING.len() + 4];
        begun.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [GREETING.as_slice(), b"more"].concat());

        let (mut client, server) = duplex(64);
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(Greeted::of(server).await.is_err());

        let (mut client, server) = duplex(64);
        client.write_all(b"PRI").await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), Greeted::of(server)).await;
        assert!(waited.is_err(), "what is no greeting yet may become one");
    }
}
