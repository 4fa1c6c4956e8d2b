{# dbt_expectations, where its SQL is not DataFusion's. #}

{% macro elt__regexp_instr(source_value, regexp, position, occurrence, is_raw, flags) -%}
    {#- `c`, which other engines have for heeding case, is what is done without a flag. -#}
    {%- set flags = flags | replace('c', '') -%}
    regexp_instr({{ source_value }}, '{{ regexp }}', {{ position }}, {{ occurrence }}{% if flags %}, '{{ flags }}'{% endif %})
{%- endmacro %}

{% macro elt__type_timestamp() -%}
    timestamp
{%- endmacro %}

{% macro elt__type_datetime() -%}
    timestamp
{%- endmacro %}
