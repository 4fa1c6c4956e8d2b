-- The airline reports the schedule, the delay and the clock at departure. Any two give the third.
-- Midnight may be written 0 or 2400.

select *
from {{ ref('stg_flights') }}
where extract(hour from departed_at) * 100 + extract(minute from departed_at) <> departure_clock % 2400
