{# dbt_utils, where its SQL is not DataFusion's. The first ones are of versions before 1.0, which had them. #}

{% macro elt__dateadd(datepart, interval, from_date_or_timestamp) %}{{ return(dbt.dateadd(datepart, interval, from_date_or_timestamp)) }}{% endmacro %}
{% macro elt__datediff(first_date, second_date, datepart) %}{{ return(dbt.datediff(first_date, second_date, datepart)) }}{% endmacro %}
{% macro elt__date_trunc(datepart, date) %}{{ return(dbt.date_trunc(datepart, date)) }}{% endmacro %}
{% macro elt__last_day(date, datepart) %}{{ return(dbt.last_day(date, datepart)) }}{% endmacro %}
{% macro elt__current_timestamp() %}{{ return(dbt.current_timestamp()) }}{% endmacro %}
{% macro elt__type_string() %}{{ return(dbt.type_string()) }}{% endmacro %}
{% macro elt__type_timestamp() %}{{ return(dbt.type_timestamp()) }}{% endmacro %}
{% macro elt__type_float() %}{{ return(dbt.type_float()) }}{% endmacro %}
{% macro elt__type_numeric() %}{{ return(dbt.type_numeric()) }}{% endmacro %}
{% macro elt__type_int() %}{{ return(dbt.type_int()) }}{% endmacro %}
{% macro elt__type_bigint() %}{{ return(dbt.type_bigint()) }}{% endmacro %}
{% macro elt__split_part(string_text, delimiter_text, part_number) %}{{ return(dbt.split_part(string_text, delimiter_text, part_number)) }}{% endmacro %}
{% macro elt__hash(field) %}{{ return(dbt.hash(field)) }}{% endmacro %}

{% macro elt__width_bucket(expr, min_value, max_value, num_buckets) -%}
    {%- set width -%} ((cast({{ max_value }} as double) - {{ min_value }}) / {{ num_buckets }}) {%- endset -%}
    case
        when {{ expr }} < {{ min_value }} then 0
        when {{ expr }} >= {{ max_value }} then {{ num_buckets }} + 1
        else cast(floor((cast({{ expr }} as double) - {{ min_value }}) / {{ width }}) as int) + 1
    end
{%- endmacro %}
