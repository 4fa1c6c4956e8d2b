//! What people who come from other engines type, where it writes.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn maps_and_structs_are_columns() {
    let lake = TestLake::new();
    lake.sql("create table m (id int, tags map<varchar, int>, s struct(a int, b array<int>), n map(int, map(int, varchar)))").await;
    lake.sql("insert into m values (1, map {'x': 1, 'y': null}, {'a': 3, 'b': [1]}, map {1: map {2: 'z'}}), (2, null, null, null)").await;
    lake.sql("select id, tags['x'], s.a, n[1][2] from m order by id").await;
    lake.sql("update m set tags = map {'z': 9}, s = struct_update(s, a := 4) where id = 1").await;
    lake.sql("merge into m using (select 3 as id, map {'q': 7} as tags) s on m.id = s.id when matched then do nothing when not matched then insert (id, tags) values (s.id, s.tags)").await;
    lake.sql("select id, map_keys(tags), s.* from m order by id").await;
    lake.sql("create table copied as select id, tags from m where tags['z'] = 9").await;
    lake.sql("select * from copied").await;
    lake.sql("update m set s = default where id = 1").await;
    lake.sql("select count(s) from m").await;
    lake.sql("update m set s.a = 5").await;
    lake.sql("merge into m using copied c on m.id = c.id when matched and c.id = 1 then do nothing when matched then delete").await;
    lake.sql("create table u (a utinyint)").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: 1 1 3 z | 2 - - -
    sql: UPDATE 0 1 0 3
    sql: MERGE 1 0 0 4
    sql: 1 [z] 4 [1] | 2 - - - | 3 [q] - -
    sql: CREATE TABLE 1 0 0 5
    sql: 1 {z: 9}
    sql: UPDATE 0 1 0 6
    sql: 0
    sql: setting a member of a struct, `s.a`, is not supported
    sql: DO NOTHING before another clause of its kind is not supported
    sql: `utinyint` for the column `a` is not supported, because a lake's numbers have a sign
    ");
}
