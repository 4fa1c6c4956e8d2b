{{ config(materialized='table', schema='after') }}
select 2 as order_id, 'too small' as reason
