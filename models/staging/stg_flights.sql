-- One row per scheduled departure, cancelled ones included.

with flights as (

    select
        make_date(year, month, day) as flight_date,
        hour * 60 + minute as scheduled_minute,
        time_hour as scheduled_hour_utc,
        dep_time as departure_clock,
        sched_arr_time as scheduled_arrival_clock,
        arr_time as arrival_clock,
        dep_delay as departure_delay_minutes,
        arr_delay as arrival_delay_minutes,
        carrier,
        flight as flight_number,
        tailnum as tail_number,
        origin,
        dest as destination,
        air_time as air_minutes,
        distance as distance_miles,
        _load_id,
        _file_path,
        _row_number
    from {{ source('nyc', 'flights') }}

),

scheduled as (

    select
        *,
        -- Not without the origin: Southwest's 2269 leaves LaGuardia in the morning and Newark
        -- in the afternoon of the same day.
        concat_ws('-', flight_date, carrier, flight_number, origin) as flight_id,
        {{ plus_minutes('flight_date', 'scheduled_minute') }} as scheduled_at
    from flights

)

select
    flight_id,
    flight_date,
    scheduled_at,
    scheduled_hour_utc,
    -- The clock says 00:40 but not on which day, and sometimes it says 24:00. The schedule and
    -- the delay together know both.
    {{ plus_minutes('scheduled_at', 'departure_delay_minutes') }} as departed_at,
    departure_clock,
    scheduled_arrival_clock,
    arrival_clock,
    departure_delay_minutes,
    arrival_delay_minutes,
    carrier,
    flight_number,
    tail_number,
    origin,
    destination,
    air_minutes,
    distance_miles,
    _load_id,
    _file_path,
    _row_number
from scheduled
