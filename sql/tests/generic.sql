{# The four generic data tests of dbt. Each selects the rows that break the promise. #}

{% test unique(model, column_name) %}
select {{ column_name }}, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endtest %}

{% test not_null(model, column_name) %}
select *
from {{ model }}
where {{ column_name }} is null
{% endtest %}

{# A null is no wrong value: `not_null` tests for it. #}
{% test accepted_values(model, column_name, values, quote=true) %}
select *
from {{ model }}
where {{ column_name }} not in (
    {%- for value in values -%}
        {%- if quote -%} '{{ value | string | replace("'", "''") }}' {%- else -%} {{ value }} {%- endif -%}
        {{ ", " if not loop.last }}
    {%- endfor -%}
)
{% endtest %}

{% test relationships(model, column_name, to, field) %}
select *
from {{ model }}
where {{ column_name }} is not null
  and {{ column_name }} not in (select {{ field }} from {{ to }} where {{ field }} is not null)
{% endtest %}

{# What a source expects of each of its rows. What is unknown is not as it should be. #}
{% test elt_expectation(model, expect) %}
select *
from {{ model }}
where not coalesce(({{ expect }}), false)
{% endtest %}
