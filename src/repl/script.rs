//! What happens to a text of statements that nobody watches?

use std::io::Write;

use super::sitting::{Flow, Sees, ShellSettings, Sitting, Verbs};
use super::threads::Threads;
use crate::base::{Error, Result, SourceText};
use crate::lakehouse::Lakehouse;

/// Runs the statements and commands of a text in order, and shows each answer. For `-c`, `-f` and pipes.
///
/// `name` is what mistakes call the text: a path, or `stdin`. All statements see one release, even if
/// another is published meanwhile; the semicolon of the last may be missing. A reader of `out` that goes
/// away ends it quietly. Dropping the future cancels the statement at work.
///
/// # Errors
/// The first statement or command that fails, with its place in the text. Those after it are not run, unless the
/// settings say that mistakes are told and passed over: then the error says how many there were.
pub async fn script(
    lakehouse: &Lakehouse,
    text: &str,
    name: &str,
    settings: ShellSettings,
    verbs: Option<Verbs<'_>>,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    scripts(lakehouse, &[SourceText::new(name, text)], settings, verbs, out).await
}

/// Runs several texts, one after another in one session, as [`script`] runs one: what the first sets or makes for the
/// session is there for the second.
///
/// # Errors
/// Those of [`script`].
pub async fn scripts(
    lakehouse: &Lakehouse,
    texts: &[SourceText],
    settings: ShellSettings,
    verbs: Option<Verbs<'_>>,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let mut sitting = Sitting::begin(lakehouse, settings, Sees::Pinned, Threads::shared(), out).await?;
    sitting.verbs = verbs;
    for source in texts {
        if matches!(Box::pin(sitting.run(source)).await?, Flow::Leave) {
            break;
        }
    }
    sitting.end()?;
    let of = match texts {
        [one] => &*one.path,
        _ => "all",
    };
    match sitting.mistakes {
        0 => Ok(()),
        1 => Err(failed(format!("one statement of {of} failed"))),
        many => Err(failed(format!("{many} statements of {of} failed"))),
    }
}

fn failed(what: String) -> Error {
    Error::user(
        "elt::sql::failed_statements",
        what,
        "the mistakes are told above; the other statements were run",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::explain;
    use super::super::render::Format;
    use super::*;
    use crate::base::{Clock, Ids, World};
    use crate::lakehouse::OpenOptions;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::UNIX_EPOCH
        }
    }

    impl Ids for Still {
        fn next(&self) -> String {
            "id".to_owned()
        }
    }

    /// What a script writes in an empty lake, and below it what went wrong.
    async fn told(folder: &std::path::Path, text: &str, format: Format) -> String {
        let lakehouse = opened(folder);
        let settings = ShellSettings { format, ..ShellSettings::default() };
        let mut out = Vec::new();
        let result = script(&lakehouse, text, "q.sql", settings, None, &mut out).await;
        let mistake = result.map_or_else(|error| explain(&error, false, Some(80)), |()| String::new());
        String::from_utf8(out).unwrap() + &mistake
    }

    fn opened(folder: &std::path::Path) -> Lakehouse {
        let (clock, ids, env) = (Arc::new(Still), Arc::new(Still), Arc::new(BTreeMap::new()));
        let world = World { clock, ids, env, user: "tester".into(), host: "testhost".into(), pid: 1 };
        let options = OpenOptions { folder: folder.to_owned(), ..OpenOptions::default() };
        Lakehouse::open(&options, world).unwrap()
    }

    #[tokio::test]
    async fn a_script_runs_to_its_first_mistake_and_shows_where_that_is() {
        let folder = tempfile::tempdir().unwrap();
        let text = "select 1 as a;\n\nselect 'é;' as b;  select x\nform (select 1 as x) y;\nselect 3;\n";
        insta::assert_snapshot!(told(folder.path(), text, Format::Csv).await, @r"
        a
        1
        b
        é;
        elt::sql::syntax

          × `(` is not expected here
           ╭─[q.sql:4:1]
         3 │ select 'é;' as b;  select x
         4 │ form (select 1 as x) y;
           · ──┬─
           ·   ╰── here
         5 │ select 3;
           ╰────
          help: did you mean `from` instead of `form`?
        ");
    }

    #[tokio::test]
    async fn a_mistake_without_a_place_is_shown_by_its_statement_if_there_are_others() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        let both = told(folder.path(), "select 1;\nshow nothing of it\n;", Format::Csv).await;
        assert!(both.contains("q.sql:2:"), "{both}");
        let named = told(folder.path(), "select 1;\n\ndrop table t;\n", Format::Csv).await;
        assert!(named.contains("q.sql:3:12"), "{named}");
        let command = told(folder.path(), "select 1;\n\\nope\nselect 2;", Format::Csv).await;
        assert!(
            command.contains("there is no command `\\nope`") && command.contains("q.sql:2:1"),
            "{command}"
        );
    }

    #[tokio::test]
    async fn a_mistake_in_a_file_that_is_run_has_its_place_there_and_a_command_s_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.sql");
        std::fs::write(&other, "select 1;\nselect 2 as a\norder by nope;\n").unwrap();
        let run = format!("select 1;\n\\i {}\n", other.display());
        let told_there = told(folder.path(), &run, Format::Csv).await;
        assert!(told_there.contains("other.sql:3:10") && !told_there.contains("q.sql"), "{told_there}");
        let gone = told(folder.path(), "select 1;\n\n\\i nowhere.sql\n", Format::Csv).await;
        assert!(gone.contains("q.sql:3:1: cannot read nowhere.sql"), "{gone}");
        let out = told(folder.path(), "select 1;\n\\o nowhere/x.csv\nselect 2", Format::Csv).await;
        assert!(out.contains("q.sql:2:1: cannot write nowhere/x.csv"), "{out}");
    }

    #[tokio::test]
    async fn commands_change_how_answers_are_shown_and_where_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.csv");
        let other = folder.path().join("other.sql");
        std::fs::write(&other, "select 2 as b;\n\\format jsonl\n").unwrap();
        let text = format!(
            "\\o {}\nselect 1 as a;\n\\o\n\\i '{}'\nset datafusion.execution.batch_size = 100;select 3 as c",
            file.display(),
            other.display()
        );
        assert_eq!(told(folder.path(), &text, Format::Csv).await, "b\n2\n{\"c\":3}\n");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n1\n");
        std::fs::write(&other, format!("\\i {}\n", other.display())).unwrap();
        let round = told(folder.path(), &format!("\\i {}", other.display()), Format::Csv).await;
        assert!(round.contains("is included by"), "{round}");
    }

    #[tokio::test]
    async fn what_copies_and_writes_tells_how_far_it_is_while_somebody_watches() {
        let folder = tempfile::tempdir().unwrap();
        let lakehouse = opened(folder.path());
        let session = lakehouse.session().await.unwrap();
        let copy = format!("copy (from range(1000)) to '{}'", folder.path().join("a.csv").display());
        for sql in [&*copy, "create temp table t as from range(1000)"] {
            Box::pin(session.execute(sql)).await.unwrap();
            assert!(session.running().is_none(), "nobody watches: {sql}");
        }
        session.watch(true);
        for sql in
            [&*copy, "create or replace temp table t as from range(1000)", "insert into t from range(5)"]
        {
            session.watch(true);
            Box::pin(session.execute(sql)).await.unwrap();
            assert!(session.running().is_some(), "{sql}");
        }
        session.watch(false);
        assert!(session.running().is_none());
    }

    #[tokio::test]
    async fn an_answer_s_only_row_becomes_variables() {
        let folder = tempfile::tempdir().unwrap();
        let run = async |text: &str| told(folder.path(), text, Format::Csv).await;
        let text = "select 7 as n, 'it''s' as who \\gset my_\nselect :my_n + 1 as a, :'my_who' as b;";
        assert_eq!(run(text).await, "a,b\n8,it's\n");
        assert_eq!(run("select 3 as n;\n\\gset\nselect :n as m;").await, "n\n3\nm\n3\n");
        let many = run("select * from range(2) \\gset\n").await;
        assert!(many.contains("keeps the values of one row, and the answer has 2"), "{many}");
        let told = run("select 1 as a, 'x' as b \\gdesc\n").await;
        assert!(told.contains("a,bigint") && told.contains("b,varchar"), "{told}");
        let refused = run("select 1 \\gexec\n").await;
        assert!(refused.contains("\\i do.sql"), "{refused}");
    }

    #[tokio::test]
    async fn a_plan_keeps_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let plan = told(folder.path(), "explain select 1 as a where 1 = 1", Format::Table).await;
        assert!(plan.starts_with("plan\nSelect 1 as a"), "{plan}");
        assert!(!plan.ends_with("\n\n"), "{plan}");
        assert!(told(folder.path(), "quit\nselect 1", Format::Csv).await.is_empty());
    }

    #[tokio::test]
    async fn what_is_between_begin_and_commit_is_one_release_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let made = "create table t as select 1 as a; create table u as select 1 as b; begin; create table w as select 7 as a; \
                    drop table u; create table v as select count(*) as n from w; select n from v; commit; \
                    select count(*) as releases from elt.releases; select table_name from elt.tables order by 1";
        insta::assert_snapshot!(told(folder.path(), made, Format::Csv).await, @r"
        statement,rows_inserted,rows_updated,rows_deleted,release
        CREATE TABLE,1,0,0,1
        statement,rows_inserted,rows_updated,rows_deleted,release
        CREATE TABLE,1,0,0,2
        statement,rows_inserted,rows_updated,rows_deleted,release
        CREATE TABLE,1,0,0,
        statement,rows_inserted,rows_updated,rows_deleted,release
        DROP TABLE,0,0,0,
        statement,rows_inserted,rows_updated,rows_deleted,release
        CREATE TABLE,1,0,0,
        n
        1
        statement,statements,release
        COMMIT,3,3
        releases
        3
        table_name
        columns
        copy_history
        files
        lineage
        load_errors
        model_runs
        query_history
        releases
        runs
        t
        table_versions
        tables
        test_results
        v
        w
        ");
        let undone = "begin; delete from t; drop table v; select count(*) as left from t; rollback; \
                      select count(*) as again from t; select n from v; commit";
        insta::assert_snapshot!(told(folder.path(), undone, Format::Csv).await, @r"
        statement,rows_inserted,rows_updated,rows_deleted,release
        DELETE,0,0,1,
        statement,rows_inserted,rows_updated,rows_deleted,release
        DROP TABLE,0,0,0,
        left
        0
        again
        1
        n
        1
        elt::sql::no_transaction

          × no transaction is open
           ╭─[q.sql:1:129]
         1 │ …rom t; select n from v; commit
           ·                          ───┬──
           ·                             ╰── in this statement
           ╰────
          help: `begin` opens one
        ");
        let failed = "begin; delete from t; insert into nowhere values (1); commit";
        insta::assert_snapshot!(told(folder.path(), failed, Format::Csv).await, @r"
        statement,rows_inserted,rows_updated,rows_deleted,release
        DELETE,0,0,1,
        elt::sql::no_such_table

          × there is no table `main.nowhere`
           ╭─[q.sql:1:35]
         1 │ begin; delete from t; insert into nowhere values (1); commit
           ·                                   ───┬───
           ·                                      ╰── here
           ╰────
          help: `show tables` lists what there is
        ");
        let open = "begin; delete from t; begin";
        insta::assert_snapshot!(told(folder.path(), open, Format::Csv).await, @r"
        statement,rows_inserted,rows_updated,rows_deleted,release
        DELETE,0,0,1,
        elt::sql::in_transaction

          × a transaction is open already
           ╭─[q.sql:1:23]
         1 │ begin; delete from t; begin
           ·                       ──┬──
           ·                         ╰── in this statement
           ╰────
          help: end it first: `commit` publishes what it did, `rollback` nothing
        ");
        let left = "start transaction; delete from t; create temp table x as select 1 as a; select a from x";
        insta::assert_snapshot!(told(folder.path(), left, Format::Csv).await, @r"
        statement,rows_inserted,rows_updated,rows_deleted,release
        DELETE,0,0,1,
        statement,rows
        CREATE TEMP TABLE,1
        a
        1
        elt::sql::in_transaction

          × a transaction was never ended: nothing of its statement is published
          help: end it by `commit`, or by `rollback` if that is what is meant
        ");
        insta::assert_snapshot!(told(folder.path(), "begin; select count(*) as n from t", Format::Csv).await, @r"
        n
        1
        ");
    }

    #[tokio::test]
    async fn a_transaction_that_only_reads_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = async |text: &str| told(folder.path(), text, Format::Csv).await;
        run("create table t as select 1 as a").await;
        let read =
            run("begin isolation level serializable, read only; select a from t; rollback; select 2 as b")
                .await;
        assert_eq!(read, "a\n1\nb\n2\n");
        let refused = run("begin read only; delete from t").await;
        assert!(refused.contains("this transaction only reads"), "{refused}");
        let set = run("begin; set transaction read only; delete from t").await;
        assert!(set.contains("this transaction only reads"), "{set}");
        let none = run("set transaction read only").await;
        assert!(none.contains("no transaction is open"), "{none}");
    }

    #[tokio::test]
    async fn variables_come_from_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let lakehouse = opened(folder.path());
        let variables = vec![("n".to_owned(), "it's".to_owned())];
        let settings = ShellSettings { format: Format::Csv, variables, ..ShellSettings::default() };
        let mut out = Vec::new();
        script(&lakehouse, "select :'n' as a", "q.sql", settings, None, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\nit's\n");
    }
}
