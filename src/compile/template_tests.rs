//! Does each word of a template give what Python's dbt gives?

use super::tests::{Written, rendered};
use crate::base::show_all;

/// Macros that the templates below call.
const MACROS: &str = r#"
    {% macro two(a, b=2) %}{{ a }}/{{ b }}{% endmacro %}
    {% macro any() %}{{ varargs }}{{ kwargs }}{% endmacro %}
    {% macro rows(list) %}{% for x in list %}{{ caller(x, loop.index) }};{% endfor %}{% endmacro %}
    {% macro twice() %}{{ caller() }}{{ caller() }}{% endmacro %}
    {% macro plain() %}x{% endmacro %}
    {% macro between(a=1, b=a, c=3) %}{{ a }}{{ b }}{{ c }}{% endmacro %}
    {% macro after(a, b=a, c=[b, 'x']) -%}  {{ a }}-{{ b }}-{{ c }}{% endmacro %}
"#;

fn check(all: &[(&str, &str)]) {
    let wrong: Vec<String> = all
        .iter()
        .map(|(template, expected)| (rendered(template, MACROS), template, expected))
        .filter(|(found, _, expected)| found != **expected)
        .map(|(found, template, expected)| format!("{template}\n  found    {found}\n  expected {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_default_may_be_made_of_parameters_before_it() {
    check(&[
        ("{{ after('k') }}", "k-k-['k', 'x']"),
        ("{{ after('k', b='z') }} {{ after('k', c=1) }}", "k-z-['z', 'x'] k-k-1"),
        ("{{ between() }} {{ between(c=4) }} {{ between(5, 6) }}", "113 114 563"),
        ("{{ after('k', none) }}", "k-None-[None, 'x']"),
    ]);
}

#[test]
fn words_and_brackets_need_no_blank_between_them() {
    check(&[
        ("{{ 'a' in['a'] }} {% for x in[1, 2] %}{{ x }}{% endfor %} {{ 'x' if not{} }}", "True 12 x"),
        ("{{ {'a': 1}.to_dict() }}", "{'a': 1}"),
        ("{% do context.update({'zz': 5}) %}{{ zz }} {{ context.get('zz') }}", "5 5"),
        (
            "{{ builtins.ref is defined }} {{ builtins.get('nope') }} {{ builtins.ref.config.project_name }}",
            "True None shop",
        ),
        ("{{ '1_000' | int }} {{ \"<'>\" | escape }}", "1000 &lt;&#39;&gt;"),
        (
            "{{ 'x' == 'x' | as_bool }} {{ 'b' in ['a', 'b'] | as_bool }} {{ '1' | as_number + 1 }}",
            "True True 2",
        ),
    ]);
}

#[test]
fn dates_are_added_up_as_python_does() {
    check(&[
        (
            "{% set d = modules.datetime.date %}{{ (d(2024, 3, 1) - d(2024, 2, 1)).days }} {{ d(2024, 3, 1) - d(2024, 2, 1) }}",
            "29 29 days, 0:00:00",
        ),
        (
            "{% set t = modules.datetime.timedelta %}{{ t(days=1, hours=2) * 2 }} {{ 3 * t(hours=1) }} {{ t(hours=3) / 2 }} {{ t(days=1) / t(hours=1) }} {{ t(hours=5) // t(hours=2) }}",
            "2 days, 4:00:00 3:00:00 1:30:00 24.0 2",
        ),
        (
            "{% set t = modules.datetime.timedelta %}{{ t(hours=1) - t(hours=2) }} {{ t(seconds=1.5) }} {{ (t(days=1) - t(seconds=1)).seconds }} {{ t(milliseconds=1500).total_seconds() }}",
            "-1 day, 23:00:00 0:00:01.500000 86399 1.5",
        ),
        (
            "{% set by = modules.datetime.timedelta(days=1) %}{% set at = modules.datetime.datetime(2024, 1, 31) %}{{ at + by }} {{ by + at }} {{ at - by }} {{ (at - by - by).date() }}",
            "2024-02-01 00:00:00 2024-02-01 00:00:00 2024-01-30 00:00:00 2024-01-29",
        ),
        (
            "{{ modules.datetime.date(2024, 1, 1) + modules.datetime.timedelta(hours=30) }} {{ modules.datetime.date(2024, 1, 1).isocalendar()[1] }} {{ (run_started_at - run_started_at).days }}",
            "2024-01-02 1 0",
        ),
        (
            "{% set a, b = 7, 2 %}{{ a - b }} {{ a + b * a }} {{ a / b }} {{ a // b }} {{ 'x' * b }} {{ [1] + [a] }} {{ ('x' ~ a) + 'y' }}",
            "5 21 3.5 3 xx [1, 7] x7y",
        ),
        (
            "{{ dates_in_range('20240130', '20240202') }} {{ dates_in_range('2024-01-01', in_fmt='%Y-%m-%d', out_fmt='%d') }}",
            "['20240130', '20240131', '20240201', '20240202'] ['01']",
        ),
        (
            "{{ partition_range('20240101,20240103') | length }} {{ partition_range(20240101) }}",
            "3 ['20240101']",
        ),
        (
            "{{ dates_in_range('20240102', '20240101') }}",
            "models/m.sql:1:4: Partition start date is after the end date (2024-01-02 00:00:00, 2024-01-01 00:00:00)",
        ),
        (
            "{{ run_started_at - modules.datetime.datetime.now() }}",
            "models/m.sql:1:4: can't subtract offset-naive and offset-aware datetimes",
        ),
        (
            "{% set d = modules.datetime.date(2024, 1, 1) %}{{ d + 1 }}",
            "models/m.sql:1:51: tried to use + operator on unsupported types plain object and number",
        ),
        (
            "{% set d, n = modules.datetime.date(2024, 1, 1), 1 %}{{ d + n }}",
            "models/m.sql:1:57: there is no `+` between a date and `1`",
        ),
    ]);
}

#[test]
fn macros_refuse_what_they_do_not_take() {
    check(&[
        ("{{ two(1) }} {{ two(b=1, a=2) }} {{ any(1, 2, z=3) }} {{ any() }}", "1/2 2/1 (1, 2){'z': 3} (){}"),
        (
            "{{ two(1, zz=3) }}",
            "models/m.sql:1:4: the macro `two` takes no keyword argument 'zz' (its parameters are: a, b)",
        ),
        (
            "{{ two(1, 2, 3) }}",
            "models/m.sql:1:4: the macro `two` takes not more than 2 argument(s) (its parameters are: a, b)",
        ),
        (
            "{{ two(1, a=3) }}",
            "models/m.sql:1:4: the macro `two` got multiple values for argument 'a' (its parameters are: a, b)",
        ),
        (
            "{{ shop.plain(1) }}",
            "models/m.sql:1:8: the macro `plain` takes not more than 0 argument(s) (it takes no arguments)",
        ),
        (
            "{% call plain() %}x{% endcall %}",
            "models/m.sql:1:9: the macro `plain` takes no call block: it never calls `caller()` (it takes no arguments)",
        ),
        (
            "{{ dbt.type_string(1) }}",
            "models/m.sql:1:7: the macro `type_string` takes not more than 0 argument(s) (it takes no arguments)",
        ),
        ("{% set by = 10 %}{% call(x, n) rows(['a', 'b']) %}{{ x }}{{ n * by }}{% endcall %}", "a10;b20;"),
        ("{% call twice() %}y{% endcall %}", "yy"),
        ("{% set l = [] %}{% call(x, n) rows([1, 2]) %}{% do l.append(x) %}{% endcall %}{{ l }}", ";;[1, 2]"),
        (
            "{{ ref('orders', foo=1) }}",
            "models/m.sql:1:4: ref() takes no keyword argument `foo` (it takes a name, or a package and a name, and `v` or `version`)",
        ),
    ]);
}

#[test]
fn settings_that_nobody_set_are_those_of_dbt() {
    check(&[
        (
            "{{ config.get('materialized') }} {{ config.require('materialized') }} {{ model.config.materialized }} {{ config.get('on_schema_change') }}",
            "view view view ignore",
        ),
        (
            "{{ config.get('tags') }} {{ config.get('unique_key') }} {{ config.get('unique_key', 'd') }} {{ config.get('nokey', 'd') }} {{ model.config.enabled }} {{ model.config.contract.enforced }}",
            "[] None None d True False",
        ),
        (
            "{{ config(pre_hook='select 1', tags='a') }}{{ config.get('pre_hook') }} {{ config.get('tags') }}",
            "select 1 ['a']",
        ),
        (
            "{{ model.path }} {{ model.original_file_path }} {{ model.language }} {{ model.depends_on.nodes }} {{ model.description }}",
            "m.sql models/m.sql sql []",
        ),
        (
            "{{ config(tags=5) }}",
            "models/m.sql:1:11: `tags` must be a text or a list of texts, and here is 5 (numbers and words such as `yes` are texts in quotes)",
        ),
        (
            "{{ config(meta='x') }}",
            "models/m.sql:1:11: `meta` must be a mapping, and here is \"x\" (numbers and words such as `yes` are texts in quotes)",
        ),
        (
            "{{ config({'pre-hook': 'select 1'}, pre_hook='select 2') }}",
            "models/m.sql:1:4: Invalid config, has conflicting keys \"pre_hook\" and \"pre-hook\" (they are two spellings of one setting; keep one, with a list if there are several hooks)",
        ),
    ]);
}

#[test]
fn lists_sets_and_the_modules_of_python_are_there() {
    check(&[
        (
            "{{ fromyaml('[x, y, yes, 012, 1e3]') }} {{ fromyaml('') }} {{ fromyaml('{') if false }}{{ fromyaml('[', 'd') }}",
            "['x', 'y', True, 10, '1e3'] None d",
        ),
        ("{{ toyaml({'b': ['x'], 'a': 'yes'}) | trim }}", "b: - x a: 'yes'"),
        (
            "{{ toyaml({'b': 1, 'a': 2}, sort_keys=true) | trim }} {{ {'b': 1, 'a': 2} | tojson }} {{ tojson({'b': 1, 'a': 2}) }}",
            "a: 2 b: 1 {\"a\": 2, \"b\": 1} {\"b\": 1, \"a\": 2}",
        ),
        (
            "{{ zip([1, 2], ['a', 'b']) }} {{ zip(1, 2) }} {{ zip(1, 2, default='d') }} {{ set(5, 'd') }}",
            "[(1, 'a'), (2, 'b')] None d d",
        ),
        (
            "{% set s = set([2, 1, 2]) %}{% do s.add(3) %}{{ s }} {{ s - set([1]) }} {{ s.symmetric_difference([3, 4]) }} {{ s.issuperset([1]) }} {{ set([]) }} {{ s | length }} {{ 2 in s }}",
            "{1, 2, 3} {2, 3} {1, 2, 4} True set() 3 True",
        ),
        (
            "{% set l = [3, 1, 2] %}{% do l.sort(reverse=true) %}{{ l }} {{ l.index(1, 1) }} {{ ['a', 1, none, ('x',)] }} {{ {'a': 1}.popitem() }}",
            "[3, 2, 1] 2 ['a', 1, None, ('x',)] ('a', 1)",
        ),
        (
            "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }} {% set j = joiner() %}{{ j() }}x{{ j() }}y",
            "aba x, y",
        ),
        (
            "{% set m = modules.re.match('(?P<n>\\w)(x)?', 'abc') %}{{ m.groupdict() }} {{ m.groups() }} {{ m.groups('-') }} {{ m['n'] }} {{ m.span() }} {{ m.start(2) }} {{ m.group(1, 2) }}",
            "{'n': 'a'} ('a', None) ('a', '-') a (0, 1) -1 ('a', None)",
        ),
        (
            "{{ modules.re.split('([,;])', 'a,b;c', 1) }} {{ modules.re.subn('a', 'b', 'aaa', 2) }} {{ modules.re.findall('(a)(b)', 'abab') }} {{ modules.re.compile('x').pattern }}",
            "['a', ',', 'b;c'] ('bba', 2) [('a', 'b'), ('a', 'b')] x",
        ),
        (
            "{% set i = modules.itertools %}{{ i.accumulate([1, 2, 3]) | list }} {{ i.product([1, 2], repeat=2) | list }} {{ i.permutations([1, 2]) | list }} {{ i.chain.from_iterable([[1], [2]]) | list }}",
            "[1, 3, 6] [(1, 1), (1, 2), (2, 1), (2, 2)] [(1, 2), (2, 1)] [1, 2]",
        ),
        (
            "{% set i = modules.itertools %}{{ i.combinations_with_replacement([1, 2], 2) | list }} {{ i.zip_longest([1], [2, 3], fillvalue=0) | list }} {{ i.islice([1, 2, 3, 4], 1, none, 2) | list }} {{ i.compress([1, 2], [0, 1]) | list }} {{ i.repeat('x', 2) | list }}",
            "[(1, 1), (1, 2), (2, 2)] [(1, 2), (0, 3)] [2, 4] [2] ['x', 'x']",
        ),
        (
            "{{ modules.itertools.count() }}",
            "models/m.sql:1:21: not supported yet: `modules.itertools.count()` without an end (instead loop over range() or use repeat(value, times))",
        ),
    ]);
}

#[test]
fn macros_of_dbt_can_be_called() {
    check(&[
        (
            "{{ snapshot_hash_arguments(['a', 'b']) }}",
            "md5(coalesce(cast(a as varchar), '') || '|' || coalesce(cast(b as varchar), ''))",
        ),
        (
            "{{ information_schema_name(none) }} {{ dbt.information_schema_name('elt') }} {{ get_limit_sql('select 1', 5) | replace('\\n', ' ') }} {{ get_batch_size() }}",
            "information_schema elt.information_schema select 1 limit 5 10000",
        ),
        ("{{ format_column(api.Column('Id', 'int')).formatted }} {{ run_hooks([]) | trim }}", "id int"),
    ]);
    let project = Written::new(&[
        ("models/m.sql", "select 1 as id"),
        ("macros/m.sql", "{% macro elt__get_merge_sql(a) %}{% endmacro %}{% macro mine() %}{% endmacro %}"),
    ]);
    let (_, found) = project.compile();
    assert_eq!(
        show_all(&found).trim(),
        "macros/m.sql:1:10: elt never asks `get_merge_sql`: it makes and changes tables by itself (instead use a setting, a hook, a strategy of your own (`get_incremental_<name>_sql`), or call the macro yourself)"
    );
}

#[test]
fn yaml_files_are_read_as_python_reads_them() {
    let project = Written::new(&[
        (
            "models/m.sql",
            "select 1 as id -- {{ var('flag') }} {{ var('mode') }} {{ var('n') }} {{ var('yes') }} {{ var('most') }}",
        ),
        ("models/n.sql", "{{ config(materialized='table') }} select 1 as id"),
        (
            "dbt_project.yml",
            "name: shop\nvars: {flag: on, mode: 0755, n: 1e3, 'yes': no, most: .inf}\nmodels:\n  +enabled: yes\n",
        ),
        (
            "models/s.yml",
            "models:\n  - name: n\n    docs: {show: no, node_color: red}\nsources:\n  - name: raw\n    tables:\n      - name: t\n        loaded_at_query: \"select max(at) from {{ this }}\"\n        freshness: {warn_after: {count: 1, period: day}}\n",
        ),
    ]);
    let manifest = project.manifest();
    let sql = |name: &str| manifest.models().find(|node| node.name == name).unwrap().sql.clone();
    assert_eq!(sql("m"), "select 1 as id -- True 493 1e3 False inf");
    let node = manifest.models().find(|node| node.name == "n").unwrap();
    assert_eq!(node.config.get("docs").unwrap().to_string(), r#"{"show":false,"node_color":"red"}"#);
    let age = manifest.nodes.values().find_map(|node| match &node.kind {
        super::node::NodeKind::Source(source) => source.freshness.clone(),
        _ => None,
    });
    assert_eq!(age.unwrap().loaded_at_query.as_deref(), Some("select max(at) from raw.t"));
    let project = Written::new(&[
        ("models/m.sql", "select 1 as id"),
        (
            "models/s.yml",
            "models:\n  - name: m\n    config: {pre_hook: select 1, pre-hook: select 2, tags: [1]}\n",
        ),
    ]);
    let told = project.mistakes();
    assert!(
        told.contains(
            "models/s.yml:3:34: Invalid config, has conflicting keys \"pre_hook\" and \"pre-hook\""
        ),
        "{told}"
    );
    assert!(told.contains("`tags` must be a text or a list of texts, and here is [1]"), "{told}");
}
