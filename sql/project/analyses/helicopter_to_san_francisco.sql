-- Which are the smallest aircraft that carried passengers from New York, and how far did they go?
--
-- The register says that JetBlue crossed the continent in a five-seat helicopter and that Envoy
-- flew a Cessna to Raleigh and Detroit, twice a day. It is the register that is wrong: a tail number is
-- given to the next owner, and the register was read after the airliner had lost its own. Before
-- reporting the age or the seats of a fleet, ask how many rows are like these.

select
    tail_number,
    carriers,
    manufacturer,
    model,
    seats,
    flights,
    longest_flight_miles
from aircraft_use
where seats < 20
order by flights desc
limit 5;
