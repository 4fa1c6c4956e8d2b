-- What does the weather cost, at each airport?

with flights as (

    select * from {{ ref('int_flight_weather') }}

),

counted as (

    select
        origin,
        weather,
        count(*) as flights,
        avg(cast(status = 'cancelled' as int)) as cancelled_share,
        avg(cast(is_on_time as int)) as on_time_share,
        avg(departure_delay_minutes) as average_departure_delay
    from flights
    group by origin, weather

),

fair as (

    select * from counted
    where weather = 'fair'

)

select
    counted.origin,
    counted.weather,
    counted.flights,
    counted.cancelled_share,
    counted.on_time_share,
    counted.average_departure_delay,
    counted.average_departure_delay - fair.average_departure_delay as delay_above_fair
from counted
left join fair on counted.origin = fair.origin
