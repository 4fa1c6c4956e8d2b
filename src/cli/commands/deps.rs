//! `elt deps`

use std::process::ExitCode;

use crate::base::{Diagnostic, Result, World};
use crate::cli::args::{DepsArgs, Place};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{DepsRequest, Lakehouse, NewPackage, PackageState};

/// Installs the packages of the project, and says what became of each.
pub(crate) async fn run(args: DepsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let add = args.add_package.as_deref().map(|text| NewPackage::read(text, args.source.into()));
    if let Some(new) = add.as_ref().filter(|new| new.version.is_none() && args.source.wants_version()) {
        let what = format!("which version of `{}`?", new.name);
        let help =
            format!("write `--add-package {}@1.0.0`, or a revision after the `@` of a repository", new.name);
        return Err(crate::base::Error::user("elt::packages::add", what, help));
    }
    let request = DepsRequest {
        upgrade: args.upgrade,
        only_lock: args.lock,
        add,
        hub: args.hub,
        mirrors: args.mirror,
        any_dbt_version: !place.settled.version_check,
    };
    let done = or_interrupted(Box::pin(lakehouse.install_packages(&request, ui)), ui).await?;
    ui.settle();
    if let (Some((file, replaced)), Some(new)) = (done.added_to, &request.add) {
        let how = if replaced { "in place of the entry that was there" } else { "to" };
        ui.line(&format!("added `{}` {how} {}{file}", new.name, if replaced { "in " } else { "" }));
    }
    let report = done.report;
    for note in &report.notes {
        ui.diagnostic(&Diagnostic::warning("elt::packages", note.clone()));
    }
    if report.wrote_lock {
        ui.line("updated the lock file package-lock.yml");
    }
    for package in &report.packages {
        let line = match package.state {
            PackageState::Installed => continue,
            PackageState::UpToDate => format!("{} is there, {}", package.name, package.version),
            PackageState::Locked => format!("{} is settled, {}", package.name, package.version),
            PackageState::Local => format!("{} is read from {}", package.name, package.from),
            PackageState::Vendored => format!(
                "{} is there and was not installed by elt: it stays as it is (delete its folder to have it installed)",
                package.name
            ),
        };
        ui.line(&line);
    }
    report
        .removed
        .iter()
        .for_each(|name| ui.line(&format!("removed {name}, which nothing asks for any more")));
    let newer =
        report.packages.iter().filter_map(|one| Some(format!("{} {}", one.from, one.newer.as_ref()?)));
    let newer: Vec<String> = newer.collect();
    if !newer.is_empty() {
        ui.line(&format!("newer versions are there: {}", newer.join(", ")));
    }
    match report.packages.len() {
        0 => ui.line("the project stands on no packages"),
        _ if request.only_lock => {}
        1 => ui.line("the one package is there"),
        count => ui.line(&format!("all {count} packages are there")),
    }
    Ok(ExitCode::SUCCESS)
}
