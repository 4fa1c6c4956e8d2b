{{ config(materialized='view') }}
-- The table is named outright, without ref().
select count(*) as orders from orders
