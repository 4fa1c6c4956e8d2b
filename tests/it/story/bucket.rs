//! Files in an object store. Without `ELT_TEST_BUCKET` there is none, and nothing is tested:
//! `python3 tests/interop/bucket.py cargo test --test it bucket`.

use std::collections::BTreeMap;

use elt::lake::connect;
use insta::assert_snapshot;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::test_lake::TestLake;

/// An inbox in the bucket, and its URL.
struct Inbox {
    store: std::sync::Arc<dyn object_store::ObjectStore>,
    folder: Path,
    url: String,
}

impl Inbox {
    #[expect(clippy::disallowed_methods, reason = "where the bucket is, only the environment knows")]
    fn open(name: &str) -> Option<Self> {
        let bucket = std::env::var("ELT_TEST_BUCKET").ok()?;
        let env: BTreeMap<String, String> = std::env::vars().collect();
        let url = format!("{bucket}/inbox-{name}-{}", std::process::id());
        let (store, folder) = connect(&url::Url::parse(&url).unwrap(), &env).unwrap();
        Some(Self { store, folder, url })
    }

    async fn put(&self, file: &str, text: &str) {
        // Path::from would escape what folders of Hive have escaped already.
        let path = Path::parse(format!("{}/{file}", self.folder)).unwrap();
        self.store.put(&path, text.to_owned().into()).await.unwrap();
    }
}

#[tokio::test]
async fn files_of_a_bucket_are_loaded_once_by_folder_glob_and_copy_into() {
    let Some(inbox) = Inbox::open("once") else { return };
    let lake = TestLake::new();
    inbox.put("a.csv", "id,city\n1,Oslo\n").await;
    inbox.put(".hidden.csv", "id,city\n9,Nowhere\n").await;
    inbox.put("deep/e.csv", "id,city\n5,Deep\n").await;
    inbox.put("year=2013/b.csv", "id,city\n2,Rome\n").await;
    lake.land_as("crm.people", &[&inbox.url], &[]).await;
    lake.land_as("crm.people", &[&format!("{}/", inbox.url)], &[]).await;
    lake.land_as("crm.people", &[&format!("{}/**/*.csv", inbox.url)], &[]).await;
    inbox.put("a.csv", "id,city\n1,Bergen\n").await;
    lake.land_as("crm.people", &[&inbox.url], &[]).await;
    lake.land_as("crm.people", &[&inbox.url], &[("on_change", "reload")]).await;
    inbox.put("c.csv", "id,city\n1,Bergen\n").await;
    inbox.put("d.csv.gz", "this is not packed").await;
    let into = format!("copy into crm.people from '{}' fileformat = csv", inbox.url);
    lake.sql(&format!("{into} pattern = '{{c,d}}.csv*'")).await;
    inbox.put("f.csv", "id,city\n6,Lima\n").await;
    lake.sql(&format!("{into} files = ('a.csv', 'f.csv')")).await;
    lake.sql("select id, city, year from crm.people order by id").await;
    lake.land_as("crm.people", &[&format!("{}/none.csv", inbox.url)], &[]).await;
    let story = lake.story().replace(&inbox.url, "@");
    assert_snapshot!(story, @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0  release 1
    land: crm.people  known, known  nothing new
    land: crm.people  known, read 1 loaded 1 rescued 0 rejected 0, known  release 2
    land: crm.people  changed: @/a.csv, known  nothing new
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0, known  release 3
    sql: @/d.csv.gz is damaged: it cannot be read to its end as gzip
    sql: 1 1 0 0 0 1 1 0 4
    sql: 1 Bergen - | 2 Rome 2013 | 5 Deep - | 6 Lima -
    land: there is no file or folder: @/none.csv
    ");
}

#[tokio::test]
async fn copies_go_to_a_bucket_whole_and_give_way_as_on_a_disk() {
    let Some(inbox) = Inbox::open("out") else { return };
    let lake = TestLake::new();
    let rows = "select value as id, value % 2 as half from range(5)";
    for copy in [
        format!("copy ({rows}) to '@/o.csv'"),
        format!("copy ({rows}) to '@/o.csv' (overwrite false)"),
        "copy (select 7 as id) to '@/o.csv'".into(),
        format!("copy ({rows}) to '@/by' (format csv, partition_by (half))"),
        format!("copy ({rows}) to '@/by' (format csv, partition_by (half))"),
        "copy (select 9 as id, 1 as half) to '@/by' (format csv, partition_by (half), overwrite true)".into(),
        "copy (select 10 as id, 1 as half) to '@/by' (format csv, partition_by (half), append true)".into(),
        "copy (select value as id, random() as x from range(1500000)) to '@/big.parquet'".into(),
        "copy (select 1 as id) to 'https://127.0.0.1/o.csv'".into(),
        "copy (select 1 as id) to 'nowhere://x/o.csv'".into(),
    ] {
        lake.sql(&copy.replace('@', &inbox.url)).await;
    }
    let files = |store: std::sync::Arc<dyn object_store::ObjectStore>, folder: Path| async move {
        let listed = futures::TryStreamExt::try_collect::<Vec<_>>(store.list(Some(&folder))).await.unwrap();
        let mut names: Vec<String> = listed
            .iter()
            .map(|meta| meta.location.as_ref().strip_prefix(folder.as_ref()).unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let names = files(std::sync::Arc::clone(&inbox.store), inbox.folder.clone()).await;
    let appended = names.iter().filter(|name| name.starts_with("/by/half=1/data_")).count();
    lake.note(&format!("{} files, {appended} of half=1", names.len()));
    lake.land_as("raw.o", &[&format!("{}/by", inbox.url)], &[]).await;
    lake.land_as("raw.big", &[&format!("{}/big.parquet", inbox.url)], &[]).await;
    lake.sql("select id, half from raw.o order by id").await;
    let sizes =
        inbox.store.head(&Path::parse(format!("{}/big.parquet", inbox.folder)).unwrap()).await.unwrap();
    assert!(sizes.size > 8 << 20, "not sent in pieces: {} bytes", sizes.size);
    let story = lake.story().replace(&inbox.url, "@").replace(&sizes.size.to_string(), "some");
    assert_snapshot!(story, @r#"
    sql: 5 1 28
    sql: `@/o.csv` is there already
    sql: 1 1 5
    sql: 5 2 16
    sql: `@/by` is there already
    sql: 1 1 5
    sql: 1 1 6
    sql: 1500000 1 some
    sql: `https://127.0.0.1/o.csv` is on a web server, which takes no files
    sql: `nowhere://x/o.csv`: Unable to recognise URL "nowhere://x/o.csv"
    4 files, 2 of half=1
    land: raw.o  read 1 loaded 1 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0  release 1
    land: raw.big  read 1500000 loaded 1500000 rescued 0 rejected 0  release 2
    sql: 9 1 | 10 1
    "#);
}
