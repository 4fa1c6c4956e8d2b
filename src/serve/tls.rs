//! With which certificate is a connection encrypted?
//!
//! With the one that the files hold now: whoever renews certificates puts the new files in place, and no connection breaks. What
//! cannot be read, or does not belong together, leaves the certificate that there was, and the log says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::clients::locked;
use super::sockets::{Greeted, greeted};
use crate::base::{Error, Result};

/// The files of a certificate, all in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Those who vouch for clients. With it, who shows no certificate of theirs is not let in.
    pub client_ca: Option<PathBuf>,
}

/// How often it is looked whether the files have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The certificate, as the files have it.
pub(super) struct Certificates {
    files: Tls,
    /// What is spoken once it is encrypted.
    protocols: Vec<Vec<u8>>,
    known: Mutex<Known>,
}

struct Known {
    mark: Mark,
    looked: Instant,
    config: Arc<ServerConfig>,
}

type Mark = Vec<Option<(SystemTime, u64)>>;

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, or they do not belong together.
    pub(super) fn read(files: &Tls, protocols: &[&[u8]]) -> Result<Arc<Self>> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.to_vec()).collect();
        let known =
            Known { mark: mark(files), looked: Instant::now(), config: Arc::new(config(files, &protocols)?) };
        Ok(Arc::new(Self { files: files.clone(), protocols, known: Mutex::new(known) }))
    }

    /// How a connection that begins now is encrypted.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut known = locked(&self.known);
        if known.looked.elapsed() >= LOOK_AGAIN {
            known.looked = Instant::now();
            let now = mark(&self.files);
            if now != known.mark {
                known.mark = now;
                match config(&self.files, &self.protocols) {
                    Ok(config) => {
                        tracing::info!("the certificate has changed: {}", self.files.certificate.display());
                        known.config = Arc::new(config);
                    }
                    Err(error) => tracing::error!("the certificate is as it was: {error}"),
                }
            }
        }
        Arc::clone(&known.config)
    }

    /// The encrypted connections of a listener, each once HTTP/2 has begun on it.
    pub(super) fn encrypted(
        self: Arc<Self>,
        listener: TcpListener,
    ) -> impl futures::Stream<Item = io::Result<Greeted<TlsStream<TcpStream>>>> + Send {
        greeted(listener, move |stream| TlsAcceptor::from(self.current()).accept(stream))
    }
}

fn mark(files: &Tls) -> Mark {
    let paths = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    let found = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    paths.into_iter().flatten().map(found).collect()
}

fn config(files: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig> {
    let wrong = |what: String| {
        let help = "`--tls-cert` and `--tls-key` name a certificate and its key, `--tls-client-ca` those who vouch for clients, all as PEM";
        Error::user("elt::serve::tls", what, help)
    };
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))
    };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let read = read(path)?;
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read).collect();
        let found = found.map_err(|error| wrong(format!("{} is no PEM: {error}", path.display())))?;
        if found.is_empty() {
            return Err(wrong(format!("{} has no certificate", path.display())));
        }
        Ok(found)
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|error| wrong(format!("{} has no key: {error}", files.key.display())))?;
    // Two providers are in the tree, and rustls does not choose.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let begun = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let begun = match &files.client_ca {
        None => begun.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            begun.with_client_cert_verifier(
                verifier.map_err(|error| wrong(format!("{}: {error}", path.display())))?,
            )
        }
    };
    let config = begun.with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        wrong(format!("{} and {} do not fit: {error}", files.certificate.display(), files.key.display()))
    })?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}
