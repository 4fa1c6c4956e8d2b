{# Where a model goes, and what it is called there. A project may define these itself. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        {{ target.schema }}_{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}

{#- What a project calls from its own `generate_schema_name` to have schemas of their own in production alone. -#}
{% macro generate_schema_name_for_env(custom_schema_name, node=none) -%}
    {%- if target.name == 'prod' and custom_schema_name is not none -%}
        {{ custom_schema_name | trim }}
    {%- else -%}
        {{ target.schema }}
    {%- endif -%}
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- if custom_alias_name -%}
        {{ custom_alias_name | trim }}
    {%- elif node.version -%}
        {{ node.name }}_v{{ node.version | replace('.', '_') }}
    {%- else -%}
        {{ node.name }}
    {%- endif -%}
{%- endmacro %}

{# Failing rows are shown in the report, never stored. #}
{% macro should_store_failures() %}{{ return(false) }}{% endmacro %}

{# A test's `where` is applied before the test sees its model, so this only hands the model on. #}
{% macro get_where_subquery(relation) -%}
    {{ return(relation) }}
{%- endmacro %}
