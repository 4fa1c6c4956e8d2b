//! How is a query stopped from another connection?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::{ConnectionManager, RandomPidSecretKeyGenerator};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;

use super::talk::Talk;
use crate::lakehouse::{PgBackend, PgBackends};
use crate::serve::clients::locked;

/// By what a connection is stopped: its number, and its secret.
pub(super) type Key = (i32, Vec<u8>);

/// All connections, by what a client shows who wants to stop a query of another one.
pub(super) struct Cancels {
    pub(super) connections: Arc<ConnectionManager>,
    pub(super) ids: RandomPidSecretKeyGenerator,
    pub(super) talks: Mutex<HashMap<Key, (Weak<Talk>, SecretKey)>>,
}

impl Cancels {
    pub(super) fn new() -> Self {
        Self {
            connections: Arc::new(ConnectionManager::new()),
            ids: RandomPidSecretKeyGenerator::default(),
            talks: Mutex::default(),
        }
    }

    /// The connections of a user.
    fn of(&self, user: &str) -> Vec<(i32, SecretKey, Arc<Talk>)> {
        let talks = locked(&self.talks);
        let known = talks
            .iter()
            .filter_map(|((pid, _), (talk, secret))| Some((*pid, secret.clone(), talk.upgrade()?)));
        known.filter(|(_, _, talk)| talk.user().as_deref() == Some(user)).collect()
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        // The library stops what gives no rows yet; rows on their way are stopped as Flight's are.
        self.connections.cancel(request.pid, &request.secret_key).await;
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        let talk = locked(&self.talks).get(&key).and_then(|(talk, _)| talk.upgrade());
        if let Some(talk) = talk {
            talk.cancel();
        }
    }
}

/// The connections of a user, as one of them sees them.
pub(super) struct Backends {
    pub(super) cancels: Arc<Cancels>,
    pub(super) user: String,
    pub(super) own: i32,
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends").field("own", &self.own).finish_non_exhaustive()
    }
}

impl PgBackends for Backends {
    fn own(&self) -> i32 {
        self.own
    }

    fn all(&self) -> Vec<PgBackend> {
        let mut all: Vec<PgBackend> = self
            .cancels
            .of(&self.user)
            .into_iter()
            .map(|(pid, _, talk)| {
                let doing = locked(&talk.doing);
                PgBackend {
                    pid,
                    application: locked(&talk.application).clone(),
                    is_active: doing.is_active,
                    query: doing.sql.clone(),
                }
            })
            .collect();
        all.sort_by_key(|backend| backend.pid);
        all
    }

    fn stop(&self, pid: i32, ends: bool) -> bool {
        let found = self.cancels.of(&self.user).into_iter().find(|(known, _, _)| *known == pid);
        let Some((pid, secret, talk)) = found else { return false };
        let connections = Arc::clone(&self.cancels.connections);
        // In this order: after rows were stopped, what the library stops would be the next statement.
        tokio::spawn(async move {
            connections.cancel(pid, &secret).await;
            talk.cancel();
            if ends {
                talk.ended.notify_one();
            }
        });
        true
    }
}
