//! `elt completions SHELL` and `elt man`: what shells and `man` know of the commands

use std::process::ExitCode;

use clap::CommandFactory;

use super::print_text;
use crate::base::{Error, Result};
use crate::cli::args::{Args, CompletionsArgs, ManArgs};
use crate::cli::ui::Ui;

pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut written = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "elt", &mut written);
    print_text(String::from_utf8_lossy(&written).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(args: &ManArgs, ui: &Ui) -> Result<ExitCode> {
    let Some(folder) = &args.out else {
        let mut written = Vec::new();
        clap_mangen::Man::new(Args::command()).render(&mut written).expect("memory can be written to");
        print_text(String::from_utf8_lossy(&written).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Args::command(), folder));
    written.map_err(|error| {
        let what = format!("the pages cannot be written to {}: {error}", folder.display());
        Error::user("elt::man", what, "give a folder that can be written to")
    })?;
    let count = std::fs::read_dir(folder).map_or(0, |entries| entries.count());
    ui.line(&format!(
        "{count} pages are in {}; `man -l {}/elt.1` shows the first",
        folder.display(),
        folder.display()
    ));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_do_not_take_each_others_names() {
        use clap::Parser as _;
        Args::command().debug_assert();
        let words = |line: &str| Args::try_parse_from(line.split(' ')).map(|_| ());
        for line in
            ["elt schedule --print cron", "elt --print schedule --list", "elt build --no-print --diff --yes"]
        {
            assert!(words(line).is_ok(), "{line}: {}", words(line).unwrap_err());
        }
        for line in [
            "elt schedule --print windows",
            "elt schedule --print cron --list",
            "elt build --yes",
            "elt diff",
        ] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
