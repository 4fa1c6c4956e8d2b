-- Each flight with one word for the weather at its airport in the hour it was due to leave.

with flights as (

    select * from {{ ref('fct_flights') }}

),

weather as (

    select * from {{ ref('stg_weather') }}

),

described as (

    -- The first that applies: what stops more traffic comes before what stops less.
    -- Rain gauges miss dry snow, so thick air in the cold counts as snow too.
    select
        airport,
        observed_hour_utc,
        case
            when temperature_f <= 32 and (rain_inches > 0 or visibility_miles < 3) then 'snow or ice'
            when rain_inches > 0 then 'rain'
            when visibility_miles < 3 then 'fog'
            when wind_mph >= 25 or gust_mph >= 35 then 'strong wind'
            else 'fair'
        end as weather
    from weather

)

select
    flights.flight_id,
    flights.origin,
    flights.status,
    flights.is_on_time,
    flights.departure_delay_minutes,
    coalesce(described.weather, 'not observed') as weather
from flights
left join described
    on flights.origin = described.airport
    and flights.scheduled_hour_utc = described.observed_hour_utc
