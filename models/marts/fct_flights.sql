-- One row per scheduled departure, and how it went.

{{ config(materialized='incremental', incremental_strategy='merge', unique_key='flight_id') }}

with landed as (

    select * from {{ ref('stg_flights') }}
    {% if is_incremental() -%}
    -- By load and not by date: a correction of an old flight is news too.
    where _load_id > (select coalesce(max(_load_id), '') from {{ this }})
    {%- endif %}

),

newest as (

    select
        flight_id,
        max(_load_id) as _load_id
    from landed
    group by flight_id

),

last_word as (

    -- A flight that a later load sends again replaces what was said of it before. Twice in one
    -- load is a mistake: both stay, and the unique test says so.
    select landed.*
    from landed
    join newest
        on landed.flight_id = newest.flight_id
        and landed._load_id = newest._load_id

),

judged as (

    select
        *,
        case
            when departed_at is null then 'cancelled'
            when arrival_delay_minutes is null then 'diverted'
            else 'arrived'
        end as status
    from last_word

)

select
    flight_id,
    flight_date,
    scheduled_at,
    scheduled_hour_utc,
    departed_at,
    carrier,
    flight_number,
    tail_number,
    origin,
    destination,
    status,
    -- The Department of Transportation's rule: under 15 minutes late. Not to arrive is not on time.
    status = 'arrived' and arrival_delay_minutes < 15 as is_on_time,
    departure_delay_minutes,
    arrival_delay_minutes,
    air_minutes,
    distance_miles,
    _load_id,
    _file_path,
    _row_number
from judged
