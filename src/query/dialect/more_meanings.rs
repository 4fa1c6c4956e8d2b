//! Which functions of Databricks and DuckDB are another expression of the engine's own, and which are not here?
//!
//! More of what `meanings` begins: a line each. What has no counterpart says what to write instead ([`instead`]).

/// A function's names, its parameters, and what it is.
pub(super) const MORE: &[(&str, &str, &str)] = &[
    // Conditions and numbers
    ("isnotnull", "a", "(a) is not null"),
    ("like", "a b", "(a) like (b)"),
    ("ilike", "a b", "(a) ilike (b)"),
    ("regexp rlike", "a b", "regexp_like(a, b)"),
    ("constant_or_null", "a b", "case when (b) is not null then a end"),
    ("positive", "a", "(a)"),
    ("negative", "a", "-(a)"),
    ("add", "a b", "(a) + (b)"),
    ("subtract", "a b", "(a) - (b)"),
    ("multiply", "a b", "(a) * (b)"),
    ("sec", "a", "1 / cos(a)"),
    ("csc", "a", "1 / sin(a)"),
    ("e", "", "exp(1e0)"),
    // Both keep the digits of numbers that are next to nothing.
    ("expm1", "a", "2 * sinh((a) / 2e0) * exp((a) / 2e0)"),
    ("log1p", "a", "2 * atanh((a) / (2e0 + (a)))"),
    (
        "rint",
        "a",
        "cast(case when abs((a) - trunc(a)) = 0.5 then 2 * round((a) / 2e0) else round(a) end as double)",
    ),
    ("bround", "a", "case when abs((a) - trunc(a)) = 0.5 then 2 * round((a) / 2e0) else round(a) end"),
    ("bitwise_not bitnot", "a", "-(a) - 1"),
    ("getbit bit_get", "a n", "((a) >> (n)) & 1"),
    ("shiftleft", "a n", "(a) << (n)"),
    ("shiftright", "a n", "(a) >> (n)"),
    ("greatest_common_divisor", "a b", "gcd(a, b)"),
    ("least_common_multiple", "a b", "lcm(a, b)"),
    ("randn", "", "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"),
    (
        "format_number",
        "a n",
        "_elt_printf('{:,.' || cast(n as varchar) || 'f}', cast(cast(a as double) as varchar))",
    ),
    ("try_to_number try_to_double", "a", "try_cast(a as double)"),
    // Lists and maps
    ("list_cosine_distance array_cosine_distance", "a b", "cosine_distance(a, b)"),
    (
        "list_negative_inner_product list_negative_dot_product array_negative_inner_product array_negative_dot_product",
        "a b",
        "-list_aggregate(array_transform(range(1, length(a) + 1), _elt_p -> (a)[_elt_p] * (b)[_elt_p]), 'sum')",
    ),
    (
        "array_cross_product list_cross_product",
        "a b",
        "make_array((a)[2] * (b)[3] - (a)[3] * (b)[2], (a)[3] * (b)[1] - (a)[1] * (b)[3], (a)[1] * (b)[2] - (a)[2] * (b)[1])",
    ),
    ("list_entropy", "a", "list_aggregate(a, 'entropy')"),
    ("list_kurtosis", "a", "list_aggregate(a, 'kurtosis')"),
    ("list_kurtosis_pop", "a", "list_aggregate(a, 'kurtosis_pop')"),
    ("list_skewness", "a", "list_aggregate(a, 'skewness')"),
    ("list_mad", "a", "list_aggregate(a, 'mad')"),
    ("list_sem", "a", "list_aggregate(a, 'stddev_pop') / sqrt(length(array_compact(a)))"),
    ("list_approx_count_distinct", "a", "list_aggregate(a, 'approx_count_distinct')"),
    ("map_contains_entry", "m k v", "coalesce((map_extract(m, k))[1] = (v), false)"),
    // Time
    (
        "days_in_month",
        "a",
        "date_part('day', _elt_date_add('day', -1, _elt_date_add('month', 1, date_trunc('month', a))))",
    ),
    ("nanosecond", "a", "cast(trunc(date_part('microsecond', a)) as bigint) * 1000"),
    ("to_decades", "n", "_elt_interval(10 * (n), 0, 0, 0, 0, 0, 0)"),
    ("to_centuries", "n", "_elt_interval(100 * (n), 0, 0, 0, 0, 0, 0)"),
    ("to_millennia", "n", "_elt_interval(1000 * (n), 0, 0, 0, 0, 0, 0)"),
    ("make_timestamp_ms", "a", "_elt_date_add('microsecond', (a) * 1000, timestamp '1970-01-01 00:00:00')"),
    (
        "make_timestamptz",
        "y m d h i s",
        "cast(_elt_date_add('microsecond', _elt_clock(h, i, s), \
         cast(make_date(cast(y as int), cast(m as int), cast(d as int)) as timestamp)) as timestamptz)",
    ),
    // Aggregates
    ("count_star", "", "count(*)"),
    ("sum_no_overflow", "a", "sum(a)"),
    // Checks, and what others keep in ids and paths
    ("assert_true", "a", "case when a then null else error('an assertion does not hold') end"),
    ("assert_true", "a b", "case when a then null else error(b) end"),
    ("uuid_extract_version", "u", "cast(substr(cast(u as varchar), 15, 1) as int)"),
    ("path_join", "a b", "case when ends_with(a, '/') then (a) || (b) else (a) || '/' || (b) end"),
    // Text
    ("char", "n", "chr(n)"),
    ("encode", "a", "cast(a as bytea)"),
    ("decode", "a", "cast(a as varchar)"),
    ("regexp_split_to_table", "a b", "unnest(regexp_split_to_array(a, b))"),
    ("sha", "a", "_elt_sha1(cast(a as varchar))"),
    ("binary", "a", "cast(a as bytea)"),
    ("current_version", "", concat!("'elt ", env!("CARGO_PKG_VERSION"), "'")),
    ("pg_size_pretty", "a", "format_bytes(a)"),
    (
        "mask",
        "a",
        "regexp_replace(regexp_replace(regexp_replace(a, '[A-Z]', 'X', 'g'), '[a-z]', 'x', 'g'), '[0-9]', 'n', 'g')",
    ),
    (
        "parse_url",
        "u part",
        "case part when 'PROTOCOL' then (regexp_match(u, '^([a-zA-Z][a-zA-Z0-9+.-]*):'))[1] \
         when 'HOST' then (regexp_match(u, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(\\[[^/?#]*\\]|[^/?#:]*)'))[1] \
         when 'PATH' then (regexp_match(u, '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*([^?#]*)'))[1] \
         when 'QUERY' then (regexp_match(u, '^[^?#]*[?]([^#]*)'))[1] \
         when 'REF' then (regexp_match(u, '#(.*)$'))[1] \
         when 'FILE' then (regexp_match(u, '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*([^#]*)'))[1] \
         when 'AUTHORITY' then (regexp_match(u, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)'))[1] \
         when 'USERINFO' then (regexp_match(u, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#@]*)@'))[1] end",
    ),
    (
        "parse_url",
        "u part k",
        "case part when 'QUERY' then (regexp_match(u, '^[^#?]*[?](?:[^#&]*&)*?' || regexp_replace(k, '([^A-Za-z0-9_])', '\\\\$1', 'g') || '=([^&#]*)'))[1] end",
    ),
    ("try_parse_json", "a", "case when json_valid(a) then parse_json(a) end"),
    ("to_jsonb", "a", "to_json(a)"),
    // Lists and maps
    (
        "sort_array",
        "a o",
        "case when o then array_sort(a, 'ASC', 'NULLS FIRST') else array_sort(a, 'DESC', 'NULLS LAST') end",
    ),
    (
        "array_insert",
        "a i v",
        "array_concat(array_concat(array_resize(_elt_slice(a, 1, case when (i) < 0 then length(a) + 1 + (i) else (i) - 1 end), \
         greatest(case when (i) < 0 then length(a) + 1 + (i) else (i) - 1 end, 0)), make_array(v)), \
         _elt_slice(a, case when (i) < 0 then length(a) + 2 + (i) else (i) end, length(a)))",
    ),
    (
        "_elt_str_to_map",
        "a p k",
        "map(array_transform(_elt_split(a, p), _elt_p -> case when strpos(_elt_p, k) > 0 then substr(_elt_p, 1, strpos(_elt_p, k) - 1) \
         else _elt_p end), array_transform(_elt_split(a, p), _elt_p -> case when strpos(_elt_p, k) > 0 \
         then substr(_elt_p, strpos(_elt_p, k) + length(k)) end))",
    ),
    ("map_extract_value", "m k", "(m)[k]"),
    ("array_lower", "a n", "case when (n) = 1 and length(a) > 0 then 1 end"),
    ("array_upper", "a n", "case when (n) = 1 and length(a) > 0 then length(a) end"),
    ("current_schemas", "a", "make_array(current_schema())"),
    // Time
    ("curdate", "", "current_date"),
    ("get_current_timestamp transaction_timestamp", "", "now()"),
    ("get_current_time current_localtime", "", "current_time"),
    ("ago", "a", "now() - (a)"),
    ("date_diff", "a b", "_elt_date_diff('day', b, a)"),
    ("date_from_unix_date", "n", "cast(_elt_date_add('day', n, date '1970-01-01') as date)"),
    (
        "timestamp_seconds",
        "a",
        "_elt_date_add('microsecond', cast((a) * 1000000 as bigint), timestamp '1970-01-01 00:00:00')",
    ),
    (
        "timestamp_millis",
        "a",
        "_elt_date_add('microsecond', cast((a) * 1000 as bigint), timestamp '1970-01-01 00:00:00')",
    ),
    ("timestamp_micros", "a", "_elt_date_add('microsecond', a, timestamp '1970-01-01 00:00:00')"),
    ("unix_timestamp to_unix_timestamp", "", "cast(floor(date_part('epoch', now())) as bigint)"),
    ("to_unix_timestamp", "a", "cast(floor(date_part('epoch', cast(a as timestamp))) as bigint)"),
    (
        "unix_timestamp to_unix_timestamp",
        "a f",
        "cast(floor(date_part('epoch', _elt_to_timestamp(a, f))) as bigint)",
    ),
    ("make_dt_interval", "d", "_elt_interval(0, 0, 0, d, 0, 0, 0)"),
    ("make_dt_interval", "d h", "_elt_interval(0, 0, 0, d, h, 0, 0)"),
    ("make_dt_interval", "d h m", "_elt_interval(0, 0, 0, d, h, m, 0)"),
    ("make_dt_interval", "d h m s", "_elt_interval(0, 0, 0, d, h, m, s)"),
    ("make_ym_interval", "y", "_elt_interval(y, 0, 0, 0, 0, 0, 0)"),
    ("make_ym_interval", "y m", "_elt_interval(y, m, 0, 0, 0, 0, 0)"),
    // Aggregates
    ("json_agg jsonb_agg", "a", "to_json(array_agg(a))"),
    (
        "reservoir_quantile",
        "a p",
        "(array_sort(array_agg(a) filter (where (a) is not null)))[greatest(cast(ceil((p) * count(a)) as bigint), 1)]",
    ),
    // Pictures
    (
        "bar",
        "x lo hi",
        "rpad(repeat('█', cast(floor(80 * least(greatest(((x) - (lo)) / cast((hi) - (lo) as double), 0), 1)) as bigint)) \
         || substr(' ▏▎▍▌▋▊▉', cast(floor(640 * least(greatest(((x) - (lo)) / cast((hi) - (lo) as double), 0), 1)) as bigint) % 8 + 1, 1), 80, ' ')",
    ),
    (
        "bar",
        "x lo hi w",
        "rpad(repeat('█', cast(floor((w) * least(greatest(((x) - (lo)) / cast((hi) - (lo) as double), 0), 1)) as bigint)) \
         || substr(' ▏▎▍▌▋▊▉', cast(floor(8 * (w) * least(greatest(((x) - (lo)) / cast((hi) - (lo) as double), 0), 1)) as bigint) % 8 + 1, 1), \
         cast(w as bigint), ' ')",
    ),
];

/// Functions that are not here, by their names or how these begin, and what to do instead.
const INSTEAD: &[(&str, &str)] = &[
    ("monotonically_increasing_id nextval currval", "number the rows: `row_number() over (order by a)`"),
    ("ai_* vector_*", "models are asked by a program that reads the table; `elt serve` gives it the rows"),
    ("h3_* st_*", "geometry is kept as text or bytes here: compute it where the rows are loaded"),
    (
        "hll_* bitmap_* approx_top_sum theta_*",
        "`approx_count_distinct(a)` counts, and `count(distinct a)` counts exactly",
    ),
    ("histogram_numeric equi_width_bins", "`histogram(a)`, or `width_bucket(a, 0, 100, 10)` with GROUP BY"),
    (
        "length_grapheme left_grapheme right_grapheme substring_grapheme",
        "the same without `_grapheme` counts characters: a letter with a mark of its own may be two",
    ),
    (
        "setseed",
        "random numbers are not repeatable; `where hash(id) % 10 = 0` picks the same tenth each time",
    ),
    (
        "json_tuple variant_get try_variant_get",
        "take each field by itself: `j->>'a'`, or `j:a::int`; many at once with `json_transform(j, '{\"a\": \"int\"}')`",
    ),
    (
        "jsonb_set json_set jsonb_insert json_insert json_replace json_remove json_strip_nulls json_deep_merge",
        "`json_merge_patch(j, '{\"a\": 2}')` changes fields, and takes those away that are null in the second",
    ),
    ("json_transform_strict from_json_strict", "`json_transform(j, shape)`; what does not fit is null there"),
    (
        "struct_concat struct_keys struct_values struct_contains struct_has struct_position struct_indexof struct_remap",
        "fields are known by their names: `{'a': s.a, 'b': t.b}` makes a struct of them, `s.*` columns",
    ),
    (
        "get_bit set_bit bit_position bitstring bitstring_agg to_bitstring",
        "bits are kept in a whole number: `getbit(a, 2)`, `a & b`, `a | 1 << 2`, `bit_or(a)`, `bin(a)`",
    ),
    ("current_query", "`from elt.query_history` has what was asked; `\\p` shows the last statement"),
    (
        "unbin from_binary",
        "`0b0110` is a number; bytes are read from their hexadecimal digits: `unhex('06')`",
    ),
    ("parse_formatted_bytes", "`regexp_extract(a, '[0-9.]+')::double * 1024` for what is told in KiB"),
    ("uuid_extract_timestamp", "`uuid` makes ids of no time; keep the time in a column of its own: `now()`"),
    ("like_escape not_like_escape ilike_escape not_ilike_escape", "`a like 'x$%' escape '$'`"),
    (
        "timezone_hour timezone_minute",
        "`date_diff('hour', t at time zone 'UTC', t at time zone 'Europe/Oslo')`",
    ),
    ("sleep_ms", "wait outside of SQL: a statement answers as soon as it can"),
    (
        "json_each jsonb_each jsonb_array_elements json_array_elements json_tree",
        "rows of a JSON text come from `from json_each(j)`, its items from `unnest(json_transform(j, '[\"varchar\"]'))`",
    ),
    (
        "from_csv to_csv schema_of_csv schema_of_json schema_of_json_agg from_xml to_xml xpath*",
        "files are read as rows: `from 'file.csv'`; `json_structure(j)` tells the shape of JSON",
    ),
    (
        "is_member is_account_group_member",
        "`current_user` tells who asks; who may see what is granted: `grant select on t to u`",
    ),
    ("shuffle", "`array_agg(x order by random())` over the items"),
    ("sentences", "`regexp_split_to_array(a, '[.!?] ')`, then `regexp_split_to_array` of each"),
    ("try_sum", "`sum(a::decimal(38, 0))` has room for all of them"),
    ("xxhash64", "`hash(a)`, `md5(a)` or `sha256(a)`"),
    (
        "aes_encrypt aes_decrypt try_aes_decrypt secret",
        "encrypt where the rows are loaded: keys do not belong into SQL",
    ),
    (
        "union_value union_extract enum_range enum_first enum_last enum_code",
        "a column has one type: write a text with a CHECK, or one column for each type",
    ),
    (
        "txid_current pg_backend_pid",
        "`elt releases` tells what was published when; a statement reads one release",
    ),
    ("fill", "`last_value(a ignore nulls) over (order by t)` fills with what came before"),
    (
        "struct_pack struct_insert struct_update",
        "each field has a name: `struct_pack(a := 1, b := x)`; a whole row is the table's own name: `select t from orders t`",
    ),
    (
        "openjson json_table",
        "`from json_each(j)` gives the rows of a JSON text; a file of them is read by its name: `from 'a.json'`",
    ),
    ("read_text read_blob glob", "files are read as rows, after FROM: `from 'folder/*.csv'`"),
];

/// What to do instead of calling a function of another engine; nothing if it is not known.
pub(in crate::query) fn instead(name: &str) -> Option<&'static str> {
    let is_it = |known: &str| match known.strip_suffix('*') {
        Some(begun) => name.starts_with(begun),
        None => name == known,
    };
    INSTEAD.iter().find(|(names, _)| names.split_whitespace().any(is_it)).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::instead;

    #[test]
    fn what_is_not_here_is_known_by_its_name_or_how_it_begins() {
        assert!(instead("ai_query").is_some_and(|told| told.contains("elt serve")));
        assert!(instead("nextval").is_some());
        assert_eq!(instead("nope"), None);
        assert_eq!(instead("fillx"), None);
    }
}
