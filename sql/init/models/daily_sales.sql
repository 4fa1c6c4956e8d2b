select
    order_date,
    count(*) as orders,
    count(distinct customer) as customers,
    sum(amount) as amount
from {{ ref('stg_orders') }}
where status = 'paid'
group by order_date
