-- Which were the worst days to fly?
--
-- By average delay, 8 and 9 February come only 21st and 16th of these three months. But that was
-- the snowstorm Nemo: more than half of all flights were cancelled, and the few that left were 15
-- and 18 minutes late, as on any busy evening. What never leaves is never late. Count the promises
-- kept, a cancelled flight being a broken one, and those days come second and third.

select
    flight_date,
    count(*) as scheduled,
    round(100 * avg(cast(status = 'cancelled' as int)), 1) as cancelled_percent,
    round(100 * avg(cast(is_on_time as int)), 1) as on_time_percent,
    round(avg(departure_delay_minutes), 1) as average_delay,
    rank() over (order by avg(departure_delay_minutes) desc) as place_by_delay
from fct_flights
group by flight_date
order by on_time_percent
limit 5;
