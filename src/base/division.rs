//! What is 7 divided by 2?

use serde::{Deserialize, Serialize};

/// What `/` gives of two whole numbers. Of all other numbers it gives the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Division {
    /// `7 / 2` is 3, as in Postgres.
    #[default]
    Whole,
    /// `7 / 2` is 3.5, as in DuckDB; `7 // 2` and `7 div 2` are 3.
    Exact,
}

/// Engines whose `/` gives a fraction, by the names that profiles have for them.
const EXACT: [&str; 11] = [
    "bigquery",
    "clickhouse",
    "databricks",
    "doris",
    "duckdb",
    "hive",
    "mysql",
    "oracle",
    "snowflake",
    "spark",
    "starrocks",
];

impl Division {
    /// As an engine divides, known by the `type` of its profiles.
    pub fn of_engine(engine: &str) -> Self {
        if EXACT.contains(&engine) { Self::Exact } else { Self::Whole }
    }

    /// Whether it is what everybody has who says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As the setting `integer_division` says it: `true` for whole numbers.
    pub fn read(text: &str) -> Option<Self> {
        match text.to_lowercase().as_str() {
            "true" | "on" | "1" | "yes" => Some(Self::Whole),
            "false" | "off" | "0" | "no" => Some(Self::Exact),
            _ => None,
        }
    }

    /// The value of the setting `integer_division`.
    pub fn told(self) -> &'static str {
        match self {
            Self::Whole => "true",
            Self::Exact => "false",
        }
    }
}
