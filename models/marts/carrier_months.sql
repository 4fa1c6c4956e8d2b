-- How punctual was each airline in each month?

with flights as (

    select
        *,
        cast(date_trunc('month', flight_date) as date) as month
    from {{ ref('fct_flights') }}

),

airlines as (

    select * from {{ ref('stg_airlines') }}

),

counted as (

    select
        month,
        carrier,
        count(*) as flights,
        count(*) filter (where status = 'cancelled') as cancelled,
        count(*) filter (where status = 'diverted') as diverted,
        avg(cast(is_on_time as int)) as on_time_share,
        avg(departure_delay_minutes) as average_departure_delay,
        avg(arrival_delay_minutes) as average_arrival_delay
    from flights
    group by month, carrier

)

select
    counted.month,
    counted.carrier,
    airlines.airline,
    counted.flights,
    counted.cancelled,
    counted.diverted,
    counted.on_time_share,
    counted.average_departure_delay,
    counted.average_arrival_delay,
    cast(rank() over (partition by counted.month order by counted.on_time_share desc) as bigint) as punctuality_rank
from counted
left join airlines on counted.carrier = airlines.carrier
