//! `elt init NAME`

use std::path::Path;
use std::process::ExitCode;

use crate::base::{Error, Result};
use crate::cli::args::InitArgs;
use crate::cli::ui::Ui;

/// The files of a new project, `{name}` standing for its name.
const FILES: &[(&str, &str)] = &[
    ("dbt_project.yml", include_str!("../../../sql/init/dbt_project.yml")),
    ("inbox/orders_2026-01.csv", include_str!("../../../sql/init/inbox/orders_2026-01.csv")),
    ("models/sources.yml", include_str!("../../../sql/init/models/sources.yml")),
    ("models/stg_orders.sql", include_str!("../../../sql/init/models/stg_orders.sql")),
    ("models/daily_sales.sql", include_str!("../../../sql/init/models/daily_sales.sql")),
    ("models/models.yml", include_str!("../../../sql/init/models/models.yml")),
    (".gitignore", "/lake/\n/target/\n"),
];

pub(crate) fn run(args: &InitArgs, ui: &Ui) -> Result<ExitCode> {
    let folder = Path::new(&args.name);
    // `.` is called what its folder is called.
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let project = name.to_lowercase().replace(['-', ' ', '.'], "_");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if project.is_empty()
        || !project.chars().all(is_word)
        || project.starts_with(|c: char| c.is_ascii_digit())
    {
        let help = "use letters, digits and `_`, not starting with a digit: `elt init shop`";
        return Err(Error::user("elt::init::name", format!("`{name}` cannot name a project"), help));
    }
    let is_hidden = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.'))
    };
    let is_empty = folder.read_dir().is_ok_and(|mut entries| entries.all(is_hidden));
    if folder.exists() && !is_empty {
        let help = "choose another name or an empty folder, or work in that one: a folder with `models/` is a project";
        return Err(Error::user("elt::init::exists", format!("{} is there already", folder.display()), help));
    }
    for (path, text) in FILES {
        let full = folder.join(path);
        let cannot = |error: std::io::Error| {
            Error::user(
                "elt::init::write",
                format!("cannot write {}: {error}", full.display()),
                "check that you may write there",
            )
        };
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent).map_err(cannot)?;
        }
        std::fs::write(&full, text.replace("{name}", &project)).map_err(cannot)?;
    }
    ui.line(&format!("made {}/  2 models, 5 tests, 1 raw file of 8 orders", folder.display()));
    ui.line(&format!("next: cd {} && elt build", folder.display()));
    Ok(ExitCode::SUCCESS)
}
