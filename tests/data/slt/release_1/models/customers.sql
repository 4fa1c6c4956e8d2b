{{ config(materialized='table') }}
select id, name, city, since from {{ source('shop', 'customers') }}
