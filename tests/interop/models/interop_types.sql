-- A row of ordinary values, a row at the edges, a row of nulls: every type that a table can have.
-- The second build updates two of the three and adds a fourth.

{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id') }}

{% set last = 4 if is_incremental() else 3 %}

select
    id,
    cast(tiny as tinyint) as tiny,
    cast(small as smallint) as small,
    cast(whole as int) as whole,
    cast(big as bigint) as big,
    cast(single as float) as single,
    cast(twice as double) as twice,
    cast(exact as decimal(38, 2)) as exact,
    cast(price as decimal(9, 4)) as price,
    flag,
    words,
    bytes,
    cast(day as date) as day,
    cast(local_time as timestamp) as local_time,
    cast(instant as timestamptz) as instant,
    [id, null, 3] as list,
    named_struct('number', id, 'text', words) as record,
    {{ last }} as rows_then
from (
    values
        (1, 1, 1, 1, '1', '1.5', '0.1', '12345678901234567890.12', '1.5', true, 'plain', x'00ff', '2013-01-01', '2013-01-01 05:15:00', '2013-01-01T10:15:00Z'),
        (2, -128, -32768, -2147483648, '-9223372036854775808', '-3.4028235e38', '5e-324', '-999999999999999999999999999999999999.99', '-99999.9999', false, 'zwölf "☃" \ , ''x''', x'', '0001-01-01', '0001-01-01 00:00:00.000001', '1969-12-31T23:59:59.999999Z'),
        (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
        (4, 127, 32767, 2147483647, '9007199254740993', '0.1', '1.7976931348623157e308', '0.01', '0.0001', true, '', x'de', '9999-12-31', '9999-12-31 23:59:59.999999', '2013-03-10T06:59:59.123456Z')
) as v (id, tiny, small, whole, big, single, twice, exact, price, flag, words, bytes, day, local_time, instant)
where id <= {{ last }}
{% if is_incremental() %} and id <> 3 {% endif %}
