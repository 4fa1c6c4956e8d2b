//! Files as the world makes them: packed, encoded, ragged, cut off, huge.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use elt::lakehouse::BuildRequest;
use insta::assert_snapshot;

use crate::test_lake::TestLake;

const OWN: &str = "_file_path, _file_modification_time, _load_id";

/// Lands bytes as a file in a lake of their own; tells what became of them.
async fn landed(name: &str, bytes: &[u8], options: &[(&str, &str)]) -> String {
    let lake = TestLake::new();
    let path = format!("inbox/{name}");
    lake.write_bytes(&path, bytes);
    lake.land_as("raw.t", &[&path], options).await;
    let mut told = format!("{name}\n  {}", lake.story().replace("raw.t  ", ""));
    if told.contains("release 1") {
        let rows = lake.rows(&format!("select * exclude ({OWN}) from raw.t order by _row_number")).await;
        told += &format!("  {}\n", shortened(&rows));
        let rejects = lake.rows("select line, error_type, csv_line from raw.t__rejected order by line").await;
        if !rejects.starts_with("there is no table") {
            told += &format!("  rejected {}\n", shortened(&rejects));
        }
    }
    told
}

fn shortened(text: &str) -> String {
    let shown: String = text.chars().take(160).collect();
    let shown = shown.replace('\n', "\\n").replace('\0', "\\0").replace('\r', "\\r");
    if shown.len() < text.len() && text.chars().count() > 160 { format!("{shown}…") } else { shown }
}

#[tokio::test]
async fn text_arrives_however_it_was_packed_and_encoded() {
    let text = "id;name;price\n1;Åse;1,5\n2;Bø;2\n";
    let gzip = {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let bzip2 = {
        let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let xz = {
        let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 1);
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xFE\xFF".to_vec(), utf16.clone()].concat();
    let rows = "  land: read 2 loaded 2 rescued 0 rejected 0  release 1\n  1 Åse 1.5 - 2 | 2 Bø 2.0 - 3\n";
    let plain: [(&str, &str); 0] = [];
    for (name, bytes, options) in [
        ("a.csv", text.as_bytes(), &plain[..]),
        ("a.csv.gz", &gzip, &plain),
        ("a.csv.bz2", &bzip2, &plain),
        ("a.csv.xz", &xz, &plain),
        ("a.csv.zst", &zstd, &plain),
        ("packed_under_a_wrong_name.csv", &zstd, &plain),
        ("latin1.csv", &latin1, &[("encoding", "latin1")]),
        ("utf16.csv", &utf16, &[("encoding", "utf-16be")]),
        ("marked.csv", &marked, &plain),
        ("bom.csv", [b"\xEF\xBB\xBF", text.as_bytes()].concat().as_slice(), &plain),
        ("crlf.csv", text.replace('\n', "\r\n").as_bytes(), &plain),
        ("export", text.as_bytes(), &[("format", "csv")]),
    ] {
        assert_eq!(landed(name, bytes, options).await, format!("{name}\n{rows}"));
    }
    // Cut off anywhere, a packed file fails and loads nothing.
    for (name, bytes) in [("a.csv.gz", &gzip), ("a.csv.bz2", &bzip2), ("a.csv.xz", &xz), ("a.csv.zst", &zstd)]
    {
        for length in [bytes.len() / 2, bytes.len() - 1] {
            let told = landed(name, &bytes[..length], &[]).await;
            assert!(told.contains("is damaged: it cannot be read to its end as"), "{told}");
        }
    }
}

#[tokio::test]
async fn files_with_types_keep_them() {
    let who: ArrayRef = Arc::new(StringArray::from(vec![Some("Åse"), None]));
    let inner = StructArray::from(vec![(Arc::new(Field::new("who", DataType::Utf8, true)), who)]);
    let batch = RecordBatch::try_from_iter([
        ("Id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("o", Arc::new(inner) as ArrayRef),
    ])
    .unwrap();
    let parquet = {
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let file = {
        let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let stream = {
        let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let avro = {
        let schema = batch.schema().as_ref().clone();
        let mut writer = arrow_avro::writer::AvroWriter::new(Vec::new(), schema).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        writer.into_inner()
    };
    let rows =
        "  land: read 2 loaded 2 rescued 0 rejected 0  release 1\n  1 {who: Åse} - 1 | 2 {who: -} - 2\n";
    let files = [("a.parquet", &parquet), ("a.arrow", &file), ("a.arrows", &stream), ("a.avro", &avro)];
    for (name, bytes) in files {
        assert_eq!(landed(name, bytes, &[]).await, format!("{name}\n{rows}"));
        let told = landed(name, &bytes[..bytes.len() / 2], &[]).await;
        assert!(told.contains("is damaged"), "{told}");
        let told = landed("a.csv", bytes, &[]).await;
        assert!(told.contains("would be read as CSV, and is") || name == "a.arrows", "{told}");
    }
}

#[tokio::test]
async fn json_is_read_in_lines_in_arrays_and_in_pieces() {
    let mut told = String::new();
    for (name, text) in [
        ("lines.jsonl", "{\"id\":1}\n\n{\"id\":2,\"id\":3}\n{\"id\":\n[1]\n{\"id\":12345678901234567890}\n"),
        (
            "array.json",
            "[\n  {\"id\":1, \"tags\":[\"a\"]},\n  {\"id\":2, \"tags\":[]},\n  {\"id\":oops},\n  7\n]\n",
        ),
        ("pretty.json", "{\n  \"id\": 1,\n  \"at\": {\"x\": 1.5}\n}\n{\n  \"id\": 2\n}\n"),
        ("lines.json", "{\"id\":1}\n{\"id\":2}\n"),
        ("deep.jsonl", &format!("{{\"id\":1}}\n{{\"id\":{}1{}}}\n", "[".repeat(200), "]".repeat(200))),
        ("dates.jsonl", "{\"d\":\"2013-01-31\",\"s\":\"01\"}\n{\"d\":\"2013-02-01\",\"s\":\"x\"}\n"),
        ("cut_off.json", "[{\"id\":1},\n{\"id\":2"),
        ("no_objects.json", "[1, 2]"),
        ("empty.json", "[]"),
    ] {
        told += &landed(name, text.as_bytes(), &[]).await;
    }
    assert_snapshot!(told, @r#"
    lines.jsonl
      land: read 5 loaded 2 rescued 1 rejected 2  release 1
      1 - 1 | 2 {"id":3,"_file_path":"inbox/lines.jsonl"} 3 | 12345678901234567890 - 6
      rejected 4 invalid_json {"id": | 5 not_an_object [1]
    array.json
      land: read 4 loaded 2 rescued 0 rejected 2  release 1
      1 [a] - 2 | 2 [] - 3
      rejected 4 invalid_json {"id":oops} | 5 not_an_object 7
    pretty.json
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 {x: 1.5} - 1 | 2 - - 5
    lines.json
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 - 1 | 2 - 2
    deep.jsonl
      land: read 2 loaded 1 rescued 0 rejected 1  release 1
      1 - 1
      rejected 2 invalid_json {"id":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
    dates.jsonl
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      2013-01-31 01 - 1 | 2013-02-01 x - 2
    cut_off.json
      land: read 2 loaded 1 rescued 0 rejected 1  release 1
      1 - 1
      rejected 2 invalid_json {"id":2
    no_objects.json
      land: inbox/no_objects.json has 2 records and none is a JSON object
    empty.json
      land: empty  nothing new
    "#);
}

#[tokio::test]
async fn ragged_and_broken_csv_costs_the_broken_records_only() {
    let mut told = String::new();
    let mixed = b"id,name\n1,Os\xC3\xA5\n2,Os\xE5\n3,x\n";
    for (name, bytes) in [
        ("ragged.csv", &b"id,name\n1,a\n2\n3,c,d\n4,d\n"[..]),
        ("unclosed.csv", b"id,name\n1,\"a\n2,b\n3,\"c\"\n"),
        ("lines_in_fields.csv", b"id,name\n1,\"a\nb\r\nc\"\n2,d\n"),
        ("mixed_line_ends.csv", b"id,name\r\n1,a\n2,b\r\n3,c"),
        ("nul.csv", b"id,name\n1,a\0b\n2,c\n"),
        ("twice.csv", b"id,name,ID\n1,a,2\n"),
        ("unnamed.csv", b"id,,name\n1,a,2\n"),
        ("mixed_encodings.csv", mixed),
        ("latin1_header.csv", b"id,stra\xDFe\n1,a\n"),
        ("empty.csv", b""),
        ("blank.csv", b"\n\n\n"),
        ("header_only.csv", b"id,name\n"),
        ("no_header.csv", b"1,Oslo,2013-01-01\n2,Rome,2013-01-02\n"),
        ("workbook.csv", b"PK\x03\x04something"),
        ("readme", b"id\n1\n"),
        ("nulls.csv", b"id,name,n\n1,\\N,\n,\"\",3\n"),
        ("dates.csv", b"a,b,c,d\n2013-01-31,31.01.2013,01/31/2013 11:00 PM,31-Jan-2013\n2013-02-01,01.02.2013,02/01/2013 1:00 AM,01-Feb-2013\n"),
        ("beyond_64_bits.csv", b"a,b\n9223372036854775808,1\n1,2\n"),
        ("quoted_by_apostrophes.csv", b"id;name\n1;'a;b'\n2;'c'\n"),
    ] {
        told += &landed(name, bytes, &[]).await;
    }
    assert_snapshot!(told, @r#"
    ragged.csv
      land: read 4 loaded 2 rescued 0 rejected 2  release 1
      1 a - 2 | 4 d - 5
      rejected 3 too_few_fields 2 | 4 too_many_fields 3,c,d
    unclosed.csv
      land: read 3 loaded 2 rescued 0 rejected 1  release 1
      2 b - 3 | 3 c - 4
      rejected 2 text_after_quote 1,"a
    lines_in_fields.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 a\nb\r\nc - 2 | 2 d - 5
    mixed_line_ends.csv
      land: read 3 loaded 3 rescued 0 rejected 0  release 1
      1 a - 2 | 2 b - 3 | 3 c - 4
    nul.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 a\0b - 2 | 2 c - 3
    twice.csv
      land: columns of inbox/twice.csv would both be named `id`: `id`, `ID`
    unnamed.csv
      land: read 1 loaded 1 rescued 0 rejected 0  release 1
      1 a 2 - 2
    mixed_encodings.csv
      land: read 3 loaded 2 rescued 0 rejected 1  release 1
      1 Oså - 2 | 3 x - 4
      rejected 3 invalid_utf8 2,Os�
    latin1_header.csv
      land: inbox/latin1_header.csv is text in a form that is not read: the header is not valid UTF-8
    empty.csv
      land: empty  nothing new
    blank.csv
      land: empty  nothing new
    header_only.csv
      land: read 0 loaded 0 rescued 0 rejected 0  release 1
      no rows
    no_header.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 Oslo 2013-01-01 - 1 | 2 Rome 2013-01-02 - 2
    workbook.csv
      land: inbox/workbook.csv would be read as CSV, and is a zip archive, perhaps an Excel workbook
    readme
      land: cannot tell the format of inbox/readme
    nulls.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 - - - 2 | -  3 - 3
    dates.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      2013-01-31 2013-01-31 2013-01-31T23:00:00 2013-01-31 - 2 | 2013-02-01 2013-02-01 2013-02-01T01:00:00 2013-02-01 - 3
    beyond_64_bits.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      9223372036854775808 1 - 2 | 1 2 - 3
    quoted_by_apostrophes.csv
      land: read 2 loaded 2 rescued 0 rejected 0  release 1
      1 a;b - 2 | 2 c - 3
    "#);
}

#[tokio::test]
async fn a_type_that_changes_late_is_seen_in_the_first_load_and_rescued_in_later_ones() {
    let lake = TestLake::new();
    let numbers = |from: u64| (from..from + 20_000).map(|n| format!("{n}\n")).collect::<String>();
    lake.write_bytes("inbox/a.csv", format!("id\n{}x\n", numbers(0)).as_bytes());
    lake.land_as("raw.late", &["inbox/a.csv"], &[]).await;
    lake.sql("select arrow_typeof(id) as t, count(*) from raw.late group by t").await;
    lake.write_bytes("inbox/b.csv", format!("id\n{}", numbers(0)).as_bytes());
    lake.land_as("raw.early", &["inbox/b.csv"], &[]).await;
    lake.write_bytes("inbox/c.csv", format!("id\n{}x\n", numbers(1)).as_bytes());
    lake.land_as("raw.early", &["inbox/c.csv"], &[]).await;
    lake.sql("select _row_number, _rescued_data from raw.early where id is null").await;
    assert_snapshot!(lake.story(), @r#"
    land: raw.late  read 20001 loaded 20001 rescued 0 rejected 0  release 1
    sql: Utf8View 20001
    land: raw.early  read 20000 loaded 20000 rescued 0 rejected 0  release 2
    land: raw.early  read 20001 loaded 20000 rescued 1 rejected 0  release 3
    sql: 20002 {"id":"x","_file_path":"inbox/c.csv"}
    "#);
}

#[tokio::test]
async fn a_field_of_ten_megabytes_arrives_whole() {
    let lake = TestLake::new();
    let long = "lorem \"\"ipsum\"\"\n".repeat(600_000);
    lake.write_bytes("inbox/a.csv", format!("id,t\n1,\"{long}\"\n2,short\n").as_bytes());
    lake.write_bytes(
        "inbox/b.jsonl",
        format!("{{\"id\":3,\"t\":\"{}\"}}\n", "x".repeat(10_000_000)).as_bytes(),
    );
    lake.land_as("raw.long", &["inbox"], &[]).await;
    lake.sql("select id, length(t) as l, _row_number from raw.long order by id").await;
    assert_snapshot!(lake.story(), @"
    land: raw.long  read 2 loaded 2 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0  release 1
    sql: 1 8400000 2 | 2 5 600003 | 3 10000000 1
    ");
}

#[tokio::test]
async fn columns_may_come_in_any_order_and_many_files_become_one() {
    let lake = TestLake::on_disk();
    for n in 0..200 {
        let text = if n % 2 == 0 { format!("id,city\n{n},Oslo\n") } else { format!("City,ID\nRome,{n}\n") };
        lake.write_bytes(&format!("inbox/{n}.csv"), text.as_bytes());
    }
    let landed = lake.try_land("raw.many", &["inbox"], &[], false).await.unwrap();
    assert_eq!(landed.report.accounts().map(|account| account.loaded).sum::<u64>(), 200);
    lake.sql(
        "select count(*), count(distinct id), count(distinct _file_path), count(distinct city) from raw.many",
    )
    .await;
    let files = std::fs::read_dir(lake.table_folder("raw.many")).unwrap();
    let data = files.filter(|file| file.as_ref().unwrap().path().is_file()).count();
    lake.note(&format!("data files: {data}"));
    assert_snapshot!(lake.story(), @"
    sql: 200 200 200 2
    data files: 1
    ");
}

#[tokio::test]
async fn a_source_says_all_of_this_in_its_config() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        sources:
          - name: crm
            tables:
              - name: people
                config:
                  location: 'inbox/*.txt'
                  format: csv
                  encoding: latin1
                  date_format: DD/MM/YYYY
                  null_values: [NA, '']
                  schema_hints: 'price decimal(10,2)'
                  schema_contract: {columns: freeze, data_type: discard_row}
                  meta: {max_rejected: 3}
        ",
    );
    lake.write("models/n.sql", "select count(*) as n from {{ source('crm', 'people') }}");
    lake.write_bytes("inbox/a.txt", b"id;city;since;price\n1;Troms\xF8;01/02/2013;1,5\nNA;NA;NA;NA\n");
    lake.build().await;
    lake.write_bytes("inbox/b.txt", b"id;city;since;price\nx;Oslo;01/02/2013;1,5\n");
    lake.build().await;
    lake.sql("select id, city, since, price from crm.people order by id").await;
    lake.write_bytes("inbox/c.txt", b"id;city;since;price;more\n3;Oslo;01/02/2013;1,5;7\n");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: landed crm.people  read 2 loaded 2 rescued 0 rejected 0
    build: n view (no rows)
    build: release 1
    build: landed crm.people  known, read 1 loaded 0 rescued 0 rejected 1
    build: n view (no rows)
    build: release 2
    sql: 1 Tromsø 2013-02-01 1.50 | - - - -
    build: inbox/c.txt:2 has a column `more`, and the table has none
    ");
}
