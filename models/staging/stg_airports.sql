-- One row per airport of the United States.

select
    faa as airport,
    name as airport_name,
    lat as latitude,
    lon as longitude,
    alt as altitude_feet,
    tz as utc_offset_hours,
    dst as daylight_saving,
    tzone as time_zone,
    _file_path,
    _row_number
from {{ source('nyc', 'airports') }}
