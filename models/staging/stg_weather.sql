-- One row per airport and hour.

select
    origin as airport,
    -- Local hours repeat when the clocks go back. Join on UTC; this one is for people.
    {{ plus_minutes('make_date(year, month, day)', 'hour * 60') }} as observed_at,
    time_hour as observed_hour_utc,
    temp as temperature_f,
    dewp as dew_point_f,
    humid as humidity_percent,
    wind_dir as wind_from_degrees,
    -- The strongest wind ever measured on Earth was 253 mph. More than that is a broken instrument.
    case when wind_speed <= 253 then wind_speed end as wind_mph,
    wind_gust as gust_mph,
    precip as rain_inches,
    pressure as pressure_millibars,
    visib as visibility_miles,
    _file_path,
    _row_number
from {{ source('nyc', 'weather') }}
