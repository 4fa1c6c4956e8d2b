//! How much may one user ask of the server?
//!
//! So many statements at once and so many within a minute, so that one dashboard in a loop does not keep the others waiting.
//! A role of `elt.yml` can have limits of its own (`limits:`); they hold for each of its users.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tonic::Status;

use super::clients::locked;
use crate::lakehouse::RoleLimits;

/// Users that are remembered at once, beside those whose statements run.
const MOST: usize = 10_000;

/// Who runs how many statements, and how many they began lately.
#[derive(Debug, Default)]
pub(super) struct Gate {
    users: Mutex<HashMap<String, Asker>>,
}

#[derive(Debug)]
struct Asker {
    running: usize,
    /// Statements that may be begun now; a part of one comes back with time.
    left: f64,
    at: Instant,
    /// When it was noted last that one was refused, and how many were since.
    refused: Option<(Instant, u64)>,
}

/// How often it is noted of a user that statements are refused.
const NOTED: Duration = Duration::from_secs(60);

/// A statement is one too many.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: Status,
    /// Whether this one is to be noted; and how many were refused since one was, which were not.
    pub(super) noted: Option<u64>,
}

/// A statement of a user that runs; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    gate: Arc<Gate>,
    user: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(asker) = locked(&self.gate.users).get_mut(&self.user) {
            asker.running = asker.running.saturating_sub(1);
        }
    }
}

impl Gate {
    /// Counts a statement that a user begins to ask.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: there were too many within a minute.
    pub(super) fn asks(&self, user: &str, limits: &RoleLimits) -> Result<(), Refused> {
        let Some(per_minute) = limits.per_minute else { return Ok(()) };
        let most = f64::from(per_minute);
        let mut users = locked(&self.users);
        let asker = known(&mut users, user, most);
        let back = asker.at.elapsed().as_secs_f64() * most / 60.0;
        (asker.left, asker.at) = ((asker.left + back).min(most), Instant::now());
        if asker.left < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - asker.left) * 60.0 / most);
            let noted = match &mut asker.refused {
                Some((since, count)) if since.elapsed() < NOTED => {
                    *count += 1;
                    None
                }
                refused => Some(refused.replace((Instant::now(), 0)).map_or(0, |(_, count)| count)),
            };
            let status = Status::resource_exhausted(format!(
                "`{user}` asked more than {per_minute} statements within a minute\nhelp: try again in {} s",
                wait.as_secs() + 1
            ));
            return Err(Refused { status, noted });
        }
        asker.left -= 1.0;
        Ok(())
    }

    /// Counts a statement of a user that is about to run.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: too many of theirs run already.
    pub(super) fn runs(self: &Arc<Self>, user: &str, limits: &RoleLimits) -> Result<Running, Status> {
        let mut users = locked(&self.users);
        let asker = known(&mut users, user, f64::from(limits.per_minute.unwrap_or(0)));
        if let Some(most) = limits.queries.filter(|most| asker.running >= *most) {
            return Err(Status::resource_exhausted(format!(
                "{most} statements of `{user}` run already\nhelp: fetch their rows to the end or cancel them, then ask again"
            )));
        }
        asker.running += 1;
        Ok(Running { gate: Arc::clone(self), user: user.to_owned() })
    }
}

fn known<'a>(users: &'a mut HashMap<String, Asker>, user: &str, most: f64) -> &'a mut Asker {
    if users.len() >= MOST {
        users.retain(|_, asker| asker.running > 0);
    }
    users.entry(user.to_owned()).or_insert_with(|| Asker {
        running: 0,
        left: most,
        at: Instant::now(),
        refused: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_runs_so_many_and_asks_so_often() {
        let gate = Arc::new(Gate::default());
        let limits = RoleLimits { queries: Some(1), per_minute: Some(2), ..RoleLimits::default() };
        let one = gate.runs("ann", &limits).unwrap();
        assert!(
            gate.runs("ann", &limits).unwrap_err().message().contains("1 statements of `ann` run already")
        );
        assert!(gate.runs("bob", &limits).is_ok(), "each has their own");
        drop(one);
        assert!(gate.runs("ann", &limits).is_ok());
        assert!(gate.asks("ann", &limits).is_ok() && gate.asks("ann", &limits).is_ok());
        let told = gate.asks("ann", &limits).unwrap_err();
        let words = told.status.message();
        assert!(words.contains("more than 2 statements within a minute"), "{words}");
        assert_eq!(told.noted, Some(0), "the first is noted");
        assert_eq!(gate.asks("ann", &limits).unwrap_err().noted, None, "and for a minute no other");
        assert!(gate.asks("ann", &RoleLimits::default()).is_ok(), "without a limit there is none");
    }
}
