//! How does the server begin, and how does it end?

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::FutureExt as _;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::transport::Server as Transport;

use super::cache::Cache;
use super::clients::{Clients, new_token};
use super::endpoint::Endpoint;
use super::flight::Flight;
use super::http::watch;
use super::metrics::Metrics;
use super::sockets::greeted;
use super::statements::Statements;
use super::tls::{Certificates, Tls};
use super::transactions::Transactions;
use super::users::Users;
use super::workers::{ServeLimits, Workers};
use crate::base::{Error, ErrorKind, Result};
use crate::lakehouse::{Lakehouse, Role};

/// Bytes of a message that a client may send: some drivers send a table in one.
pub(super) const LARGEST_MESSAGE: usize = 256 << 20;

/// Where a server listens, and whom it lets in.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address; with port 0 the system picks one.
    pub listen: SocketAddr,
    /// The token that lets in.
    pub token: Token,
    /// What whoever has the token may do.
    pub role: Role,
    /// The certificate, if what is sent is to be encrypted.
    pub tls: Option<Tls>,
    /// How much at once, and how long.
    pub limits: ServeLimits,
    /// Where it tells whether it is ready, and how it is doing; nowhere if nothing.
    pub http: Option<SocketAddr>,
    /// Where it answers clients of PostgreSQL; nowhere if nothing.
    pub postgres: Option<SocketAddr>,
}

/// The token that lets in whoever shows it, under any name.
#[derive(Clone, Debug)]
pub enum Token {
    /// This one.
    Given(String),
    /// A new one.
    New,
    /// There is none: users have passwords.
    None,
}

/// A server that listens, and answers once it is run.
pub struct Server {
    endpoint: Arc<Endpoint>,
    listener: TcpListener,
    address: SocketAddr,
    token: Option<String>,
    certificates: Option<Arc<Certificates>>,
    http: Option<TcpListener>,
    postgres: Option<TcpListener>,
    /// The certificate for clients of PostgreSQL.
    postgres_certificates: Option<Arc<Certificates>>,
}

impl Server {
    /// Takes the address. Nobody is answered before [`Server::run`].
    ///
    /// # Errors
    /// The address is taken, or the certificate cannot be read.
    pub async fn bind(lakehouse: Lakehouse, options: ServeOptions) -> Result<Self> {
        let certificates =
            options.tls.as_ref().map(|files| Certificates::read(files, &[b"h2"])).transpose()?;
        let listener = listener(options.listen).await?;
        let http = match options.http {
            Some(address) => Some(self::listener(address).await?),
            None => None,
        };
        let postgres = match options.postgres {
            Some(_) if !cfg!(feature = "postgres") => return Err(without_postgres()),
            Some(address) => Some(self::listener(address).await?),
            None => None,
        };
        let of_postgres = options.tls.as_ref().filter(|_| postgres.is_some());
        let postgres_certificates =
            of_postgres.map(|files| Certificates::read(files, &[b"postgresql"])).transpose()?;
        let address = listener.local_addr().map_err(|error| cannot(options.listen, &error))?;
        let world = lakehouse.world().clone();
        let token = match options.token {
            Token::Given(token) => Some(token),
            Token::New => Some(new_token(&world)),
            Token::None => None,
        };
        let workers = Workers::new(options.limits).map_err(|error| {
            Error::user(
                "elt::serve::threads",
                format!("cannot start: {error}"),
                "free some memory or threads",
            )
        })?;
        let (stopped, _) = watch::channel(false);
        let users = Users::with(lakehouse.clone(), token.as_deref(), options.role, options.limits.per_user);
        let endpoint = Endpoint {
            clients: Clients::new(users, world, options.limits.life),
            lakehouse,
            statements: Arc::new(Statements::new()),
            transactions: Transactions::default(),
            workers,
            metrics: Metrics::new(),
            runs: tokio::sync::Mutex::default(),
            cache: Cache::new(options.limits.cache),
            declared: Mutex::default(),
            closing: AtomicBool::new(false),
            stopped,
            newest: AtomicU64::new(0),
        };
        Ok(Self {
            endpoint: Arc::new(endpoint),
            listener,
            address,
            token,
            certificates,
            http,
            postgres,
            postgres_certificates,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that lets in, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Where it tells whether it is ready, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where it answers clients of PostgreSQL, if it does.
    pub fn postgres_address(&self) -> Option<SocketAddr> {
        self.postgres.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.certificates.is_some()
    }

    /// How many statements are at work now.
    pub fn at_work(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let endpoint = Arc::downgrade(&self.endpoint);
        move || {
            let (running, _, idle) =
                endpoint.upgrade().map_or((0, 0, 0), |endpoint| endpoint.workers.at_work());
            running + idle
        }
    }

    /// Reads users and roles again each time that it is called, while the server lives.
    pub fn reloading(&self) -> impl Fn() + Send + Sync + 'static {
        let endpoint = Arc::downgrade(&self.endpoint);
        move || {
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint.clients.read_again();
            }
        }
    }

    /// Answers until `enough` has come; then takes nothing new, and leaves what is at work some time, or until `at_once`
    /// has come.
    pub async fn run(
        self,
        enough: impl Future<Output = ()> + Send,
        at_once: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        let Self { endpoint, listener, certificates, http, postgres, postgres_certificates, .. } = self;
        let failed = |error: tonic::transport::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Error::new(
                ErrorKind::Unavailable,
                crate::base::Diagnostic::error("elt::serve", format!("the server ended: {error} {cause}"))
                    .help("start it again"),
            )
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<FlightServiceServer<Flight>>().await;
        let flight = FlightServiceServer::new(Flight(Arc::clone(&endpoint)))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(usize::MAX);
        let mut transport = Transport::builder()
            .http2_adaptive_window(Some(true))
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            // Some drivers send long tokens and options of theirs in headers.
            .http2_max_header_list_size(64 << 10)
            .max_concurrent_streams(1024);
        let (stop, told) = oneshot::channel::<()>();
        let told = async {
            drop(told.await);
        };
        let router = transport.add_service(health_service).add_service(flight);
        let serving = match certificates {
            Some(certificates) => {
                router.serve_with_incoming_shutdown(Box::pin(certificates.encrypted(listener)), told).boxed()
            }
            None => {
                let incoming = Box::pin(greeted(listener, |stream| std::future::ready(Ok(stream))));
                router.serve_with_incoming_shutdown(incoming, told).boxed()
            }
        };
        // It goes on while statements at work are waited for, and ends with the rest.
        let mut watching = tokio::task::JoinSet::new();
        if let Some(http) = http {
            watching.spawn(watch(Arc::clone(&endpoint), http));
        }
        #[cfg(feature = "postgres")]
        if let Some(listener) = postgres {
            watching.spawn(super::postgres::serve(Arc::clone(&endpoint), listener, postgres_certificates));
        }
        #[cfg(not(feature = "postgres"))]
        drop((postgres, postgres_certificates));
        let mut serving = serving;
        tokio::select! {
            ended = &mut serving => return ended.map_err(failed),
            () = enough => {}
        }
        endpoint.closing.store(true, Ordering::Relaxed);
        health.set_not_serving::<FlightServiceServer<Flight>>().await;
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        drop(stop);
        let grace = endpoint.workers.limits.grace;
        tokio::select! {
            ended = &mut serving => return ended.map_err(failed),
            () = tokio::time::sleep(grace) => {}
            () = at_once => {}
        }
        endpoint.stopped.send_replace(true);
        // What was stopped says so; whoever does not listen to that is left.
        match tokio::time::timeout(Duration::from_secs(2), serving).await {
            Ok(ended) => ended.map_err(failed),
            Err(_) => Ok(()),
        }
    }
}

fn without_postgres() -> Error {
    Error::user(
        "elt::serve::postgres",
        "this elt was built without PostgreSQL's protocol",
        "build it with `cargo build --release --features postgres`",
    )
}

async fn listener(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot(address, &error))
}

fn cannot(address: SocketAddr, error: &std::io::Error) -> Error {
    let help = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program listens there: give another port, port 0 takes a free one"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "give an address of this machine: 127.0.0.1 for itself, 0.0.0.0 for all that it has"
        }
        std::io::ErrorKind::PermissionDenied => "ports below 1024 are the system's: give a higher one",
        _ => "give another address; port 0 takes a free one",
    };
    Error::user("elt::serve::listen", format!("cannot listen at {address}: {error}"), help)
}
