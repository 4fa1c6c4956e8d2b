{{ config(materialized='view') }}
with spending as (select * from {{ ref('spending') }})
select name, total from spending where total >= 25
