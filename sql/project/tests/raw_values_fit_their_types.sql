-- A value that does not fit its column's type is rescued as JSON, and the column is null. None is.

select 'flights' as source_table, _rescued_data, _file_path, _row_number
from {{ source('nyc', 'flights') }} where _rescued_data is not null
union all
select 'weather' as source_table, _rescued_data, _file_path, _row_number
from {{ source('nyc', 'weather') }} where _rescued_data is not null
union all
select 'planes' as source_table, _rescued_data, _file_path, _row_number
from {{ source('nyc', 'planes') }} where _rescued_data is not null
union all
select 'airports' as source_table, _rescued_data, _file_path, _row_number
from {{ source('nyc', 'airports') }} where _rescued_data is not null
union all
select 'airlines' as source_table, _rescued_data, _file_path, _row_number
from {{ source('nyc', 'airlines') }} where _rescued_data is not null
