{# Parts of dbt's own materializations that projects call. elt materializes by itself and asks none of them. #}

{# How many parts of a date lie between two expressions: a number, for a loop. #}
{% macro get_intervals_between(start_date, end_date, datepart) %}
    {% set found = run_query('select ' ~ dbt.datediff(start_date, end_date, datepart) ~ ' as n') %}
    {% if not found %}{{ return(1) }}{% endif %}
    {{ return(found.columns[0][0]) }}
{% endmacro %}

{% macro snapshot_hash_arguments(args) %}md5({% for arg in args %}coalesce(cast({{ arg }} as varchar), ''){{ " || '|' || " if not loop.last }}{% endfor %}){% endmacro %}
{% macro snapshot_string_as_time(timestamp) %}{{ return("cast('" ~ timestamp ~ "' as timestamp)") }}{% endmacro %}
{% macro information_schema_name(database) %}{{ database ~ '.' if database }}information_schema{% endmacro %}
{% macro get_limit_sql(sql, limit) %}{{ sql }}{{ '\nlimit ' ~ limit if limit is not none }}{% endmacro %}
{% macro get_show_sql(compiled_code, sql_header, limit) %}{{ sql_header ~ '\n' if sql_header is not none }}{{ get_limit_sql(compiled_code, limit) }}{% endmacro %}
{% macro format_column(column) %}{{ return({'name': column.name, 'data_type': column.dtype, 'formatted': column.column.lower() ~ ' ' ~ column.dtype}) }}{% endmacro %}
{% macro format_columns(columns) %}
    {% set all = [] %}
    {% for column in columns %}{% do all.append(format_column(column)) %}{% endfor %}
    {{ return(all) }}
{% endmacro %}
{% macro get_list_of_column_names(columns) %}{{ return(columns | map(attribute='name') | list) }}{% endmacro %}
{% macro get_select_subquery(sql) %}select * from ({{ sql }}) as model_subq{% endmacro %}
{% macro get_batch_size() %}{{ return(10000) }}{% endmacro %}
{% macro get_binding_char() %}{{ return('%s') }}{% endmacro %}
{% macro get_true_sql() %}true{% endmacro %}

{% macro list_relations_without_caching(schema_relation) %}{{ return(adapter.list_relations_without_caching(schema_relation)) }}{% endmacro %}
{% macro load_cached_relation(relation) %}{{ return(adapter.get_relation(database=relation.database, schema=relation.schema, identifier=relation.identifier)) }}{% endmacro %}
{% macro drop_relation(relation) %}{{ return(adapter.drop_relation(relation)) }}{% endmacro %}
{% macro drop_relation_if_exists(relation) %}{% if relation is not none %}{{ return(adapter.drop_relation(relation)) }}{% endif %}{% endmacro %}
{% macro truncate_relation(relation) %}{{ return(adapter.truncate_relation(relation)) }}{% endmacro %}
{% macro rename_relation(from_relation, to_relation) %}{{ return(adapter.rename_relation(from_relation, to_relation)) }}{% endmacro %}
{% macro list_schemas(database) %}{{ return(run_query('select distinct schema_name from information_schema.schemata')) }}{% endmacro %}
{% macro check_schema_exists(information_schema, schema) %}{{ return(run_query("select count(*) from information_schema.schemata where schema_name = '" ~ schema ~ "'")) }}{% endmacro %}

{# A table for each column of the schemas: what the catalog of the docs is made of. #}
{% macro get_catalog(information_schema, schemas) %}
    {% set names = [] %}
    {% for schema in schemas %}{% do names.append("'" ~ (schema | string | lower) ~ "'") %}{% endfor %}
    {% set query %}
        select c.table_catalog as table_database, c.table_schema, c.table_name, t.table_type, cast(null as varchar) as table_comment,
            c.column_name, c.ordinal_position as column_index, c.data_type as column_type, cast(null as varchar) as column_comment,
            cast(null as varchar) as table_owner
        from information_schema.columns as c
        join information_schema.tables as t on c.table_schema = t.table_schema and c.table_name = t.table_name
        where lower(c.table_schema) in ({{ names | join(', ') if names else "''" }})
        order by 2, 3, 7
    {% endset %}
    {{ return(run_query(query)) }}
{% endmacro %}

{% macro make_hook_config(sql, inside_transaction) %}{{ tojson({'sql': sql, 'transaction': inside_transaction}) }}{% endmacro %}
{% macro before_begin(sql) %}{{ make_hook_config(sql, inside_transaction=false) }}{% endmacro %}
{% macro in_transaction(sql) %}{{ make_hook_config(sql, inside_transaction=true) }}{% endmacro %}
{% macro after_commit(sql) %}{{ make_hook_config(sql, inside_transaction=false) }}{% endmacro %}
{% macro run_hooks(hooks, inside_transaction=true) %}
    {% for hook in hooks if (hook.get('transaction', true) if hook is mapping else true) == inside_transaction %}
        {% set rendered = render(hook.get('sql') if hook is mapping else hook) | trim %}
        {% if rendered %}{% call statement(auto_begin=inside_transaction) %}{{ rendered }}{% endcall %}{% endif %}
    {% endfor %}
{% endmacro %}

{% macro get_merge_unique_key_match(source_unique_key, target_unique_key) %}{{ return(source_unique_key ~ ' = ' ~ target_unique_key) }}{% endmacro %}

{# One statement that brings the rows of `source` into `target`: those of a known key in the place of what is there. #}
{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {% set names = get_quoted_csv(dest_columns | map(attribute='name')) %}
    {% set update = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) %}
    {% set keys = [unique_key] if unique_key is string else (unique_key or []) %}
    {% set conditions = [] %}
    {% for predicate in ([incremental_predicates] if incremental_predicates is string else incremental_predicates or []) %}{% do conditions.append('(' ~ predicate ~ ')') %}{% endfor %}
    {% for key in keys %}{% do conditions.append(get_merge_unique_key_match('DBT_INTERNAL_SOURCE.' ~ key, 'DBT_INTERNAL_DEST.' ~ key)) %}{% endfor %}
    merge into {{ target }} as DBT_INTERNAL_DEST
    using {{ source }} as DBT_INTERNAL_SOURCE
    on {{ conditions | join(' and ') if keys else 'false' }}
    {% if keys %}when matched then update set {% for column in update %}{{ column }} = DBT_INTERNAL_SOURCE.{{ column }}{{ ', ' if not loop.last }}{% endfor %}{% endif %}
    when not matched then insert ({{ names }}) values ({{ names }})
{% endmacro %}

{% macro get_insert_into_sql(target_relation, temp_relation, dest_columns) %}
    {% set names = get_quoted_csv(dest_columns | map(attribute='name')) %}
    insert into {{ target_relation }} ({{ names }}) select {{ names }} from {{ temp_relation }}
{% endmacro %}

{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
    {% set names = get_quoted_csv(dest_columns | map(attribute='name')) %}
    {% set keys = [unique_key] if unique_key is string else (unique_key or []) %}
    {% if keys %}
        delete from {{ target }} where ({{ keys | join(', ') }}) in (select {{ keys | join(', ') }} from {{ source }})
        {% for predicate in incremental_predicates or [] %} and {{ predicate }}{% endfor %};
    {% endif %}
    insert into {{ target }} ({{ names }}) select {{ names }} from {{ source }}
{% endmacro %}

{% macro create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {{ return(adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code, language)) }}
{%- endmacro %}

{% macro default__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    create or replace {{ 'temporary ' if temporary }}table {{ relation }} as
    {{ compiled_code }}
{%- endmacro %}

{% macro create_view_as(relation, sql) -%}
    {{ return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) }}
{%- endmacro %}

{% macro default__create_view_as(relation, sql) -%}
    create or replace view {{ relation }} as
    {{ sql }}
{%- endmacro %}
