{{ config(severity='warn') }}
-- When the clocks go back, on 3 November, one local hour comes twice at each airport. That is no
-- mistake in the data; it is a trap for whoever joins on local time.

select
    airport,
    observed_at,
    count(*) as times
from {{ ref('stg_weather') }}
group by airport, observed_at
having count(*) > 1
