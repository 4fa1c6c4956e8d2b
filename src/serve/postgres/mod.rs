//! The second door: PostgreSQL's protocol, for psql and for tools that speak no Flight SQL.
//!
//! The same users, rights, limits and statements as over Flight: only the words on the wire are others. What tools ask of
//! `pg_catalog` is answered of what the session sees. Passwords come in the clear, as PostgreSQL's clients send them to a server that keeps
//! hashes of another kind, so from elsewhere a connection has to be encrypted.
//!
//! Reading order: `talk` (a conversation), `entry` (how it begins), `prepared` (statements that are given values), `words` (what is about the
//! session alone), `savepoints`, `settled` (what is agreed on), `cancels`, `copying` (rows in lines), `values` (what clients send), `sent` (what they are sent), `lists` and
//! `numbers` (how these are written).

mod cancels;
mod copy_order;
mod copying;
mod entry;
mod lists;
mod mistakes;
mod numbers;
mod prepared;
mod savepoints;
mod sent;
mod settled;
mod talk;
mod values;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, DefaultClient, PgWireConnectionState, PgWireServerHandlers,
};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::response::TransactionStatus;
use pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

use super::endpoint::Endpoint;
use super::sockets::watched;
use super::tls::Certificates;
use cancels::Cancels;
use prepared::Prepared;
use talk::{Handlers, Known, Meaning, Talk};
use words::Own;

/// Connections at once.
const MOST: usize = 1_000;

/// How long a client may take until it is let in.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client asks for before anything else: `SSLRequest` and `GSSENCRequest`.
const ENCRYPTION: i32 = 80_877_103;
const KERBEROS: i32 = 80_877_104;

/// Answers until it is dropped.
pub(super) async fn serve(
    endpoint: Arc<Endpoint>,
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
) {
    let (turns, cancels) = (Arc::new(Semaphore::new(MOST)), Arc::new(Cancels::new()));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (endpoint, certificates, cancels) =
            (Arc::clone(&endpoint), certificates.clone(), Arc::clone(&cancels));
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = begin(endpoint, stream, peer, certificates, cancels).await {
                tracing::debug!("a connection of {peer} broke: {error}");
            }
        });
    }
}

/// Agrees on encryption, and answers one connection to its end.
async fn begin(
    endpoint: Arc<Endpoint>,
    mut stream: TcpStream,
    peer: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    cancels: Arc<Cancels>,
) -> std::io::Result<()> {
    watched(&stream);
    let encrypted = tokio::time::timeout(PATIENCE, wants_encryption(&mut stream, certificates.is_some()));
    match (encrypted.await.map_err(|_| std::io::ErrorKind::TimedOut)??, certificates) {
        (true, Some(certificates)) => {
            let accepted = TlsAcceptor::from(certificates.current()).accept(stream);
            let stream = tokio::time::timeout(PATIENCE, accepted)
                .await
                .map_err(|_| std::io::ErrorKind::TimedOut)??;
            converse(endpoint, stream, peer, true, cancels).await
        }
        _ => converse(endpoint, stream, peer, false, cancels).await,
    }
}

/// Reads what comes before the protocol itself. Returns whether the connection is encrypted from here on.
async fn wants_encryption(stream: &mut TcpStream, can: bool) -> std::io::Result<bool> {
    loop {
        let mut head = [0_u8; 8];
        let mut seen = stream.peek(&mut head).await?;
        if seen > 0 && head[0] == 0x16 {
            return Ok(can);
        }
        while seen < 8 {
            if seen == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            seen = stream.peek(&mut head).await?;
        }
        let code = i32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        if code != ENCRYPTION && code != KERBEROS {
            return Ok(false);
        }
        stream.read_exact(&mut head).await?;
        let is_yes = code == ENCRYPTION && can;
        stream.write_all(if is_yes { b"S" } else { b"N" }).await?;
        if is_yes {
            return Ok(true);
        }
    }
}

/// Whether a message goes back to a savepoint.
fn goes_back<C>(message: &PgWireFrontendMessage, client: &C) -> bool
where
    C: ClientPortalStore,
    C::PortalStore: PortalStore<Statement = Known>,
{
    match message {
        PgWireFrontendMessage::Query(query) => matches!(Own::read(&query.query), Some(Own::RollbackTo(_))),
        PgWireFrontendMessage::Execute(execute) => {
            let name = execute.name.as_deref().unwrap_or(DEFAULT_NAME);
            let portal = client.portal_store().get_portal(name);
            let portal = portal.as_ref().and_then(Entry::value);
            portal.is_some_and(|portal| {
                matches!(portal.statement.statement.meaning, Meaning::Own(Own::RollbackTo(_)))
            })
        }
        _ => false,
    }
}

async fn converse<S>(
    endpoint: Arc<Endpoint>,
    stream: S,
    peer: SocketAddr,
    is_encrypted: bool,
    cancels: Arc<Cancels>,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let mut stopped = endpoint.stopped.subscribe();
    let talk = Talk::begin(endpoint, is_encrypted || peer.ip().is_loopback(), cancels);
    let handlers = Handlers(Arc::clone(&talk));
    let client = DefaultClient::<<Prepared as pgwire::api::query::ExtendedQueryHandler>::Statement>::new(
        peer,
        is_encrypted,
    );
    let mut socket = Framed::new(stream, PgWireMessageServerCodec::new(client));
    socket.set_state(PgWireConnectionState::AwaitingStartup);
    let begun = tokio::time::Instant::now();
    loop {
        let is_let_in = !matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup | PgWireConnectionState::AuthenticationInProgress
        );
        let message = tokio::select! {
            message = socket.next() => message,
            () = tokio::time::sleep_until(begun + PATIENCE), if !is_let_in => None,
            _ = stopped.wait_for(|now| *now) => None,
            () = talk.ended.notified() => None,
        };
        let Some(Ok(message)) = message else { break };
        if matches!(message, PgWireFrontendMessage::Terminate(_)) {
            break;
        }
        // After a mistake nothing is listened to, but this.
        if socket.transaction_status() == TransactionStatus::Error && goes_back(&message, &socket) {
            socket.set_transaction_status(TransactionStatus::Transaction);
        }
        let is_extended = match socket.state() {
            PgWireConnectionState::CopyInProgress(is_extended) => is_extended,
            _ => message.is_extended_query(),
        };
        let done = process_message(
            message,
            &mut socket,
            Arc::clone(&talk),
            Arc::clone(&talk),
            Arc::new(Prepared(Arc::clone(&talk))),
            handlers.copy_handler(),
            handlers.cancel_handler(),
        );
        if let Err(error) = done.await {
            process_error(&mut socket, error, is_extended).await?;
        }
    }
    talk.leave();
    socket.close().await
}
