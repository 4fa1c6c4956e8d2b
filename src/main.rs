//! The door to the world: the clock, the ids, the environment, and the process's end.

use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use elt::base::{Clock, Ids, World};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Spares CPU on queries that aggregate much; Cargo.toml has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "this is where the time comes in")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct RandomIds;

#[expect(clippy::disallowed_methods, reason = "this is where chance comes in")]
impl Ids for RandomIds {
    fn next(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

fn main() -> ExitCode {
    elt::base::small_pages();
    let mut env: std::collections::BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // A service may have no HOME in its environment; the system knows one for its user all the same.
    if std::env::args().nth(1).is_some_and(|command| command == "serve")
        && env.get("HOME").is_none_or(String::is_empty)
        && let Some(home) = std::env::home_dir().and_then(|home| home.into_os_string().into_string().ok())
    {
        env.insert("HOME".to_owned(), home);
    }
    // What a library logs on its way to an error, the error says too.
    let filter = env.get("ELT_LOG").map_or("off,elt=error,elt::serve=info", String::as_str);
    tracing_subscriber::registry().with(elt::cli::Traces).with(EnvFilter::new(filter)).init();
    let first =
        |keys: &[&str]| keys.iter().find_map(|key| env.get(*key).filter(|value| !value.is_empty()).cloned());
    let host = std::fs::read_to_string("/etc/hostname").map(|name| name.trim().to_owned()).ok();
    let world = World {
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        user: first(&["ELT_USER", "USER", "LOGNAME", "USERNAME"])
            .or_else(owner)
            .unwrap_or_else(|| "unknown".to_owned()),
        host: first(&["HOSTNAME", "COMPUTERNAME"]).or(host).unwrap_or_else(|| "localhost".to_owned()),
        pid: std::process::id(),
        env: Arc::new(env),
    };
    elt::cli::run(std::env::args().collect(), world)
}

/// Whose process this is, as the system knows it: cron, services and containers often say it in no variable.
#[cfg(target_os = "linux")]
fn owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    Some(name.unwrap_or_else(|| format!("uid {uid}")))
}

#[cfg(not(target_os = "linux"))]
fn owner() -> Option<String> {
    None
}
