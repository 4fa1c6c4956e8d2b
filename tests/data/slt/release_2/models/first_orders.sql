{{ config(materialized='view') }}
-- A view may look back itself.
select count(*) as orders from {{ ref('orders') }} as of release 1
