{{ config(severity='warn') }}
-- Airlines in this data fly nothing smaller than a commuter jet. Where the register says otherwise
-- it describes another aircraft: tail numbers are given on.

select *
from {{ ref('aircraft_use') }}
where seats < 20
