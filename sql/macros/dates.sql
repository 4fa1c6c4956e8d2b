{# Dates and times, as dbt's cross-database macros. #}

{% macro current_timestamp() %}cast(now() as timestamp(6)){% endmacro %}
{% macro current_timestamp_backcompat() %}{{ current_timestamp() }}{% endmacro %}
{% macro current_timestamp_in_utc_backcompat() %}{{ current_timestamp() }}{% endmacro %}

{% macro date(year, month, day) -%}
    make_date(cast({{ year }} as int), cast({{ month }} as int), cast({{ day }} as int))
{%- endmacro %}

{% macro date_trunc(datepart, date) -%}
    date_trunc('{{ datepart }}', cast({{ date }} as timestamp(6)))
{%- endmacro %}

{# Weeks and quarters are counted in days and months, which every interval knows. #}
{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
    {%- set part = datepart | lower | trim -%}
    {%- set unit, factor = part, 1 -%}
    {%- if part == 'quarter' -%}{%- set unit, factor = 'month', 3 -%}{%- endif -%}
    {%- if part == 'week' -%}{%- set unit, factor = 'day', 7 -%}{%- endif -%}
    (cast({{ from_date_or_timestamp }} as timestamp(6)) + cast(cast(({{ interval }}) * {{ factor }} as varchar) || ' {{ unit }}' as interval))
{%- endmacro %}

{# The number of boundaries of `datepart` between two instants, as in Snowflake and Redshift. #}
{% macro datediff(first_date, second_date, datepart) -%}
    {%- set part = datepart | lower | trim -%}
    {%- set a = 'cast(' ~ first_date ~ ' as timestamp(6))' -%}
    {%- set b = 'cast(' ~ second_date ~ ' as timestamp(6))' -%}
    {%- set years = "(date_part('year', " ~ b ~ ") - date_part('year', " ~ a ~ "))" -%}
    {%- set seconds = {'week': 604800, 'hour': 3600, 'minute': 60, 'second': 1} -%}
    {%- if part == 'year' -%}
        cast({{ years }} as bigint)
    {%- elif part == 'quarter' -%}
        cast({{ years }} * 4 + date_part('quarter', {{ b }}) - date_part('quarter', {{ a }}) as bigint)
    {%- elif part == 'month' -%}
        cast({{ years }} * 12 + date_part('month', {{ b }}) - date_part('month', {{ a }}) as bigint)
    {%- elif part == 'day' -%}
        cast(cast({{ b }} as date) - cast({{ a }} as date) as bigint)
    {%- elif part in seconds -%}
        cast((date_part('epoch', date_trunc('{{ part }}', {{ b }})) - date_part('epoch', date_trunc('{{ part }}', {{ a }}))) / {{ seconds[part] }} as bigint)
    {%- else -%}
        {{ exceptions.raise_compiler_error("datediff does not know the part `" ~ datepart ~ "`; it knows year, quarter, month, week, day, hour, minute and second") }}
    {%- endif -%}
{%- endmacro %}

{% macro last_day(date, datepart) -%}
    cast({{ dateadd('day', -1, dateadd(datepart, 1, date_trunc(datepart, date))) }} as date)
{%- endmacro %}

{# One row per `datepart` from start_date up to, and without, end_date. #}
{% macro date_spine(datepart, start_date, end_date) %}
    select {{ dateadd(datepart, 'step.value', start_date) }} as date_{{ datepart }}
    from generate_series(0, {{ datediff(start_date, end_date, datepart) }} - 1) as step(value)
{% endmacro %}

{% macro generate_series(upper_bound) %}
    select value as generated_number from generate_series(1, {{ upper_bound }}) as series(value)
{% endmacro %}
