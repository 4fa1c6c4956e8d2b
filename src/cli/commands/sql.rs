//! `elt sql`, and `elt` alone

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use futures::future::LocalBoxFuture;

use crate::base::{Error, ReleaseNumber, Result, SourceText, World};
use crate::cli::args::{OnMistake, Place, SqlArgs, Text};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::Lakehouse;
use crate::repl::{self, OnError, ShellSettings, ShowOptions};

pub(crate) async fn run(args: SqlArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let texts = texts(&args)?;
    let lakehouse = Lakehouse::open(&place.options()?, world.clone())?;
    let to_terminal = std::io::stdout().is_terminal();
    let show = if to_terminal {
        ShowOptions::terminal(repl::terminal_width(), ui.colour())
    } else {
        ShowOptions::default()
    };
    let show = ShowOptions { progress: std::io::stderr().is_terminal() && ui.is_smart(), ..show };
    let on_error = match args.on_error {
        OnMistake::Stop => OnError::Stop,
        OnMistake::Continue => OnError::Continue,
    };
    let settings = ShellSettings {
        format: args.format,
        show,
        timing: false,
        release: args.release.map(ReleaseNumber),
        echo: args.echo,
        on_error,
        variables: args.variable,
    };
    // The shell's `\build` is `elt build`, in the same place.
    let verbs = |words: Vec<String>| {
        let (place, world) = (place.clone(), world.clone());
        let again: LocalBoxFuture<'_, Result<()>> =
            Box::pin(async move { crate::cli::again(words, place, world, ui).await });
        again
    };
    if let Some(texts) = texts {
        let texts: Vec<SourceText> = texts.iter().map(|(name, text)| SourceText::new(name, text)).collect();
        let mut out = std::io::stdout();
        or_interrupted(repl::scripts(&lakehouse, &texts, settings, Some(&verbs), &mut out), ui).await?;
        return Ok(ExitCode::SUCCESS);
    }
    repl::shell(&lakehouse, settings, Some(&verbs)).await?;
    Ok(ExitCode::SUCCESS)
}

/// The texts to run, with the names that errors show; nothing means the shell.
fn texts(args: &SqlArgs) -> Result<Option<Vec<(String, String)>>> {
    if let Some(sql) = &args.sql {
        return Ok(Some(vec![("sql".to_owned(), sql.clone())]));
    }
    if !args.texts.0.is_empty() {
        let text = |text: &Text| match text {
            Text::Command(sql) => Ok(("sql".to_owned(), sql.clone())),
            Text::File(path) => read(path),
        };
        return args.texts.0.iter().map(text).collect::<Result<Vec<_>>>().map(Some);
    }
    if std::io::stdin().is_terminal() { Ok(None) } else { Ok(Some(vec![read(Path::new("-"))?])) }
}

fn read(path: &Path) -> Result<(String, String)> {
    let cannot = |error: std::io::Error| {
        Error::user(
            "elt::sql::file",
            format!("cannot read {}: {error}", path.display()),
            "check the path; it is relative to this folder",
        )
    };
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(cannot)?;
        return Ok(("stdin".to_owned(), repl::sql_text("standard input", bytes)?));
    }
    let name = path.display().to_string();
    let text = repl::sql_text(&name, std::fs::read(path).map_err(cannot)?)?;
    Ok((name, text))
}
