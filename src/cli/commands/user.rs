//! `elt user`: those who may ask over the wire

use std::io::Read as _;
use std::process::ExitCode;

use crate::base::{Error, Result, World};
use crate::cli::args::{Place, UserAddArgs, UserPasswordArgs, UserRemoveArgs};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Role};

pub(crate) fn add(args: &UserAddArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let made = format!("{}{}", world.id(), world.id()).replace('-', "");
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let password = match args.password_stdin {
        true => Some(given()?),
        false => None,
    };
    let role = match (&args.role, args.writes) {
        (Some(role), _) => role.as_str(),
        (None, true) => Role::Writes.word(),
        (None, false) => Role::Reads.word(),
    };
    let path = lakehouse.add_user(&args.name, role, password.as_deref().unwrap_or(&made))?;
    let who = match args.role.is_some() {
        true => format!("with the role {role}"),
        false => format!("who {role}"),
    };
    ui.line(&format!("added {}, {who}, to {}", args.name, path.display()));
    if password.is_none() {
        ui.line(&format!("password, which is kept nowhere else: {made}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn remove(args: &UserRemoveArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let path = Lakehouse::open(&place.options()?, world)?.remove_user(&args.name)?;
    ui.line(&format!("took {} out of {}", args.name, path.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn password(args: &UserPasswordArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let made = format!("{}{}", world.id(), world.id()).replace('-', "");
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let given = if args.password_stdin { Some(given()?) } else { None };
    lakehouse.change_password(&args.name, given.as_deref().unwrap_or(&made))?;
    ui.line(&format!("{} has another password", args.name));
    if given.is_none() {
        ui.line(&format!("password, which is kept nowhere else: {made}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The password on standard input, without the end of its line.
fn given() -> Result<String> {
    let mut text = String::new();
    let wrong = |what: String, help: &str| Error::user("elt::users::password", what, help);
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| wrong(format!("cannot read the password: {error}"), "write it to standard input"))?;
    let password = text.trim_end_matches(['\n', '\r']).to_owned();
    if password.len() < 8 {
        return Err(wrong("the password has less than eight characters".to_owned(), "take a longer one"));
    }
    Ok(password)
}
