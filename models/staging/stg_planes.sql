-- One row per tail number in the register.

select
    tailnum as tail_number,
    year as built_year,
    type as aircraft_type,
    manufacturer,
    model,
    engines,
    engine as engine_type,
    seats,
    speed as cruising_mph,
    _file_path,
    _row_number
from {{ source('nyc', 'planes') }}
