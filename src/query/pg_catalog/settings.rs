//! Which settings of PostgreSQL are told of, and which may be set to anything?

use super::PG_VERSION;

/// What holds whatever a client says.
const FIXED: [(&str, &str); 29] = [
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, YMD"),
    ("default_table_access_method", "none"),
    ("default_tablespace", ""),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "off"),
    ("enable_seqscan", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "128"),
    ("max_index_keys", "32"),
    ("password_encryption", "argon2id"),
    ("row_security", "on"),
    ("server_encoding", "UTF8"),
    ("server_version", PG_VERSION),
    ("server_version_num", "160006"),
    ("standard_conforming_strings", "on"),
    ("transaction_isolation", "serializable"),
];

/// Settings of which every value is fine: they are about messages, names or plans that there are not.
const IDLE: [&str; 9] = [
    "application_name",
    "client_min_messages",
    "extra_float_digits",
    "geqo",
    "jit",
    // Nothing is locked.
    "lock_timeout",
    "max_parallel_workers_per_gather",
    "synchronize_seqscans",
    "work_mem",
];

/// Whether a setting can have any value, because it means nothing here.
pub fn is_idle(name: &str) -> bool {
    IDLE.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The settings of a session that reads names in `schema`, and whose statements take at most `timeout`, by name.
pub fn settings(schema: &str, zone: &str, timeout: &str, user: &str) -> Vec<(String, String)> {
    let own = [
        ("application_name", ""),
        ("search_path", schema),
        ("statement_timeout", timeout),
        ("timezone", zone),
        ("session_authorization", user),
        ("transaction_read_only", "off"),
    ];
    let mut all: Vec<(String, String)> =
        FIXED.iter().chain(&own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_told_once() {
        let all = settings("main", "UTC", "0", "ann");
        let mut names: Vec<&String> = all.iter().map(|(name, _)| name).collect();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.contains(&("search_path".to_owned(), "main".to_owned())));
        assert!(is_idle("JIT") && !is_idle("search_path"));
    }
}
