{{ config(materialized='view') }}

select
    order_id,
    ordered_at,
    cast(ordered_at as date) as order_date,
    customer,
    amount,
    status,
    -- where each row came from: a failing test shows it
    _file_path,
    _row_number
from {{ source('shop', 'orders') }}
