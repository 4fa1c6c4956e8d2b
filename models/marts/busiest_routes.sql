-- Which routes carry the traffic, and who shares them?

with flights as (

    select * from {{ ref('fct_flights') }}

),

airports as (

    select * from {{ ref('stg_airports') }}

),

routes as (

    select
        origin,
        destination,
        count(*) as flights,
        count(distinct carrier) as carriers,
        max(distance_miles) as distance_miles,
        avg(cast(status = 'cancelled' as int)) as cancelled_share,
        avg(cast(is_on_time as int)) as on_time_share,
        avg(arrival_delay_minutes) as average_arrival_delay
    from flights
    group by origin, destination

)

select
    concat(routes.origin, '-', routes.destination) as route,
    routes.origin,
    routes.destination,
    airports.airport_name as destination_name,
    routes.flights,
    cast(rank() over (order by routes.flights desc) as bigint) as traffic_rank,
    routes.carriers,
    routes.distance_miles,
    routes.cancelled_share,
    routes.on_time_share,
    routes.average_arrival_delay
from routes
left join airports on routes.destination = airports.airport
