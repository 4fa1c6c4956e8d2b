//! Who asks, and what was agreed on with them?
//!
//! A [`Client`] is one connection's side of things, known by the token that it was given for its name and password.
//! Whoever shows the token of the whole server on every call shares one client with the others who do, with which nothing
//! is ever agreed on: a wish makes a client of their own, and the token of that one is in the reply.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::users::Users;
use super::wire::Wire;
use crate::base::World;
use crate::lakehouse::{Files, Manner, Role};

/// After so long without a call a client is forgotten.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Clients that are remembered at once. One more, and the one that was silent longest is forgotten.
const MOST: usize = 10_000;

/// Somebody who was let in.
#[derive(Debug)]
pub(super) struct Client {
    /// Whose name and rights they have.
    pub(super) user: String,
    pub(super) role: Role,
    /// Whether others are the same client.
    pub(super) shared: bool,
    agreed: Mutex<Agreed>,
    last_seen: Mutex<Instant>,
    key: Key,
}

/// What a client wants otherwise than others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) manner: Manner,
    pub(super) wire: Wire,
}

/// The hash of a token. Tokens themselves are not kept.
type Key = [u8; 32];

impl Client {
    fn new(user: &str, role: Role, shared: bool, key: Key) -> Arc<Self> {
        let agreed =
            Agreed { manner: Manner { files: Files::OutOfReach, ..Manner::default() }, wire: Wire::Plain };
        let (agreed, last_seen) = (Mutex::new(agreed), Mutex::new(Instant::now()));
        Arc::new(Self { user: user.to_owned(), role, shared, agreed, last_seen, key })
    }

    /// What was agreed on.
    pub(super) fn agreed(&self) -> Agreed {
        locked(&self.agreed).clone()
    }

    /// From now on, this holds.
    pub(super) fn agree(&self, agreed: Agreed) {
        *locked(&self.agreed) = agreed;
    }
}

/// What a call shows of who makes it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Basic { user: String, password: String },
    Bearer(String),
}

/// Everybody who was let in.
pub(super) struct Clients {
    users: Users,
    world: World,
    known: Mutex<HashMap<Key, Arc<Client>>>,
}

impl Clients {
    pub(super) fn new(users: Users, world: World) -> Self {
        Self { users, world, known: Mutex::default() }
    }

    /// The client that makes a call.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`: nothing was shown, or nothing that is known.
    pub(super) async fn of(&self, metadata: &MetadataMap) -> Result<Arc<Client>, Status> {
        match credentials(metadata)? {
            Some(Credentials::Bearer(token)) => self.with_token(&token),
            Some(Credentials::Basic { user, password }) => {
                // Whoever shows a password on every call is not made to wait for its hash on every call.
                let key = key(&format!("{user}\0{password}"));
                if let Some(client) = self.seen(&key)? {
                    return Ok(client);
                }
                let role = self.users.check(&user, &password).await?;
                Ok(self.remember(Client::new(&user, role, true, key)))
            }
            None => Err(unknown("no token and no password was shown")),
        }
    }

    /// Lets somebody in, and gives them a token; nothing if the token that they show is as good.
    pub(super) async fn let_in(&self, metadata: &MetadataMap) -> Result<Option<String>, Status> {
        match credentials(metadata)? {
            Some(Credentials::Basic { user, password }) => self.greet(&user, &password).await.map(Some),
            Some(Credentials::Bearer(token)) => self.with_token(&token).map(|_| None),
            None => Err(unknown("no token and no password was shown")),
        }
    }

    /// Gives a token for a name and its password.
    async fn greet(&self, user: &str, password: &str) -> Result<String, Status> {
        let role = self.users.check(user, password).await?;
        Ok(self.new_client(user, role, None))
    }

    /// A client of its own for one who shares with others, and its token.
    pub(super) fn apart(&self, client: &Client, agreed: Agreed) -> String {
        self.new_client(&client.user, client.role, Some(agreed))
    }

    /// Forgets a client. Returns whether there was anything to forget.
    pub(super) fn forget(&self, client: &Client) -> bool {
        !client.shared && locked(&self.known).remove(&client.key).is_some()
    }

    fn new_client(&self, user: &str, role: Role, agreed: Option<Agreed>) -> String {
        let token = new_token(&self.world);
        let client = Client::new(user, role, false, key(&token));
        if let Some(agreed) = agreed {
            client.agree(agreed);
        }
        self.remember(client);
        token
    }

    fn with_token(&self, token: &str) -> Result<Arc<Client>, Status> {
        let key = key(token);
        if let Some(client) = self.seen(&key)? {
            return Ok(client);
        }
        match self.users.with_token(token) {
            Some((user, role)) => Ok(self.remember(Client::new(user, role, true, key))),
            None => Err(unknown("the token is not known here")),
        }
    }

    /// The client of a key, if it is known.
    fn seen(&self, key: &Key) -> Result<Option<Arc<Client>>, Status> {
        let Some(client) = locked(&self.known).get(key).cloned() else { return Ok(None) };
        let mut last_seen = locked(&client.last_seen);
        if last_seen.elapsed() < IDLE {
            *last_seen = Instant::now();
            drop(last_seen);
            return Ok(Some(client));
        }
        drop(last_seen);
        locked(&self.known).remove(key);
        // What others share is begun anew by whoever is still let in.
        if client.shared { Ok(None) } else { Err(unknown("the session has ended; it was silent for a day")) }
    }

    fn remember(&self, client: Arc<Client>) -> Arc<Client> {
        let mut known = locked(&self.known);
        if known.len() >= MOST {
            let longest =
                known.values().min_by_key(|client| *locked(&client.last_seen)).map(|client| client.key);
            longest.and_then(|key| known.remove(&key));
        }
        Arc::clone(known.entry(client.key).or_insert(client))
    }
}

/// A token that nobody can guess.
pub(super) fn new_token(world: &World) -> String {
    format!("{}{}", world.id(), world.id()).replace('-', "")
}

fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

pub(super) fn unknown(because: &str) -> Status {
    Status::unauthenticated(format!(
        "{because}\nhelp: connect as a user of elt.yml, or with the token of `elt serve`, as a bearer token or as the password of any user"
    ))
}

/// What the header `authorization` shows; nothing if there is none.
fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>, Status> {
    let Some(value) = metadata.get("authorization") else { return Ok(None) };
    let text = value.to_str().map_err(|_| unknown("the header `authorization` is not a text"))?;
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(Credentials::Bearer(rest.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unknown("the header `authorization` is neither `Basic …` nor `Bearer …`"));
    }
    let wrong = || unknown("the header `authorization` holds no name and password");
    // Some drivers pad, some do not.
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(rest).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let (user, password) = text.split_once(':').ok_or_else(wrong)?;
    Ok(Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() }))
}

/// A lock whose holders leave the data whole even when they panic: each writes one value.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Option<Credentials> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", header.parse().unwrap());
        credentials(&metadata).ok().flatten()
    }

    #[test]
    fn headers_are_read_with_padding_and_without() {
        let basic = |user: &str, password: &str| {
            Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        };
        assert!(shown("Basic YTpiYw==") == basic("a", "bc"));
        assert!(shown("basic YTpiYw") == basic("a", "bc"));
        assert!(shown("Basic YTpiOmM=") == basic("a", "b:c"), "a password may have colons");
        assert!(shown("Bearer  x.y") == Some(Credentials::Bearer("x.y".into())));
        for bad in ["Basic !", "Basic YQ", "Digest x", "Basic", ""] {
            assert!(shown(bad).is_none(), "{bad}");
        }
    }
}
