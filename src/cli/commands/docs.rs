//! `elt docs generate`, `elt docs serve`

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};

use super::serve::{reachable, stopped};
use super::study::told;
use crate::base::{Result, World};
use crate::cli::args::{DocsArgs, DocsServeArgs, Place};
use crate::cli::ui::Ui;
use crate::lakehouse::{DocumentRequest, Lakehouse, StudyRequest};
use crate::serve::PageServer;

/// Writes the catalog and the site. Exit code 1, and neither, if something could not be compiled.
pub(crate) async fn generate(args: DocsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let defer = args.deferral.read_state(&args.selection)?;
    args.selection.warn_of_state(&lakehouse, ui);
    let request = StudyRequest { defer, ..args.selection.study()? };
    let studied = match args.no_compile {
        true => Box::pin(lakehouse.picked(&request)).await?,
        false => Box::pin(lakehouse.study(&request)).await?,
    };
    told(&studied, ui);
    if !studied.not_compiled.is_empty() {
        ui.log().cannot_document();
        ui.line("compile failed, cannot generate docs; build what these nodes read, or use --no-compile");
        return Ok(ExitCode::from(1));
    }
    let target = &studied.compiled.project.target;
    ui.log().concurrency(1, &target.name, studied.picked.len());
    ui.log().building_catalog();
    let request = DocumentRequest { is_empty: args.empty_catalog, is_static: args.is_static };
    let documented = Box::pin(lakehouse.document(&studied, &request)).await?;
    ui.log().written("CatalogWritten", &documented.path);
    let beside = if args.no_compile { "" } else { "; manifest.json is beside it" };
    ui.line(&format!("catalog.json tells of {} tables and views{beside}", documented.count));
    for page in &documented.pages {
        ui.line(&format!("open in a browser: {}", page.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the site until it is told to stop.
pub(crate) async fn serve(args: &DocsServeArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let listen = SocketAddr::new(args.host, args.port);
    let server = PageServer::bind(&lakehouse.target_folder()?, listen).await?;
    let address = format!("http://{}", reachable(server.address()));
    ui.line(&format!("the site is at {address}"));
    if !args.host.is_loopback() {
        ui.line("warning: whoever reaches this machine can read it");
    }
    ui.line("Ctrl-C stops it.");
    if !args.no_browser && std::io::stderr().is_terminal() && !open(&address) {
        ui.line("no browser could be opened; open the address in one");
    }
    server.run(stopped(ui)).await;
    ui.line("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Has the system open an address in the browser that its user likes; says whether it began to.
fn open(address: &str) -> bool {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}
