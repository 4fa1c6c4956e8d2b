//! How is a query stopped from another connection?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::{ConnectionManager, RandomPidSecretKeyGenerator};
use pgwire::messages::cancel::CancelRequest;

use super::talk::Talk;
use crate::serve::clients::locked;

/// All connections, by what a client shows who wants to stop a query of another one.
pub(super) struct Cancels {
    pub(super) connections: Arc<ConnectionManager>,
    pub(super) ids: RandomPidSecretKeyGenerator,
    pub(super) talks: Mutex<HashMap<(i32, Vec<u8>), Weak<Talk>>>,
}

impl Cancels {
    pub(super) fn new() -> Self {
        Self {
            connections: Arc::new(ConnectionManager::new()),
            ids: RandomPidSecretKeyGenerator::default(),
            talks: Mutex::default(),
        }
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        // The library stops what gives no rows yet; rows on their way are stopped as Flight's are.
        self.connections.cancel(request.pid, &request.secret_key).await;
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        let talk = locked(&self.talks).get(&key).and_then(Weak::upgrade);
        if let Some(talk) = talk {
            talk.cancel();
        }
    }
}
