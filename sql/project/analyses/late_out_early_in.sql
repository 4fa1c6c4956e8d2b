-- Who leaves late and still arrives early?
--
-- Timetables have slack in them, and some have much more than others. Hawaiian left half an hour's
-- worth in its eleven hours to Honolulu; but Endeavor (9E) wins back as much on hops of 470 miles
-- as Delta does on 1,200, and Frontier loses time in the air. Lateness at the gate, which is what
-- the terminal's boards show, says little about when one gets there.

select
    carrier,
    count(*) as arrived,
    round(avg(distance_miles)) as miles,
    round(avg(departure_delay_minutes), 1) as late_out,
    round(avg(arrival_delay_minutes), 1) as late_in,
    round(avg(departure_delay_minutes - arrival_delay_minutes), 1) as won_back
from fct_flights
where status = 'arrived'
group by carrier
having count(*) >= 50
order by won_back desc;
