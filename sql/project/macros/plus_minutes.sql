{# A date or timestamp, and so many minutes later. Minutes may be negative; null gives null.

   SQL here can add `interval '5 minutes'` but cannot multiply an interval by a column, so the
   interval is spelled out. `||` and not concat(): concat() would skip a null and leave ' minutes'. #}
{% macro plus_minutes(moment, minutes) -%}
cast({{ moment }} as timestamp(6)) + cast(cast({{ minutes }} as varchar) || ' minutes' as interval)
{%- endmacro %}
