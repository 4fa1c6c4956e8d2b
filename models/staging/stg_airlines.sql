-- One row per airline.

select
    carrier,
    name as airline,
    _file_path,
    _row_number
from {{ source('nyc', 'airlines') }}
