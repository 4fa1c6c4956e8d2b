//! Who asks, and what was agreed on with them?
//!
//! A [`Client`] is one connection's side of things, known by the token that it was given for its name and password.
//! Whoever shows the token of the whole server on every call shares one client with the others who do, with which nothing
//! is ever agreed on: a wish makes a client of their own, and the token of that one is in the reply.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::users::{Pass, Standing, Users};
use super::wire::Wire;
use crate::base::World;
use crate::lakehouse::{Files, Manner, Rights, Role, RoleLimits};

/// After so long without a call a client is forgotten.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Clients that are remembered at once. One more, and the one that was silent longest is forgotten.
const MOST: usize = 10_000;

/// How often it is looked whether whoever waits for an answer may still have it.
const LOOKED_AFTER: Duration = Duration::from_secs(1);

/// Somebody who was let in.
#[derive(Debug)]
pub(super) struct Client {
    /// Whose name and rights they have.
    pub(super) user: String,
    /// The door that they came by, as `elt.query_history` has it.
    pub(super) application: &'static str,
    pass: Pass,
    standing: Mutex<Standing>,
    /// Whether others are the same client.
    pub(super) shared: bool,
    agreed: Mutex<Agreed>,
    since: Instant,
    last_seen: Mutex<Instant>,
    key: Key,
}

/// What a client wants otherwise than others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Agreed {
    pub(super) manner: Manner,
    pub(super) wire: Wire,
    /// How long a statement may take, if the client wants less than it might have.
    pub(super) time: Option<Duration>,
    /// From how many endpoints answers are fetched at once; one, if nothing.
    pub(super) endpoints: Option<usize>,
    /// What the client may, when it was asked for what was agreed on.
    pub(super) rights: Option<Arc<Rights>>,
}

/// The hash of a token. Tokens themselves are not kept.
pub(super) type Key = [u8; 32];

impl Client {
    fn new(user: &str, pass: Pass, standing: Standing, shared: bool, key: Key) -> Arc<Self> {
        let (agreed, standing, since) = (Mutex::new(Self::at_first()), Mutex::new(standing), Instant::now());
        let last_seen = Mutex::new(since);
        let application = "flight";
        Arc::new(Self {
            user: user.to_owned(),
            application,
            pass,
            standing,
            shared,
            agreed,
            since,
            last_seen,
            key,
        })
    }

    /// What is agreed on with everybody at first.
    fn at_first() -> Agreed {
        Agreed { manner: Manner { files: Files::OutOfReach, ..Manner::default() }, ..Agreed::default() }
    }

    /// What tells this session from others.
    pub(super) fn session_key(&self) -> &Key {
        &self.key
    }

    /// Whether they may change tables at all.
    pub(super) fn role(&self) -> Role {
        locked(&self.standing).role
    }

    /// How much they may ask.
    pub(super) fn limits(&self) -> RoleLimits {
        locked(&self.standing).limits
    }

    /// Which tables they read and change, as it was when they made this call.
    pub(super) fn rights(&self) -> Arc<Rights> {
        Arc::clone(&locked(&self.standing).rights)
    }

    /// What was agreed on, and what the client may.
    pub(super) fn agreed(&self) -> Agreed {
        let mut agreed = Agreed { rights: Some(self.rights()), ..locked(&self.agreed).clone() };
        agreed.manner.memory = self.limits().memory;
        agreed
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
    /// How long a token holds that is given for a password.
    life: Duration,
    /// Calls of who was not let in.
    turned_away: AtomicU64,
    known: Mutex<HashMap<Key, Arc<Client>>>,
}

impl Clients {
    pub(super) fn new(users: Users, world: World, life: Duration) -> Self {
        Self { users, world, life, turned_away: AtomicU64::new(0), known: Mutex::default() }
    }

    /// How many are remembered.
    pub(super) fn count(&self) -> usize {
        locked(&self.known).len()
    }

    /// The client that makes a call.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`: nothing was shown, or nothing that is known.
    pub(super) async fn of(&self, metadata: &MetadataMap) -> Result<Arc<Client>, Status> {
        let name = self.named(metadata);
        self.found(metadata).await.inspect_err(|status| self.note(status, &name))
    }

    /// How many calls were of who was not let in.
    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn note(&self, status: &Status, user: &str) {
        if status.code() == tonic::Code::Unauthenticated {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            let because = status.message().lines().next().unwrap_or_default();
            tracing::warn!(user, because, "turned away");
        }
    }

    async fn found(&self, metadata: &MetadataMap) -> Result<Arc<Client>, Status> {
        match credentials(metadata)? {
            Some(Credentials::Bearer(token)) => self.with_token(&token),
            Some(Credentials::Basic { user, password }) => {
                // Whoever shows a password on every call is not made to wait for its hash on every call.
                let key = key(&format!("{user}\0{password}"));
                if let Some(client) = self.seen(&key)? {
                    return Ok(client);
                }
                let pass = self.users.check(&user, &password).await?;
                let standing = self.users.standing(&user, &pass)?;
                Ok(self.remember(Client::new(&user, pass, standing, true, key)))
            }
            None => Err(unknown("no token and no password was shown")),
        }
    }

    /// Lets somebody in, and gives them a token; nothing if the token that they show is as good.
    pub(super) async fn let_in(&self, metadata: &MetadataMap) -> Result<Option<String>, Status> {
        let let_in = match credentials(metadata)? {
            Some(Credentials::Basic { user, password }) => self.greet(&user, &password).await.map(Some),
            Some(Credentials::Bearer(token)) => self.with_token(&token).map(|_| None),
            None => Err(unknown("no token and no password was shown")),
        };
        let_in.inspect_err(|status| self.note(status, &self.named(metadata)))
    }

    /// Gives a token for a name and its password.
    async fn greet(&self, user: &str, password: &str) -> Result<String, Status> {
        let pass = self.users.check(user, password).await?;
        let standing = self.users.standing(user, &pass)?;
        Ok(self.new_client(user, pass, standing, None))
    }

    /// Lets somebody in on a connection of their own, for as long as it lasts.
    #[cfg(feature = "postgres")]
    pub(super) async fn enter(&self, user: &str, password: &str) -> Result<Arc<Client>, Status> {
        let entered = async {
            let pass = self.users.check(user, password).await?;
            let standing = self.users.standing(user, &pass)?;
            let client = Client::new(user, pass, standing, false, key(&new_token(&self.world)));
            Ok(Arc::into_inner(client).map(|client| Arc::new(Client { application: "postgres", ..client })))
        };
        let entered: Result<Option<Arc<Client>>, Status> = entered.await;
        let entered = entered.inspect_err(|status| self.note(status, user))?;
        entered.ok_or_else(|| Status::internal("a client that is new has one owner"))
    }

    /// Looks up what somebody may do now who was let in on a connection.
    #[cfg(feature = "postgres")]
    pub(super) fn renew(&self, client: &Client) -> Result<(), Status> {
        *locked(&client.standing) = self.users.standing(&client.user, &client.pass)?;
        Ok(())
    }

    /// What a client agreed on goes back to how it was at first.
    #[cfg(feature = "postgres")]
    pub(super) fn forget_wishes(&self, client: &Client) {
        client.agree(Client::at_first());
    }

    /// The name that a call shows, or whose token it shows, as far as the log has it.
    fn named(&self, metadata: &MetadataMap) -> String {
        match credentials(metadata) {
            Ok(Some(Credentials::Basic { user, .. })) => user.chars().take(100).collect(),
            Ok(Some(Credentials::Bearer(token))) => {
                locked(&self.known).get(&key(&token)).map(|client| client.user.clone()).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// A client of its own for one who shares with others, and its token.
    pub(super) fn apart(&self, client: &Client, agreed: Agreed) -> String {
        let standing = locked(&client.standing).clone();
        self.new_client(&client.user, client.pass.clone(), standing, Some(agreed))
    }

    /// Reads users and roles again.
    pub(super) fn read_again(&self) {
        self.users.read_again();
    }

    /// Comes when a client may not go on as it began: its user was removed, has another password, or other rights.
    pub(super) async fn lapsed(&self, client: &Client) -> Status {
        let begun = client.rights();
        loop {
            tokio::time::sleep(LOOKED_AFTER).await;
            match self.users.standing(&client.user, &client.pass) {
                Ok(now) if now.rights == begun => {}
                Ok(_) => {
                    return Status::permission_denied(format!(
                        "what `{}` may see has changed meanwhile\nhelp: run the statement again",
                        client.user
                    ));
                }
                Err(status) => return status,
            }
        }
    }

    /// Forgets a client. Returns whether there was anything to forget.
    pub(super) fn forget(&self, client: &Client) -> bool {
        !client.shared && locked(&self.known).remove(&client.key).is_some()
    }

    fn new_client(&self, user: &str, pass: Pass, standing: Standing, agreed: Option<Agreed>) -> String {
        let token = new_token(&self.world);
        let client = Client::new(user, pass, standing, false, key(&token));
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
        if !self.users.is_token(token) {
            return Err(unknown("the token is not known here"));
        }
        let standing = self.users.standing("token", &Pass::Token)?;
        Ok(self.remember(Client::new("token", Pass::Token, standing, true, key)))
    }

    /// The client of a key, if it is known.
    fn seen(&self, key: &Key) -> Result<Option<Arc<Client>>, Status> {
        let Some(client) = locked(&self.known).get(key).cloned() else { return Ok(None) };
        let silent = std::mem::replace(&mut *locked(&client.last_seen), Instant::now()).elapsed();
        let ended = if silent >= IDLE {
            Some("the session has ended; it was silent for a day".to_owned())
        } else if client.since.elapsed() >= self.life {
            Some(format!("the session has ended; a token holds for {} s", self.life.as_secs()))
        } else {
            None
        };
        let ended = match ended {
            Some(because) => unknown(&because),
            None => match self.users.standing(&client.user, &client.pass) {
                Ok(standing) => {
                    *locked(&client.standing) = standing;
                    return Ok(Some(client));
                }
                Err(status) if status.code() != tonic::Code::Unauthenticated => return Err(status),
                Err(status) => status,
            },
        };
        locked(&self.known).remove(key);
        // What others share is begun anew by whoever is still let in.
        if client.shared { Ok(None) } else { Err(ended) }
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
