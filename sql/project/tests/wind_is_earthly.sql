{{ config(severity='warn') }}
-- No wind on Earth has been measured above 253 mph (Barrow Island, 1996). Newark's instruments
-- once claim 1,048. stg_weather takes such a reading for none at all.

select *
from {{ source('nyc', 'weather') }}
where wind_speed > 253
