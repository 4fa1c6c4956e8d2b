{# dbt_date, where its SQL is not DataFusion's. #}

{% macro elt__day_name(date, short=true, language='default') -%}
    {%- if language == 'default' -%}
        to_char({{ date }}, '{{ "%a" if short else "%A" }}')
    {%- else -%}
        {{ dbt_date.day_name_localized(date, short, language) }}
    {%- endif -%}
{%- endmacro %}

{% macro elt__month_name(date, short=true, language='default') -%}
    {%- if language == 'default' -%}
        to_char({{ date }}, '{{ "%b" if short else "%B" }}')
    {%- else -%}
        {{ dbt_date.month_name_localized(date, short, language) }}
    {%- endif -%}
{%- endmacro %}

{% macro elt__convert_timezone(column, target_tz, source_tz) -%}
    cast({{ column }} as timestamp) at time zone '{{ source_tz }}' at time zone '{{ target_tz }}'
{%- endmacro %}

{% macro elt__from_unixtimestamp(epochs, format='seconds') -%}
    {%- set functions = {'seconds': 'to_timestamp_seconds', 'milliseconds': 'to_timestamp_millis', 'microseconds': 'to_timestamp_micros', 'nanoseconds': 'to_timestamp_nanos'} -%}
    cast({{ functions[format] }}({{ epochs }}) as timestamp)
{%- endmacro %}

{% macro elt__to_unixtimestamp(timestamp) -%}
    cast(floor(date_part('epoch', cast({{ timestamp }} as timestamp))) as bigint)
{%- endmacro %}

{# Sunday is 1 and Saturday 7; with isoweek, Monday is 1 and Sunday 7. #}
{% macro elt__day_of_week(date, isoweek=true) -%}
    {%- if isoweek -%}
        case when date_part('dow', cast({{ date }} as date)) = 0 then 7 else cast(date_part('dow', cast({{ date }} as date)) as int) end
    {%- else -%}
        cast(date_part('dow', cast({{ date }} as date)) as int) + 1
    {%- endif -%}
{%- endmacro %}

{% macro elt__iso_week_start(date) -%} cast(date_trunc('week', {{ date }}) as date) {%- endmacro %}
{% macro elt__iso_week_of_year(date) -%} cast(date_part('week', {{ date }}) as int) {%- endmacro %}
{# Weeks of seven days from the first of January on. #}
{% macro elt__week_of_year(date) -%} cast(ceil(cast(date_part('doy', {{ date }}) as double) / 7) as int) {%- endmacro %}
{% macro elt__day_of_year(date) -%} cast(date_part('doy', {{ date }}) as int) {%- endmacro %}

{# The week that begins on Sunday. #}
{% macro elt__week_start(date) -%}
    cast(date_trunc('week', cast({{ date }} as date) + interval '1 day') - interval '1 day' as date)
{%- endmacro %}

{% macro elt__week_end(date) -%}
    cast(date_trunc('week', cast({{ date }} as date) + interval '1 day') + interval '5 day' as date)
{%- endmacro %}
