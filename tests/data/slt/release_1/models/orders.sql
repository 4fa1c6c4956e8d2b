{{ config(materialized='incremental', unique_key='id') }}
select id, customer, amount, ordered_at, _load_id from {{ source('shop', 'orders') }}
{% if is_incremental() %} where _load_id > (select max(_load_id) from {{ this }}) {% endif %}
