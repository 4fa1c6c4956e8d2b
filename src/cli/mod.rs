//! The command line: flags in, one verb of the front door, one report out.
//!
//! Rows and reports asked for with `--format json` go to standard output; everything that is said
//! to a person goes to standard error. Exit codes are a contract: see [`ErrorKind`](crate::base::ErrorKind).

mod args;
mod commands;
mod log;
mod ui;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::base::{Diagnostic, Error, Result, STACK, World, leave, with_stack};
use crate::lakehouse::{Purpose, written_flags};
use args::{Args, Command, DocsCommand, Place, Settled, SourceCommand, UserCommand};
use log::Log;
pub use log::Traces;
use ui::Ui;

/// Reads the command line, does what it says, and returns the process's exit code.
///
/// `arguments` start with the program's name.
pub fn run(arguments: Vec<String>, world: World) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Args { mut place, flags, mut command } = args;
    place.fill_in(&world.env);
    let written = written_flags(&place.folder(), &world.env);
    let settled = flags.settle(&world.env, &written.flags);
    let (settled, odd) = match settled {
        Ok(settled) => settled,
        Err(error) => {
            let settled = Settled::default();
            let log = Log::new(&world, &settled, &written.root, "");
            Ui::new(&world, &settled, log).error(&error);
            return ExitCode::from(error.kind().exit_code());
        }
    };
    let settled = Settled { log_path: settled.log_path.or(written.log_path), ..settled };
    if let Some(selection) = command.as_mut().and_then(Command::selection) {
        selection.indirect_selection = selection.indirect_selection.or(settled.indirect);
    }
    let invocation = world.id();
    log::heard_by(Log::new(&world, &settled, &written.root, &invocation));
    let log = Log::new(&world, &settled, &written.root, &invocation);
    let ui = Ui::new(&world, &settled, log);
    (place.settled, place.invocation) = (settled, Some(invocation));
    ui.log().begin();
    odd.iter().for_each(|warning| ui.diagnostic(warning));
    if let Some(why) = ui.log().no_file() {
        let help = "`--log-path` or `log-path:` names a folder that can be written";
        ui.diagnostic(&Diagnostic::warning("elt::log_path", why).help(help));
    }
    let begun = std::time::Instant::now();
    let word = command.as_ref().map(Command::word).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let ended = match runtime {
        Ok(runtime) => {
            // Once for the whole command: with a smaller stack whatever may go deep takes one of its own each time.
            let ended = with_stack(|| runtime.block_on(Box::pin(dispatch(command, place, world, &ui))));
            // A cancelled query may still be inside a blocking read; there is nothing to wait for.
            leave(runtime);
            ended
        }
        Err(error) => {
            Err(Error::user("elt::runtime", format!("cannot start: {error}"), "free some memory or threads"))
        }
    };
    let _ = std::io::stdout().flush();
    let code = match ended {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    };
    ui.log().end(&word, code == ExitCode::SUCCESS, begun.elapsed());
    code
}

async fn dispatch(command: Option<Command>, place: Place, world: World, ui: &Ui) -> Result<ExitCode> {
    match command {
        None => Box::pin(commands::sql::run(args::SqlArgs::default(), &place, world, ui)).await,
        Some(Command::Build(args)) => {
            Box::pin(commands::build::run(args, Some(Purpose::Build), &place, world, ui)).await
        }
        Some(Command::Plan(args)) => Box::pin(commands::plan::run(args, &place, world, ui)).await,
        Some(Command::Run(args)) => {
            Box::pin(commands::build::run(args, Some(Purpose::Run), &place, world, ui)).await
        }
        Some(Command::Test(args)) => {
            Box::pin(commands::build::run(args, Some(Purpose::Test), &place, world, ui)).await
        }
        Some(Command::Seed(args)) => {
            Box::pin(commands::build::run(args, Some(Purpose::Seed), &place, world, ui)).await
        }
        Some(Command::Snapshot(args)) => {
            Box::pin(commands::build::run(args, Some(Purpose::Snapshot), &place, world, ui)).await
        }
        Some(Command::Clone(args)) => Box::pin(commands::clone::run(args, &place, world, ui)).await,
        Some(Command::RunOperation(args)) => {
            Box::pin(commands::operation::run(&args, &place, world, ui)).await
        }
        Some(Command::Retry(args)) => Box::pin(commands::build::run(args, None, &place, world, ui)).await,
        Some(Command::Compile(args)) => Box::pin(commands::study::compile(args, &place, world, ui)).await,
        Some(Command::Show(args)) => Box::pin(commands::study::show(args, &place, world, ui)).await,
        Some(Command::Docs { command: DocsCommand::Generate(args) }) => {
            Box::pin(commands::docs::generate(args, &place, world, ui)).await
        }
        Some(Command::Docs { command: DocsCommand::Serve(args) }) => {
            Box::pin(commands::docs::serve(&args, &place, world, ui)).await
        }
        Some(Command::Source { command: SourceCommand::Freshness(args) }) => {
            Box::pin(commands::study::freshness(args, &place, world, ui)).await
        }
        Some(Command::Deps(deps)) => Box::pin(commands::deps::run(deps, &place, world, ui)).await,
        Some(Command::Debug(args)) => Box::pin(commands::study::debug(&args, &place, world, ui)).await,
        Some(Command::Land(args)) => Box::pin(commands::land::run(args, &place, world, ui)).await,
        Some(Command::Sql(args)) => Box::pin(commands::sql::run(args, &place, world, ui)).await,
        Some(Command::Serve(args)) => Box::pin(commands::serve::run(args, &place, world, ui)).await,
        Some(Command::User { command: UserCommand::Add(args) }) => {
            commands::user::add(&args, &place, world, ui)
        }
        Some(Command::User { command: UserCommand::Remove(args) }) => {
            commands::user::remove(&args, &place, world, ui)
        }
        Some(Command::User { command: UserCommand::Password(args) }) => {
            commands::user::password(&args, &place, world, ui)
        }
        Some(Command::Ls(args)) => Box::pin(commands::ls::run(args, &place, world, ui)).await,
        Some(Command::Releases(args)) => Box::pin(commands::releases::run(args, &place, world, ui)).await,
        Some(Command::History(args)) => Box::pin(commands::history::run(args, &place, world, ui)).await,
        Some(Command::Diff(args)) => Box::pin(commands::diff::run(args, &place, world, ui)).await,
        Some(Command::Lineage(args)) => Box::pin(commands::lineage::run(args, &place, world, ui)).await,
        Some(Command::Maintain(args)) => Box::pin(commands::maintain::run(args, &place, world, ui)).await,
        Some(Command::Promote(args)) => Box::pin(commands::promote::run(args, &place, world, ui)).await,
        Some(Command::Replay(args)) => Box::pin(commands::replay::run(args, &place, world, ui)).await,
        Some(Command::Schedule(args)) => Box::pin(commands::schedule::run(args, &place, world, ui)).await,
        Some(Command::Rollback(args)) => Box::pin(commands::rollback::run(args, &place, world, ui)).await,
        Some(Command::Doctor(args)) => Box::pin(commands::doctor::run(args, &place, world, ui)).await,
        Some(Command::Storage(args)) => Box::pin(commands::doctor::storage(args, &place, world, ui)).await,
        Some(Command::Completions(args)) => commands::shell_files::completions(&args),
        Some(Command::Man(args)) => commands::shell_files::man(&args, ui),
        Some(Command::Init(args)) => commands::init::run(&args, ui),
        Some(Command::Clean) => commands::clean::run(&place, world, ui),
    }
}

/// Does what a line of the shell says: the words after the program's name, for the lake that the shell is in.
///
/// # Errors
/// The words make no sense, or the command failed. That it failed is told by then, as at a command line.
async fn again(words: Vec<String>, mut place: Place, world: World, ui: &Ui) -> Result<()> {
    ui.in_shell();
    // Each line is a command of its own.
    place.invocation = None;
    let line = words.join(" ");
    let words = std::iter::once("elt".to_owned()).chain(words);
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return Ok(());
        }
    };
    let stays = matches!(
        args.command,
        None | Some(
            Command::Sql(_)
                | Command::Serve(_)
                | Command::Schedule(_)
                | Command::Docs { command: DocsCommand::Serve(_) }
        )
    );
    if stays {
        let what = format!("`elt {line}` is not for here");
        return Err(Error::user("elt::shell::verb", what, "start it in another terminal"));
    }
    let code = Box::pin(dispatch(args.command, place, world, ui)).await?;
    ui.published();
    match code == ExitCode::SUCCESS {
        true => Ok(()),
        false => {
            let what = format!("`elt {line}` did not end well");
            Err(Error::user("elt::shell::verb", what, "what went wrong is told above"))
        }
    }
}

/// Waits for a verb, or for Ctrl-C or SIGTERM, whichever comes first.
///
/// Dropping the verb is safe until it publishes; from then on it is let finish, which takes moments.
async fn or_interrupted<T>(verb: impl Future<Output = Result<T>>, ui: &Ui) -> Result<T> {
    let mut verb = Box::pin(verb);
    loop {
        tokio::select! {
            done = &mut verb => return done,
            stop = ui.stopped() => {
                if !ui.is_publishing() {
                    return Err(stop.error(ui.has_published()));
                }
            }
        }
    }
}
