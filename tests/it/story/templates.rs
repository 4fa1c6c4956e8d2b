//! What templates find in the lake, and do with it.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn the_answer_of_a_query_is_a_table_as_agate_has_it() {
    let lake = TestLake::new();
    lake.write(
        "models/m.sql",
        r#"
        {% set t = run_query("select 2 as a, 'x' as b union all select 1, 'y' union all select 1, 'y' order by 1, 2") %}
        {% if execute %}
            {% set told = [
                t.rename({'a': 'z'}).column_names, t.rename(['p', 'q']).column_names, t.exclude(['a']).column_names,
                t.select('b').rows[0].values(), t.order_by('a', reverse=true).rows[0]['a'], t.limit(1).rows | length,
                t.limit(1, 3).rows | length, t.distinct('a').rows | length, t.distinct().rows.values() | length,
                t.rows.keys(), t.rows[-1].a, t.columns['a'].values(),
            ] %}
            {% for one in told %}select {{ loop.index }} as n, '{{ one | string | replace("'", '"') }}' as told {{ 'union all' if not loop.last }} {% endfor %}
        {% else %}select 1 as n, '' as told{% endif %}
        "#,
    );
    lake.write(
        "models/days.sql",
        "select {{ get_intervals_between(\"date '2024-01-01'\", \"date '2024-01-11'\", 'day') }} as n",
    );
    lake.build().await;
    lake.sql("select told from m order by n").await;
    lake.sql("select n from days").await;
    lake.write("models/m.sql", "{% set t = run_query('select 1 as a') %}{% if execute %}{% do t.select(['b']) %}{% endif %}select 1 as n");
    lake.build().await;
    assert_snapshot!(lake.story(), @r#"
    build: days view (no rows)
    build: m view (no rows)
    build: release 1
    sql: ["z", "b"] | ["p", "q"] | ["b"] | ("y",) | 2 | 1 | 2 | 2 | 2 | [0, 1, 2] | 2 | (1, 1, 2)
    sql: 10
    build: days view (no rows)  NOT PUBLISHED: `m` failed
    build: m ERROR the table has no column `b`  NOT PUBLISHED: it could not be built
    build: no release
    "#);
}

#[tokio::test]
async fn what_the_graph_says_of_a_model_is_known_to_its_template() {
    let lake = TestLake::new();
    lake.write("models/orders.sql", "select 1 as id");
    lake.write(
        "models/m.sql",
        "select '{% if execute %}{{ model.depends_on.nodes[0] }} {{ model['refs'][0].name }}{% endif %}' as told from {{ ref('orders') }}",
    );
    lake.build().await;
    assert_eq!(lake.rows("select told from m").await, "model.test.orders orders");
}
