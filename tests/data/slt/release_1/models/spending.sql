{{ config(materialized='view') }}
select c.name, count(o.id) as orders, sum(o.amount) as total
from {{ ref('customers') }} c
left join {{ ref('orders') }} o on o.customer = c.id
group by c.name
