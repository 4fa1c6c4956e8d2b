//! `elt build`, and its parts: `run`, `test`, `seed`, `snapshot`

use std::process::ExitCode;

use serde_json::json;

use super::operation;
use super::plan::nothing_to_build;
use super::review::Review;
use crate::base::{Diagnostic, Ending, Error, Result, World, grouped};
use crate::cli::args::{BuildArgs, OperationArgs, Place, ReportFormat};
use crate::cli::ui::{Ui, time_words};
use crate::lakehouse::{
    Action, BuildRequest, Built, FileAccount, Lakehouse, Outcome, PublishMode, Purpose, Release, Reviewer,
    Sample, StepReport, Unfinished, Verdict, Visibility, step_json,
};
use crate::repl::{Format, ShowOptions, show};

pub(crate) async fn run(
    args: BuildArgs,
    purpose: Option<Purpose>,
    place: &Place,
    world: World,
    ui: &Ui,
) -> Result<ExitCode> {
    let is_retry = purpose.is_none();
    let selection = args.selection.clone();
    let defer = args.deferral.read(&args.selection)?;
    let event_time = stretch(args.event_time_start, args.event_time_end)?;
    let request = BuildRequest {
        defer,
        apart: args.deferral.is_refused(),
        select: args.selection.include()?,
        exclude: args.selection.exclude()?,
        scheduled: None,
        openlineage: args.openlineage_url,
        earlier: args.selection.earlier()?,
        kinds: args.selection.kinds(),
        purpose: purpose.unwrap_or_default(),
        only: None,
        goes_on: None,
        full: args.full,
        wait: args.wait,
        time: None,
        full_refresh: args.full_refresh,
        store_failures: args.store_failures,
        empty: args.empty,
        sample: args.sample,
        fail_fast: place.settled.fail_fast,
        batches: Default::default(),
        event_time,
        publish: PublishMode::All,
        pace: None,
        threads: args.threads,
    };
    let mut lakehouse = Lakehouse::create(&place.options()?, world.clone())?;
    args.deferral.check(&selection, &lakehouse)?;
    if args.format == ReportFormat::Json {
        ui.keep_output();
    }
    selection.warn_of_state(&lakehouse, ui);
    let mut request = match is_retry {
        false => request,
        true => match lakehouse.unfinished(args.wait, ui).await? {
            Some(left) if left.command == "run-operation" => {
                let name = left.arguments["macro"].as_str().unwrap_or_default().to_owned();
                let operation = OperationArgs { name, args: Some(left.arguments["args"].to_string()) };
                return operation::run(&operation, &place.going_on(&left.arguments), world, ui).await;
            }
            Some(left) => {
                lakehouse = Lakehouse::create(&place.going_on(&left.arguments).options()?, world)?;
                again(left, request)
            }
            None => {
                ui.diagnostic(&nothing_to_do());
                ui.line("the last run left nothing to do");
                return Ok(ExitCode::SUCCESS);
            }
        },
    };
    request.publish = args.publish.unwrap_or_else(|| usual(request.purpose, args.diff));
    if args.diff && request.publish == PublishMode::Each {
        let what = "`--publish each` publishes while the build goes on, before there is all of a `--diff`";
        return Err(Error::user("elt::flag", what, "take `--publish all` or `--publish passing`"));
    }
    let review = args.diff.then(|| Review::new(args.yes, args.format, ui));
    let reviewer = review.as_ref().map(|review| review as &dyn Reviewer);
    let built = Box::pin(lakehouse.build_reviewed(&request, reviewer, ui)).await?;
    ui.settle();
    built.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    if args.format == ReportFormat::Json {
        ui.print_json(&as_json(&built))?;
    }
    for step in built
        .steps
        .iter()
        .filter(|step| matches!(step.verdict, Verdict::Failed(_) | Verdict::Broken(_) | Verdict::Partly(..)))
    {
        failure(step, ui).await;
    }
    if args.show && args.format == ReportFormat::Text {
        show_seeds(&lakehouse, &built, ui).await?;
    }
    let stats = ui.log().summary(built.took, built.is_well());
    if built.is_nothing() && built.up_to_date.is_empty() {
        let told = nothing_to_do();
        if lakehouse.is_mistake("elt::nothing_to_do") {
            return Err(told.as_error().into());
        }
        ui.diagnostic(&told);
    }
    summary(&built, ui);
    if !built.steps.is_empty() {
        ui.line(&stats);
    }
    if built.is_withdrawn && review.as_ref().is_some_and(Review::asks_nobody) {
        let what = "nothing was published: there is nobody to ask whether what --diff shows is wanted";
        let help = "`elt build --diff --yes` publishes it, `elt build --diff` at a terminal asks";
        return Err(Error::user("elt::not_asked", what, help));
    }
    Ok(if built.is_well() { ExitCode::SUCCESS } else { ExitCode::from(exit_code(&built)) })
}

type Instant = chrono::DateTime<chrono::Utc>;

/// Where microbatches begin and end: both or neither, and in this order, as in dbt.
fn stretch(start: Option<Instant>, end: Option<Instant>) -> Result<(Option<Instant>, Option<Instant>)> {
    let wrong = |what: &str, help: &str| Err(Error::user("elt::flag", what, help));
    match (start, end) {
        (Some(_), None) => wrong(
            "The flag `--event-time-start` was specified, but `--event-time-end` was not",
            "add `--event-time-end DATE`: batches are built up to it, and without it",
        ),
        (None, Some(_)) => wrong(
            "The flag `--event-time-end` was specified, but `--event-time-start` was not",
            "add `--event-time-start DATE`: batches are built from it on",
        ),
        (Some(start), Some(end)) if start >= end => wrong(
            "Value for `--event-time-start` must be less than `--event-time-end`",
            "no batch lies between them; exchange them, or name a later end",
        ),
        both => Ok(both),
    }
}

fn nothing_to_do() -> Diagnostic {
    let text = "Nothing to do. Try checking your model configs and model specification args";
    Diagnostic::warning("elt::nothing_to_do", text)
}

/// What is published if nobody says; what is reviewed is reviewed whole.
fn usual(purpose: Purpose, is_reviewed: bool) -> PublishMode {
    match purpose.usually_publishes() {
        PublishMode::Each if is_reviewed => PublishMode::All,
        usual => usual,
    }
}

/// The request for what the last run left: what is not asked now is as it was asked then.
fn again(left: Unfinished, request: BuildRequest) -> BuildRequest {
    let purpose = match left.command.as_str() {
        "run" => Purpose::Run,
        "test" => Purpose::Test,
        "seed" => Purpose::Seed,
        "snapshot" => Purpose::Snapshot,
        _ => Purpose::Build,
    };
    let was = |key: &str| left.arguments[key].as_bool().unwrap_or(false);
    let instant = |key: &str| crate::base::parse_instant(left.arguments[key].as_str()?);
    BuildRequest {
        purpose,
        only: Some(left.nodes),
        goes_on: Some(left.goes_on),
        batches: left.batches,
        full_refresh: request.full_refresh || was("full_refresh"),
        store_failures: request.store_failures || was("store_failures"),
        empty: request.empty || was("empty"),
        sample: request.sample.or_else(|| left.arguments["sample"].as_str()?.parse().ok()),
        event_time: match request.event_time {
            (None, None) => (instant("event_time_start"), instant("event_time_end")),
            given => given,
        },
        ..request
    }
}

/// 1 if data broke a promise; 2 if the only thing wrong is the project.
fn exit_code(built: &Built) -> u8 {
    let broken = built.steps.iter().filter_map(|step| match &step.verdict {
        Verdict::Broken(error) => Some(error.kind().exit_code()),
        Verdict::Partly(..) => Some(1),
        Verdict::Failed(_) => Some(1),
        _ => None,
    });
    broken.min().unwrap_or(1)
}

/// What there is to say of a step that went wrong: the rows and where they are from, or the error.
async fn failure(step: &StepReport, ui: &Ui) {
    match &step.verdict {
        Verdict::Broken(error) | Verdict::Partly(_, error) => ui.diagnostic(&**error),
        Verdict::Failed(sample) => {
            ui.bad_line("");
            let head = format!("FAILED  {}  {}", step.name, sample.count_words());
            ui.bad_line(&format!("{}  {}", ui.paint(&head, Ending::Failed), step.place));
            ui.bad_line(&rows(sample).await);
        }
        _ => {}
    }
}

/// How many rows of a seed `--show` shows.
const SHOWN: u64 = 10;

/// The first rows of each seed that was loaded and published, below dbt's line.
async fn show_seeds(lakehouse: &Lakehouse, built: &Built, ui: &Ui) -> Result<()> {
    let is_seed = |step: &&StepReport| {
        step.action == Action::LoadSeed && matches!(step.visibility, Visibility::Published)
    };
    let session = lakehouse.session().await?;
    for name in built.steps.iter().filter(is_seed).filter_map(|step| step.relation.as_ref()) {
        let [schema, table] = [name.schema(), name.table()].map(|part| part.replace('"', "\"\""));
        let rows = session.query(&format!("select * from \"{schema}\".\"{table}\" limit {SHOWN}")).await?;
        let mut shown = Vec::new();
        let options = ShowOptions::terminal(crate::repl::terminal_width(), false);
        let _ = show(rows, Format::Table, &options, &mut shown).await?;
        ui.line("");
        ui.line(&format!("Random sample of table: {name}"));
        ui.line(String::from_utf8_lossy(&shown).trim_end());
    }
    Ok(())
}

/// Columns beyond which a row is shown as lines, so that its values stay whole.
const WIDE: usize = 8;

async fn rows(sample: &Sample) -> String {
    let mut shown = Vec::new();
    if let Some(rows) = &sample.rows {
        let wide = rows.num_columns() > WIDE;
        let (format, few) = if wide {
            (Format::Line, rows.slice(0, rows.num_rows().min(2)))
        } else {
            (Format::Table, rows.clone())
        };
        let options = ShowOptions::terminal(crate::repl::terminal_width(), false);
        let written = show(Outcome::rows(few), format, &options, &mut shown).await;
        let _ = written.expect("rows in memory can be written to memory");
    }
    let mut text = String::from_utf8_lossy(&shown).trim_end().to_owned();
    for origin in &sample.origins {
        text.push_str(&format!("\n  from {}:{}", origin.file, origin.line));
    }
    text
}

/// A few lines that can be pasted into a chat.
fn summary(built: &Built, ui: &Ui) {
    ui.line("");
    if built.is_nothing() {
        let words = nothing_to_build(built.up_to_date.len(), built.before);
        ui.line(&format!("{}  {}", ui.paint(&words, Ending::Done), time_words(built.took)));
        return;
    }
    let count = |is: fn(&Verdict) -> bool| built.steps.iter().filter(|step| is(&step.verdict)).count();
    let made = count(|verdict| matches!(verdict, Verdict::Made(_)));
    let tests = [
        (count(|verdict| matches!(verdict, Verdict::Passed)), "passed"),
        (count(|verdict| matches!(verdict, Verdict::Warned(_))), "warned"),
        (count(|verdict| matches!(verdict, Verdict::Failed(_))), "failed"),
    ];
    let broken = count(|verdict| matches!(verdict, Verdict::Broken(_) | Verdict::Partly(..)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped { .. }));
    let rows: u64 =
        built.landed.iter().flat_map(|report| report.accounts()).map(|account| account.read).sum();
    let noun = match built.purpose {
        Purpose::Seed => "seed",
        Purpose::Snapshot => "snapshot",
        _ => "model",
    };
    let noun = if made == 1 { noun.to_owned() } else { format!("{noun}s") };
    let mut parts = Vec::new();
    if built.purpose != Purpose::Test && (made > 0 || built.up_to_date.is_empty()) {
        parts.push(format!("{made} {noun} built"));
    }
    let tests: Vec<String> =
        tests.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if !tests.is_empty() {
        parts.push(format!("tests: {}", tests.join(", ")));
    }
    let up_to_date = built.up_to_date.len();
    parts.extend((up_to_date > 0).then(|| format!("{} up to date", grouped(up_to_date as u64))));
    parts.extend((broken > 0).then(|| format!("{broken} with errors")));
    parts.extend((skipped > 0).then(|| format!("{skipped} skipped")));
    parts.extend((rows > 0).then(|| format!("{} raw rows read", grouped(rows))));
    let odd = |of: fn(&FileAccount) -> u64| -> u64 {
        built.landed.iter().flat_map(|report| report.accounts()).map(of).sum()
    };
    let (rescued, rejected) = (odd(|account| account.rescued), odd(|account| account.rejected));
    parts.extend((rescued > 0).then(|| format!("{} rescued (in `_rescued_data`)", grouped(rescued))));
    parts.extend((rejected > 0).then(|| format!("{} rejected (in `…__rejected`)", grouped(rejected))));
    let unread = built.unread_files();
    let files = if unread == 1 { "file" } else { "files" };
    parts.extend((unread > 0).then(|| format!("{unread} {files} could not be read, and left out")));
    let parts = parts.join(" · ");
    let took = time_words(built.took);
    let number = |release: &Release| match built.first {
        Some(first) if first != release.number => format!("releases {first} to {}", release.number),
        _ => format!("release {}", release.number),
    };
    match (&built.release, built.built_well()) {
        (Some(release), true) => {
            let head = ui.paint(&format!("published {}", number(release)), Ending::Done);
            ui.line(&format!("{head}  {parts}  {took}"));
        }
        (None, true) if built.is_withdrawn => {
            ui.line(&format!("{}  {parts}  {took}", ui.paint("not published", Ending::Warned)));
        }
        (None, true) => {
            ui.line(&format!("{}  {parts}  {took}", ui.paint("nothing new to publish", Ending::Done)))
        }
        (Some(release), false) => {
            let head = ui.paint(&format!("published {} in part", number(release)), Ending::Warned);
            ui.line(&format!("{head}  {parts}  {took}"));
            unpublished(built, ui);
        }
        (None, false) => {
            ui.line(&format!("{}  {parts}  {took}", ui.paint("NOT PUBLISHED", Ending::Failed)));
            unpublished(built, ui);
            match built.before {
                Some(number) => ui.line(&format!("readers still see release {number}")),
                None => ui.line("readers see an empty lake, as before"),
            }
            next(built, ui);
        }
    }
}

/// The models that stay unseen, grouped by why.
fn unpublished(built: &Built, ui: &Ui) {
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    let models = built.steps.iter().filter_map(|step| match &step.visibility {
        Visibility::NotPublished { because } => Some((because.clone(), step.name.clone())),
        _ => None,
    });
    let sources = built.held_back.iter().map(|(table, because)| (because.clone(), table.to_string()));
    for (because, name) in models.chain(sources) {
        match by_reason.iter_mut().find(|(reason, _)| *reason == because) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((because, vec![name])),
        }
    }
    for (because, names) in by_reason {
        ui.line(&format!("  NOT PUBLISHED  {}: {because}", names.join(", ")));
    }
}

/// What to run next.
fn next(built: &Built, ui: &Ui) {
    let failed: Vec<&str> = built
        .steps
        .iter()
        .filter(|step| matches!(step.verdict, Verdict::Failed(_) | Verdict::Broken(_) | Verdict::Partly(..)))
        .map(|step| step.name.as_str())
        .collect();
    let Some(first) = failed.first() else { return };
    ui.line(&format!(
        "next: correct `{first}` or its data, then `elt build`; or `elt build --publish passing` publishes what passed"
    ));
}

fn as_json(built: &Built) -> serde_json::Value {
    json!({
        "run": built.run,
        "published": built.release.is_some(),
        "release": built.release.as_ref().map(|release| release.number),
        "first_release": built.first,
        "release_before": built.before,
        "landed": built.landed,
        "held_back": built.held_back,
        "up_to_date": built.up_to_date,
        "difference": built.difference,
        "results": built.steps.iter().map(step_json).collect::<Vec<_>>(),
        "elapsed_seconds": built.took.as_secs_f64(),
    })
}
