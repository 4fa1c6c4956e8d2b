{# What dbt's own library has around an adapter, for projects that call it by name. #}

{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) %}{% set sql = caller() %}{% endmacro %}
{% macro create_schema(relation) %}{% endmacro %}
{% macro get_columns_in_relation(relation) %}{{ return(adapter.get_columns_in_relation(relation)) }}{% endmacro %}
{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}{{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) }}{% endmacro %}
{% macro generate_database_name(custom_database_name=none, node=none) %}{{ target.database if custom_database_name is none else custom_database_name | trim }}{% endmacro %}
{% macro type_date() %}date{% endmacro %}
{% macro type_array(inner_type='varchar') %}{{ inner_type }}[]{% endmacro %}
{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) %}select * from ({{ select_sql }}) as __dbt_sbq where false limit 0{% endmacro %}
{% macro convert_datetime(date_str, date_fmt) %}{{ return(modules.datetime.datetime.strptime(date_str.strip(), date_fmt)) }}{% endmacro %}

{# The days from start_date up to and with end_date, as texts of out_fmt, or as Python's datetimes. #}
{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt='%Y%m%d', out_fmt='%Y%m%d') %}
    {% set start = convert_datetime(start_date_str, in_fmt) %}
    {% set end = convert_datetime(start_date_str if end_date_str is none else end_date_str, in_fmt) %}
    {% if end < start %}
        {{ exceptions.raise_compiler_error('Partition start date is after the end date (' ~ start ~ ', ' ~ end ~ ')') }}
    {% endif %}
    {% set all = [] %}
    {% for after in range(0, (end - start).days + 1) %}
        {% set day = start + modules.datetime.timedelta(days=after) %}
        {% do all.append(day.strftime(out_fmt) if out_fmt else day) %}
    {% endfor %}
    {{ return(all) }}
{% endmacro %}

{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') %}
    {% set parts = (raw_partition_date | string).split(',') %}
    {% if parts | length > 2 %}
        {{ exceptions.raise_compiler_error('Invalid partition time. Expected format: {Start Date}[,{End Date}]. Got: ' ~ raw_partition_date) }}
    {% endif %}
    {{ return(dates_in_range(parts[0], parts[1] if parts | length == 2 else none, in_fmt=date_fmt)) }}
{% endmacro %}

{% macro set_sql_header(config) %}{% do config.set('sql_header', caller()) %}{% endmacro %}

{% macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') %}{{ return(make_temp_relation(base_relation, suffix)) }}{% endmacro %}
{% macro make_backup_relation(base_relation, backup_relation_type='table', suffix='__dbt_backup') %}{{ return(make_temp_relation(base_relation, suffix)) }}{% endmacro %}
{% macro get_or_create_relation(database, schema, identifier, type) %}
    {% set found = adapter.get_relation(database=database, schema=schema, identifier=identifier) %}
    {% if found %}{{ return([true, found]) }}{% endif %}
    {{ return([false, api.Relation.create(database=database, schema=schema, identifier=identifier, type=type)]) }}
{% endmacro %}
{% macro should_full_refresh() %}{{ return(flags.FULL_REFRESH if config.get('full_refresh') is none else config.get('full_refresh')) }}{% endmacro %}
{% macro py_current_timestring() %}{{ return(modules.datetime.datetime.now().strftime('%Y%m%d%H%M%S%f')) }}{% endmacro %}
{% macro get_limit_subquery_sql(sql, limit) %}select * from ({{ sql }}) as model_limit_subq limit {{ limit }}{% endmacro %}
{% macro get_empty_schema_sql(columns) %}select {% for name in columns %}cast(null as {{ columns[name].data_type }}) as {{ name }}{{ ', ' if not loop.last }}{% endfor %} limit 0{% endmacro %}
{% macro get_quoted_csv(column_names) %}{% set all = [] %}{% for name in column_names %}{% do all.append(adapter.quote(name)) %}{% endfor %}{{ return(all | join(', ')) }}{% endmacro %}
{% macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) %}
    {% set all = [] %}
    {% if merge_update_columns %}{{ return(merge_update_columns) }}{% endif %}
    {% for column in dest_columns if column.name not in (merge_exclude_columns or []) %}{% do all.append(column.quoted) %}{% endfor %}
    {{ return(all) }}
{% endmacro %}
{% macro snapshot_get_time() %}{{ current_timestamp() }}{% endmacro %}
{% macro diff_columns(source_columns, target_columns) %}
    {% set all, known = [], target_columns | map(attribute='name') | map('lower') | list %}
    {% for column in source_columns if column.name | lower not in known %}{% do all.append(column) %}{% endfor %}
    {{ return(all) }}
{% endmacro %}
{% macro diff_column_data_types(source_columns, target_columns) %}
    {% set all = [] %}
    {% for new in source_columns %}{% for old in target_columns if old.name | lower == new.name | lower and old.data_type != new.data_type %}
        {% do all.append({'column_name': old.name, 'new_type': new.data_type}) %}
    {% endfor %}{% endfor %}
    {{ return(all) }}
{% endmacro %}
{% macro get_powers_of_two(upper_bound) %}
    {% for at in range(1, 100) if 2 ** at >= upper_bound %}{{ return(at) }}{% endfor %}
{% endmacro %}
