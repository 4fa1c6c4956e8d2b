//! How does a conversation begin?

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt as _};
use pgwire::api::auth::{
    DefaultServerParameterProvider, LoginInfo, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::{
    ClientInfo, ConnectionGuard, ConnectionHandle, PgWireConnectionState, PidSecretKeyGenerator as _,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::mistakes::told;
use super::talk::Talk;
use crate::lakehouse::PG_VERSION;
use crate::serve::clients::locked;

/// A mistake after which there is no conversation.
fn fatal(error: PgWireError) -> PgWireError {
    match error {
        PgWireError::UserError(mut info) => {
            "FATAL".clone_into(&mut info.severity);
            PgWireError::UserError(info)
        }
        other => other,
    }
}

#[async_trait]
impl StartupHandler for Talk {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                if !self.is_private {
                    let mut info = ErrorInfo::new(
                        "FATAL".to_owned(),
                        "28000".to_owned(),
                        "passwords are not taken where they can be overheard".to_owned(),
                    );
                    info.hint = Some("start the server with `--tls-cert` and `--tls-key`, and connect with `sslmode=require`".to_owned());
                    return Err(PgWireError::UserError(Box::new(info)));
                }
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
            }
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let password = password.into_password()?;
                let login = LoginInfo::from_client_info(client);
                let user = login.user().unwrap_or_default().to_owned();
                let database = login.database().unwrap_or_default().to_owned();
                if ![user.as_str(), "elt", "postgres", ""].contains(&database.as_str()) {
                    let mut info = ErrorInfo::new(
                        "FATAL".to_owned(),
                        "3D000".to_owned(),
                        format!("there is no database `{database}`"),
                    );
                    info.hint = Some("the only one is `elt`".to_owned());
                    return Err(PgWireError::UserError(Box::new(info)));
                }
                let entered = self.endpoint.clients.enter(&user, &password.password).await.map_err(told)?;
                *locked(&self.client) = Some(Arc::clone(&entered));
                let application = client.metadata().get("application_name").cloned();
                *locked(&self.application) = application.unwrap_or_default();
                self.settle_at_first(&entered, client).await.map_err(fatal)?;
                let (pid, secret) = self.cancels.ids.generate(client);
                client.set_pid_and_secret_key(pid, secret);
                // By these a query is cancelled from another connection.
                let (handle, guard) = self.cancels.connections.register(pid, client.pid_and_secret_key().1);
                client.session_extensions().insert::<Arc<ConnectionHandle>>(handle);
                client.session_extensions().insert::<ConnectionGuard>(guard);
                let key = (pid, client.pid_and_secret_key().1.to_bytes().to_vec());
                let secret = client.pid_and_secret_key().1;
                locked(&self.cancels.talks).insert(key.clone(), (self.me.clone(), secret));
                *locked(&self.key) = Some(key);
                let mut parameters = DefaultServerParameterProvider::default();
                parameters.server_version = format!("{PG_VERSION} (elt {})", env!("CARGO_PKG_VERSION"));
                parameters.is_superuser = false;
                (parameters.time_zone, parameters.search_path) = self.place(&entered);
                finish_authentication(client, &parameters).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
