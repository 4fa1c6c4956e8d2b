-- When should one fly to arrive on time?
--
-- Before nine. A late aircraft makes its next departure late too, so delay grows from under two
-- minutes at dawn to twenty in the evening; only the night sets the clock back.

select
    extract(hour from scheduled_at) as hour,
    count(*) as flights,
    round(100 * avg(cast(is_on_time as int)), 1) as on_time_percent,
    round(avg(departure_delay_minutes), 1) as average_delay
from fct_flights
group by extract(hour from scheduled_at)
order by hour;
