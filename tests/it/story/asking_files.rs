//! Files are queried where they lie, and are there what they would be in the lake.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// Asks with `@` in place of the lake's folder, and notes rows or the mistake without that folder's name.
async fn ask(lake: &TestLake, sql: &str) {
    let here = lake.path().canonicalize().unwrap().display().to_string();
    let told = lake.rows(&sql.replace('@', &here)).await.replace(&here, "@").replace(&here[1..], "@");
    lake.note(&format!("{sql}\n  {told}"));
}

#[tokio::test]
async fn a_file_says_by_itself_how_it_is_written() {
    let lake = TestLake::new();
    lake.write("semi.csv", "id;Amount EUR;day;day\n1;2,50;31/01/2013;x\n2;10,00;01/02/2013;y\n");
    lake.write(
        "array.json",
        r#"[{"id": 1, "tags": ["a"], "Who": {"name": "Ada"}}, {"id": 2.5, "late": true}]"#,
    );
    lake.write("nulls.csv", "k,t\n1,\"\"\n2,\\N\n,x\n");
    lake.write("one.csv", "n\n1\n\n3\n");
    ask(&lake, "from '@/semi.csv'").await;
    ask(&lake, "select \"Amount EUR\" * 2 as twice, day_1 from '@/semi.csv' where id = 2").await;
    ask(&lake, "describe '@/semi.csv'").await;
    ask(&lake, "from '@/array.json'").await;
    ask(&lake, "select \"Who\".name from '@/array.json' limit 1").await;
    ask(&lake, "select k, t is null as gone from '@/nulls.csv'").await;
    ask(&lake, "select count(*), count(n) from '@/one.csv'").await;
    ask(&lake, "copy (select 1 as a, 'x' as b) to '@/one.arrow'").await;
    ask(&lake, "from '@/one.arrow'").await;
    lake.land_as("raw.nulls", &["nulls.csv"], &[]).await;
    ask(&lake, "select k, t is null as gone from raw.nulls").await;
    let story = lake.story();
    assert_snapshot!(story, @r#"
    from '@/semi.csv'
      1 2.5 2013-01-31 x | 2 10.0 2013-02-01 y
    select "Amount EUR" * 2 as twice, day_1 from '@/semi.csv' where id = 2
      20.0 y
    describe '@/semi.csv'
      id bigint YES | Amount EUR double YES | day date YES | day_1 varchar YES
    from '@/array.json'
      1.0 [a] {name: Ada} - | 2.5 - - true
    select "Who".name from '@/array.json' limit 1
      Ada
    select k, t is null as gone from '@/nulls.csv'
      1 false | 2 true | - false
    select count(*), count(n) from '@/one.csv'
      3 2
    copy (select 1 as a, 'x' as b) to '@/one.arrow'
      1 1 930
    from '@/one.arrow'
      1 x
    land: raw.nulls  read 3 loaded 3 rescued 0 rejected 0  release 1
    select k, t is null as gone from raw.nulls
      1 false | 2 true | - false
    "#);
}

#[tokio::test]
async fn functions_that_read_files_know_the_options_of_other_engines() {
    let lake = TestLake::new();
    let text =
        "exported by hand\n# units: pieces\nid|n|when\n# nothing here\n1|NA|01.02.2013\n2|7|03.02.2013\n";
    lake.write("a.txt", text);
    lake.write("b.txt", "id|n|extra\n3|8|z\n");
    lake.write("bare.csv", "1,2\n3,4\n");
    lake.write("lines.dat", "{\"id\": 1, \"n\": \"007\"}\n{\"id\": 2, \"n\": \"8\"}\n");
    let a = "'@/a.txt', skip => 1, comment => '#', delim => '|', nullstr => 'NA'";
    ask(&lake, &format!("from read_csv({a}, dateformat => '%d.%m.%Y')")).await;
    ask(&lake, &format!("select typeof(n) from read_csv({a}, all_varchar => true) limit 1")).await;
    let both = "select id, n, extra, filename from read_csv(['@/b.txt', '@/b2.txt'], filename => true)";
    ask(&lake, both).await;
    lake.write("b2.txt", "id|n\n4|9\n");
    ask(&lake, &format!("{both} order by id")).await;
    for sql in [
        "select sum(b) from read_csv('@/bare.csv', header => false, names => ['a', 'b'])",
        "from read_csv('@/bare.csv', header => false, columns => {'a': 'varchar', 'b': 'double'})",
        "select \"_c1\" from read_csv('@/bare.csv', header => false)",
        "from read_json('@/lines.dat', columns => {'n': 'bigint'})",
        "from read_files('@/lines.dat', format => 'json', schema_hints => 'n varchar')",
        "select count(*) from read_csv('@/b.txt', union_by_name => true, sample_size => -1, auto_detect => true)",
        "from read_csv('@/b.txt', delimm => '|')",
        "from read_csv('@/b.txt', on_change => 'fail')",
        "from read_csv('@/b.txt', header => 'perhaps')",
        "from read_csv('@/b.txt', escape => '\\')",
        "from read_csv('@/b.txt', '|')",
        "from read_csv('@/b.txt', types => {'id': 'colour'})",
        "from read_csv(b.txt)",
        "from read_csv(['@/b.txt', 7])",
        "from read_csv()",
        "from sniff_csv('@/b.txt')",
        "from read_json('@/lines.dat', format => 'lines')",
        "from delta_scan('@/lake', header => true)",
    ] {
        ask(&lake, sql).await;
    }
    let story = lake.story();
    assert_snapshot!(story, @r#"
    from read_csv('@/a.txt', skip => 1, comment => '#', delim => '|', nullstr => 'NA', dateformat => '%d.%m.%Y')
      1 - 2013-02-01 | 2 7 2013-02-03
    select typeof(n) from read_csv('@/a.txt', skip => 1, comment => '#', delim => '|', nullstr => 'NA', all_varchar => true) limit 1
      varchar
    select id, n, extra, filename from read_csv(['@/b.txt', '@/b2.txt'], filename => true)
      no file matches `@/b2.txt`, or it holds no rows
    select id, n, extra, filename from read_csv(['@/b.txt', '@/b2.txt'], filename => true) order by id
      3 8 z @/b.txt | 4 9 - @/b2.txt
    select sum(b) from read_csv('@/bare.csv', header => false, names => ['a', 'b'])
      6
    from read_csv('@/bare.csv', header => false, columns => {'a': 'varchar', 'b': 'double'})
      1 2.0 | 3 4.0
    select "_c1" from read_csv('@/bare.csv', header => false)
      2 | 4
    from read_json('@/lines.dat', columns => {'n': 'bigint'})
      7 | 8
    from read_files('@/lines.dat', format => 'json', schema_hints => 'n varchar')
      1 007 | 2 8
    select count(*) from read_csv('@/b.txt', union_by_name => true, sample_size => -1, auto_detect => true)
      1
    from read_csv('@/b.txt', delimm => '|')
      `delimm` is not an option of `read_csv`
    from read_csv('@/b.txt', on_change => 'fail')
      `on_change` is not an option of `read_csv`
    from read_csv('@/b.txt', header => 'perhaps')
      `header` cannot be `perhaps`
    from read_csv('@/b.txt', escape => '\')
      `\` before a quote is not supported
    from read_csv('@/b.txt', '|')
      `'|'` is not an option of `read_csv`
    from read_csv('@/b.txt', types => {'id': 'colour'})
      `colour` is no type that a file's column can have
    from read_csv(b.txt)
      `read_csv` needs the name of a file in single quotes
    from read_csv(['@/b.txt', 7])
      `read_csv` needs the name of a file in single quotes
    from read_csv()
      `read_csv` needs the name of a file
    from sniff_csv('@/b.txt')
      `sniff_csv` is not supported
    from read_json('@/lines.dat', format => 'lines')
      `format` cannot be `lines`
    from delta_scan('@/lake', header => true)
      `header` is not an option of `delta_scan`
    "#);
}

#[tokio::test]
async fn no_row_of_a_file_is_lost_without_a_word() {
    let lake = TestLake::new();
    lake.write("ragged.csv", "id,name\n1,a\n2\n3,c\n");
    lake.write("two.csv", "day\n01/02/2013\n");
    lake.write("quote.json", "{\"a\": 1}\n{oops}\n");
    lake.write("packed.csv.gz", "this is not gzip");
    lake.write("empty.csv", "");
    let (mut late, mut wide) = ("id,code,pad\n".to_owned(), String::new());
    for id in 0..200_000 {
        let _ = writeln!(late, "{id},{},{}", id % 7, "x".repeat(200));
        let _ = writeln!(wide, "{{\"id\": {id}, \"pad\": \"{}\"}}", "x".repeat(200));
    }
    late.push_str("200000,seven,x\n");
    wide.push_str("{\"id\": 200000, \"news\": 1}\n");
    lake.write("late.csv", &late);
    lake.write("late.json", &wide);
    for sql in [
        "from '@/ragged.csv'",
        "select count(*) from '@/ragged.csv'",
        "select count(*) from read_csv('@/ragged.csv', ignore_errors => true)",
        "from '@/two.csv'",
        "from read_csv('@/two.csv', date_order => DMY)",
        "from '@/quote.json'",
        "from read_json('@/quote.json', ignore_errors => true)",
        "select count(*) from '@/packed.csv.gz'",
        "from '@/empty.csv'",
        "select sum(code) from '@/late.csv'",
        "select max(id) from '@/late.csv'",
        "select count(*), sum(code) from read_csv('@/late.csv', ignore_errors => true)",
        "select count(*) from read_csv('@/late.csv', ignore_errors => true)",
        "select max(code) from read_csv('@/late.csv', sample_size => -1)",
        "select max(id) from '@/late.json'",
        "select max(id), max(news) from read_json('@/late.json', sample_size => -1)",
    ] {
        ask(&lake, sql).await;
    }
    let story = lake.story();
    assert_snapshot!(story, @r#"
    from '@/ragged.csv'
      @/ragged.csv:3: 1 field where the header has 2
    select count(*) from '@/ragged.csv'
      @/ragged.csv:3: 1 field where the header has 2
    select count(*) from read_csv('@/ragged.csv', ignore_errors => true)
      2
    from '@/two.csv'
      @/two.csv:2 reads two ways: `01/02/2013` of column `day` begins with the day, or it begins with the month
    from read_csv('@/two.csv', date_order => DMY)
      2013-02-01
    from '@/quote.json'
      @/quote.json:2: key must be a string at character 2
    from read_json('@/quote.json', ignore_errors => true)
      1
    select count(*) from '@/packed.csv.gz'
      @/packed.csv.gz is damaged: it cannot be read to its end as gzip
    from '@/empty.csv'
      `@/empty.csv` holds no rows and no columns
    select sum(code) from '@/late.csv'
      @/late.csv:200002: "seven" does not fit column `code` (bigint)
    select max(id) from '@/late.csv'
      200000
    select count(*), sum(code) from read_csv('@/late.csv', ignore_errors => true)
      200000 599994
    select count(*) from read_csv('@/late.csv', ignore_errors => true)
      200000
    select max(code) from read_csv('@/late.csv', sample_size => -1)
      seven
    select max(id) from '@/late.json'
      @/late.json:200001 has a column `news`, which the beginning of the files does not have
    select max(id), max(news) from read_json('@/late.json', sample_size => -1)
      200000 1
    "#);
}

#[tokio::test]
async fn folders_that_name_a_column_are_one() {
    let lake = TestLake::new();
    lake.write("csv/year=2013/land=no/a.csv", "id\n1\n");
    lake.write("csv/year=2014/land=__HIVE_DEFAULT_PARTITION__/a.csv", "id\n2\n");
    let into = "(format parquet, partition_by (year, land))";
    ask(&lake, &format!("copy (from '@/csv') to '@/parquet' {into}")).await;
    ask(&lake, &format!("copy (from '@/csv' where land = 'no') to '@/plain' {into}")).await;
    for of in ["csv", "csv/*/*/*.csv", "parquet", "parquet/*/*/*.parquet", "plain", "plain/*/*/*.parquet"] {
        ask(&lake, &format!("select id, year + 0 as year, land from '@/{of}' order by id")).await;
    }
    ask(&lake, "select count(*) from '@/parquet' where year = 2014").await;
    ask(&lake, "select count(*) from '@/plain' where year = 2014").await;
    ask(&lake, "select * from read_csv('@/csv', hive_partitioning => false) order by id").await;
    ask(&lake, "select * from read_parquet('@/parquet', hive_partitioning => false) order by id").await;
    ask(&lake, "select land from '@/csv/year=2013/land=no/a.csv'").await;
    ask(&lake, "select land from '@/plain/year=2013/land=no/*.parquet'").await;
    let story = lake.story();
    assert_snapshot!(story, @"
    copy (from '@/csv') to '@/parquet' (format parquet, partition_by (year, land))
      2 2 972
    copy (from '@/csv' where land = 'no') to '@/plain' (format parquet, partition_by (year, land))
      1 1 486
    select id, year + 0 as year, land from '@/csv' order by id
      1 2013 no | 2 2014 -
    select id, year + 0 as year, land from '@/csv/*/*/*.csv' order by id
      1 2013 no | 2 2014 -
    select id, year + 0 as year, land from '@/parquet' order by id
      1 2013 no | 2 2014 -
    select id, year + 0 as year, land from '@/parquet/*/*/*.parquet' order by id
      1 2013 no | 2 2014 -
    select id, year + 0 as year, land from '@/plain' order by id
      1 2013 no
    select id, year + 0 as year, land from '@/plain/*/*/*.parquet' order by id
      1 2013 no
    select count(*) from '@/parquet' where year = 2014
      1
    select count(*) from '@/plain' where year = 2014
      0
    select * from read_csv('@/csv', hive_partitioning => false) order by id
      1 | 2
    select * from read_parquet('@/parquet', hive_partitioning => false) order by id
      1 | 2
    select land from '@/csv/year=2013/land=no/a.csv'
      no
    select land from '@/plain/year=2013/land=no/*.parquet'
      no
    ");
}

#[cfg(unix)]
#[tokio::test]
async fn rows_that_are_copied_to_a_pipe_come_out_at_its_other_end() {
    use std::os::unix::fs::FileTypeExt;
    let lake = TestLake::new();
    let pipe = lake.path().join("rows.csv");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let end = pipe.clone();
    let reader = std::thread::spawn(move || std::fs::read_to_string(end).unwrap());
    ask(&lake, "copy (select 1 as a, 'x' as b) to '@/rows.csv'").await;
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo(), "it is a pipe still");
    lake.note(&format!("read: {}", reader.join().unwrap().trim_end().replace('\n', " | ")));
    ask(&lake, "copy (select 1 as a, 2 as b) to '@/rows.csv' (format csv, partition_by (a))").await;
    assert_snapshot!(lake.story(), @"
    copy (select 1 as a, 'x' as b) to '@/rows.csv'
      1 1 8
    read: a,b | 1,x
    copy (select 1 as a, 2 as b) to '@/rows.csv' (format csv, partition_by (a))
      `@/rows.csv` is no folder, and a folder is to be written
    ");
}

#[test]
fn statements_begin_with_comments_and_come_from_any_editor() {
    let folder = tempfile::tempdir().unwrap();
    let told = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_elt"));
        let done = command.current_dir(folder.path()).args(args).env_clear().output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().replace('\n', " | ");
        match done.status.success() {
            true => text(&done.stdout),
            false => text(&done.stderr),
        }
    };
    assert_eq!(told(&["sql", "--format", "csv", "-c", "-- first\nselect 1 as a"]), "a | 1");
    std::fs::write(folder.path().join("marked.sql"), b"\xef\xbb\xbfselect 1 as a").unwrap();
    assert_eq!(told(&["sql", "--format", "csv", "-f", "marked.sql"]), "a | 1");
    std::fs::write(folder.path().join("old.sql"), b"select 1;\nselect '\xe9'").unwrap();
    let wrong = told(&["sql", "-f", "old.sql"]);
    assert!(wrong.contains("old.sql is not UTF-8: its line 2 has the byte 0xe9"), "{wrong}");
}
