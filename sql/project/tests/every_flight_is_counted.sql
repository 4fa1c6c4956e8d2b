-- A join that drops or doubles flights shows here: each mart adds up to the flights it was made of.

with flights as (

    select
        count(*) as scheduled,
        count(*) filter (where status <> 'cancelled') as flown
    from {{ ref('fct_flights') }}

),

marts as (

    select 'carrier_months' as mart, sum(flights) as counted, max(scheduled) as expected
    from {{ ref('carrier_months') }} cross join flights
    union all
    select 'weather_delays' as mart, sum(flights) as counted, max(scheduled) as expected
    from {{ ref('weather_delays') }} cross join flights
    union all
    select 'busiest_routes' as mart, sum(flights) as counted, max(scheduled) as expected
    from {{ ref('busiest_routes') }} cross join flights
    union all
    select 'aircraft_use' as mart, sum(flights) as counted, max(flown) as expected
    from {{ ref('aircraft_use') }} cross join flights

)

select * from marts
where counted is distinct from expected
