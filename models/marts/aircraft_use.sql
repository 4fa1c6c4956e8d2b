-- How hard does each aircraft work? Only its departures from New York are known.

with flown as (

    select * from {{ ref('fct_flights') }}
    where status <> 'cancelled'

),

register as (

    select * from {{ ref('stg_planes') }}

),

counted as (

    select
        tail_number,
        -- Nearly always one. A few aircraft change hands within the year.
        string_agg(distinct carrier, ', ' order by carrier) as carriers,
        count(*) as flights,
        count(distinct flight_date) as days_flown,
        sum(air_minutes) / 60.0 as air_hours,
        sum(distance_miles) as miles,
        max(distance_miles) as longest_flight_miles,
        avg(cast(is_on_time as int)) as on_time_share
    from flown
    group by tail_number

)

select
    counted.tail_number,
    counted.carriers,
    register.manufacturer,
    register.model,
    register.aircraft_type,
    register.built_year,
    register.seats,
    counted.flights,
    counted.days_flown,
    counted.air_hours,
    counted.miles,
    counted.longest_flight_miles,
    counted.on_time_share
from counted
left join register on counted.tail_number = register.tail_number
