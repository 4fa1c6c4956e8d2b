{# What dbt's own library has around an adapter, for projects that call it by name. #}

{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) %}{% endmacro %}
{% macro create_schema(relation) %}{% endmacro %}
{% macro get_columns_in_relation(relation) %}{{ return(adapter.get_columns_in_relation(relation)) }}{% endmacro %}
{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}{{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) }}{% endmacro %}
{% macro generate_database_name(custom_database_name=none, node=none) %}{{ target.database }}{% endmacro %}
{% macro type_date() %}date{% endmacro %}
{% macro type_array(inner_type='varchar') %}{{ inner_type }}[]{% endmacro %}
{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) %}select * from ({{ select_sql }}) as __dbt_sbq where false limit 0{% endmacro %}
{% macro convert_datetime(date_str, date_fmt) %}{{ return(modules.datetime.datetime.strptime(date_str, date_fmt)) }}{% endmacro %}

{# The instants from start_date up to and with end_date, as Python's datetimes. #}
{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt='%Y%m%d', out_fmt='%Y%m%d') %}
    {% set start = convert_datetime(start_date_str, in_fmt) %}
    {% set end = convert_datetime(end_date_str or start_date_str, in_fmt) %}
    {% set found = namespace(day=start, all=[]) %}
    {% for _ in range(0, 36600) if found.day <= end %}
        {% do found.all.append(found.day.strftime(out_fmt)) %}
        {% set found.day = found.day + modules.datetime.timedelta(days=1) %}
    {% endfor %}
    {{ return(found.all) }}
{% endmacro %}

{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') %}
    {% set parts = (raw_partition_date | string).split(',') %}
    {{ return(dates_in_range(parts[0] | trim, parts[-1] | trim, in_fmt=date_fmt)) }}
{% endmacro %}
