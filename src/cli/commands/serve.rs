//! `elt serve`

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use crate::base::{Result, World, state_folder};
use crate::cli::args::{Place, ServeArgs};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Role, RoleLimits, USERS_FILE};
use crate::serve::{ServeLimits, ServeOptions, Server, Tls, Token};

/// The environment variable with the token to let in with.
const TOKEN: &str = "ELT_TOKEN";

pub(crate) async fn run(args: ServeArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let given = world.env.get(TOKEN).filter(|token| !token.is_empty()).cloned();
    let options = place.options()?;
    let lakehouse = Lakehouse::open(&options, world.clone())?;
    let users = lakehouse.users()?;
    let writes = args.writable || users.iter().any(|user| user.role == Role::Writes);
    let lakehouse = if writes || args.schedule { Lakehouse::create(&options, world)? } else { lakehouse };
    let scheduled = lakehouse.clone();
    let release = lakehouse.session().await?.scope().pins().release;
    let defaults = ServeLimits::default();
    let limits = ServeLimits {
        running: args.max_queries.unwrap_or(defaults.running),
        time: args.query_timeout,
        cache: args.result_cache,
        per_user: RoleLimits {
            queries: args.user_queries,
            per_minute: args.user_rate,
            memory: args.query_memory,
            time: None,
        },
        life: args.token_life,
        ..defaults
    };
    let client_ca = args.tls_client_ca;
    let tls = args.tls_cert.zip(args.tls_key).map(|(certificate, key)| Tls { certificate, key, client_ca });
    let role = if args.writable { Role::Writes } else { Role::Reads };
    let (token, password) = match given {
        Some(token) => (Token::Given(token), Some(Secret::OfEnvironment)),
        None if users.is_empty() => (Token::New, None),
        None => (Token::None, Some(Secret::Word("PASSWORD".to_owned()))),
    };
    let is_new = matches!(token, Token::New);
    let options = ServeOptions {
        listen: args.listen,
        token,
        role,
        tls: tls.clone(),
        limits,
        http: args.http,
        postgres: args.postgres,
    };
    let server = Server::bind(lakehouse, options).await?;

    let doing = if writes { "reading and writing" } else { "reading only" };
    let what = release.map_or_else(|| "an empty lake".to_owned(), |release| format!("release {release}"));
    ui.line(&format!("serving {what}, {doing}, at {}", url(&server)));
    if release.is_none()
        && let Some(folder) = scheduled.tables().lake().folder().filter(|folder| !folder.exists())
    {
        ui.line(&format!("warning: there is no lake yet at: {}", folder.display()));
    }
    if let Some(address) = server.http_address() {
        ui.line(&format!(
            "whether it is ready, and how it is doing: http://{}/readyz, /metrics",
            reachable(address)
        ));
    }
    if !args.listen.ip().is_loopback() && !server.is_encrypted() {
        ui.line("warning: tokens and rows travel unencrypted; `--tls-cert` and `--tls-key` encrypt them");
    }
    if let Some(token) = server.token().filter(|_| is_new) {
        ui.secret_line(&format!("token, until it stops ({TOKEN} sets one that stays): {token}"));
    }
    let env = &scheduled.world().env;
    if state_folder(env).is_none() && !env.contains_key("ELT_QUERY_HISTORY") {
        ui.line("warning: nobody says where home is, so what is asked is not kept; ELT_QUERY_HISTORY names a folder for it");
    }
    for doubt in scheduled.doubts_about_roles().await? {
        ui.line(&format!("warning: {doubt}"));
    }
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    if !names.is_empty() {
        ui.line(&format!("users of {USERS_FILE}: {}", names.join(", ")));
    }
    let password = password.unwrap_or_else(|| Secret::Word(server.token().unwrap_or_default().to_owned()));
    help(&server, tls.as_ref(), names.first().unwrap_or(&"elt"), &password)
        .iter()
        .for_each(|line| if is_new { ui.secret_line(line) } else { ui.line(line) });
    let (reload, at_work) = (server.reloading(), server.at_work());
    let enough = async {
        tokio::select! {
            () = stopped(ui) => {}
            () = hung_up(reload) => {}
        }
        match at_work() {
            0 => {}
            1 => ui.line("stopping: 1 statement is at work and has some seconds; Ctrl-C again ends it now"),
            n => ui.line(&format!(
                "stopping: {n} statements are at work and have some seconds; Ctrl-C again ends them now"
            )),
        }
    };
    match args.schedule {
        false => server.run(enough, stopped(ui)).await?,
        true => {
            let kept = super::schedule::beside(&scheduled, scheduled.world(), ui);
            tokio::try_join!(server.run(enough, stopped(ui)), kept)?;
        }
    }
    ui.line("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C, or for the system to say that it is enough.
pub(super) async fn stopped(ui: &Ui) {
    ui.stopped().await;
}

/// Comes when the terminal is closed that the server is in. To one that is in none, a service, SIGHUP says that it is to read its
/// configuration again.
#[cfg(unix)]
async fn hung_up(reload: impl Fn()) {
    use std::io::IsTerminal as _;
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hung_up) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    let is_service = !std::io::stdin().is_terminal();
    while hung_up.recv().await.is_some() {
        if !is_service {
            return;
        }
        tracing::info!(target: "elt::serve", "reading {USERS_FILE} again");
        reload();
    }
    std::future::pending().await
}

#[cfg(not(unix))]
async fn hung_up(_: impl Fn()) {
    std::future::pending().await
}

/// What a client shows to be let in, as far as it can be written into a line.
enum Secret {
    /// A word that stands there.
    Word(String),
    /// What the environment of the server holds, which is not shown.
    OfEnvironment,
}

/// How each kind of client connects, to be copied.
fn help(server: &Server, tls: Option<&Tls>, user: &str, secret: &Secret) -> Vec<String> {
    // Only Python and a shell look into the environment by themselves.
    let (import, in_python, in_a_shell, password) = match secret {
        Secret::Word(word) => ("import", format!("\"{word}\""), format!("'{word}'"), word.as_str()),
        Secret::OfEnvironment => {
            ("import os,", format!("os.environ[\"{TOKEN}\"]"), format!("\"${TOKEN}\""), "TOKEN")
        }
    };
    let import = format!("  {import} adbc_driver_flightsql.dbapi as flight");
    let where_from = match secret {
        Secret::Word(_) => String::new(),
        Secret::OfEnvironment => format!(", with what {TOKEN} holds in place of TOKEN"),
    };
    let address = reachable(server.address());
    let encryption = if server.is_encrypted() { "true" } else { "false" };
    // Drivers know the certificates that the system trusts, and no other.
    let option = |name: &str, file: &str| {
        format!(", \"adbc.flight.sql.client_option.{name}\": open(\"{file}\").read()")
    };
    let own = tls.map(|tls| {
        let mut told = option("tls_root_certs", &tls.certificate.display().to_string());
        if tls.client_ca.is_some() {
            told += &option("mtls_cert_chain", "CLIENT.pem");
            told += &option("mtls_private_key", "CLIENT.key");
        }
        told
    });
    let own = own.unwrap_or_default();
    let mut lines = vec![
        "Python (pip install adbc-driver-flightsql adbc-driver-manager pyarrow):".to_owned(),
        import,
        format!(
            "  connection = flight.connect(\"{}\", {{\"username\": \"{user}\", \"password\": {in_python}{own}}}, autocommit=True)",
            url(server)
        ),
        format!("JDBC (DBeaver, Tableau, Metabase){where_from}:"),
        format!(
            "  jdbc:arrow-flight-sql://{address}/?useEncryption={encryption}&user={user}&password={password}"
        ),
    ];
    if let Some(postgres) = server.postgres_address().map(reachable) {
        let tls = if server.is_encrypted() { "require" } else { "disable" };
        let (host, port) = (postgres.ip(), postgres.port());
        lines.push(format!("psql, and tools that know PostgreSQL{where_from}:"));
        lines.push(format!(
            "  PGPASSWORD={in_a_shell} psql \"host={host} port={port} user={user} dbname=elt sslmode={tls}\""
        ));
        lines.push(format!("  postgresql://{user}:{password}@{postgres}/elt?sslmode={tls}"));
    }
    lines.push("Ctrl-C stops it.".to_owned());
    lines
}

fn url(server: &Server) -> String {
    let scheme = if server.is_encrypted() { "grpc+tls" } else { "grpc" };
    format!("{scheme}://{}", reachable(server.address()))
}

/// An address that a client on this machine can connect to.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address }
}
