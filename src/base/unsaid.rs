//! What does a statement mean where it leaves something unsaid?
//!
//! `7 / 2` does not say whether the fraction is wanted ([`Division`]), nor `order by a` where the nulls go ([`NullOrder`]). Engines
//! differ; elt means what the engine of the profile means.

use serde::{Deserialize, Serialize};

use super::Division;

/// Where nulls are among sorted rows that do not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NullOrder {
    /// As if they were the largest: last, and first with DESC. As in Postgres, Oracle and Snowflake.
    #[default]
    Largest,
    /// As if they were the smallest: first, and last with DESC. As in Spark, Databricks, BigQuery and MySQL.
    Smallest,
    /// Behind all others in both directions. As in DuckDB and Trino.
    Last,
    /// Before all others in both directions.
    First,
}

impl NullOrder {
    /// As an engine sorts, known by the `type` of its profiles.
    pub fn of_engine(engine: &str) -> Self {
        match engine {
            "duckdb" | "trino" | "athena" | "presto" | "clickhouse" => Self::Last,
            "bigquery" | "databricks" | "doris" | "fabric" | "hive" | "mysql" | "spark" | "sqlite"
            | "sqlserver" | "starrocks" => Self::Smallest,
            _ => Self::Largest,
        }
    }

    /// Whether it is what everybody has who says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nulls come first.
    pub fn is_first(self, descending: bool) -> bool {
        match self {
            Self::Largest => descending,
            Self::Smallest => !descending,
            Self::Last => false,
            Self::First => true,
        }
    }

    /// As the setting `null_order` says it, in our words or in DuckDB's.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text.to_lowercase().replace(' ', "_").as_str() {
            "largest" | "postgres" | "nulls_last_on_asc_first_on_desc" => Self::Largest,
            "smallest" | "sqlite" | "mysql" | "nulls_first_on_asc_last_on_desc" => Self::Smallest,
            "last" | "nulls_last" | "null_last" => Self::Last,
            "first" | "nulls_first" | "null_first" => Self::First,
            _ => return None,
        })
    }

    /// The value of the setting `null_order`.
    pub fn told(self) -> &'static str {
        match self {
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::Last => "last",
            Self::First => "first",
        }
    }
}

/// All of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unsaid {
    /// What `/` gives of whole numbers.
    pub division: Division,
    /// Where nulls are among sorted rows.
    pub nulls: NullOrder,
}

impl Unsaid {
    /// As an engine has it, known by the `type` of its profiles.
    pub fn of_engine(engine: &str) -> Self {
        Self { division: Division::of_engine(engine), nulls: NullOrder::of_engine(engine) }
    }

    /// Whether `^` is XOR, as in Spark, Databricks, BigQuery, MySQL and SQL Server: those that sort nulls as if they were the
    /// smallest. To all others it is a power.
    pub fn has_xor(&self) -> bool {
        self.nulls == NullOrder::Smallest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_read() {
        for order in [NullOrder::Largest, NullOrder::Smallest, NullOrder::Last, NullOrder::First] {
            assert_eq!(NullOrder::read(order.told()), Some(order));
        }
        assert_eq!(NullOrder::read("NULLS LAST"), Some(NullOrder::Last));
        assert_eq!(NullOrder::read("somewhere"), None);
    }
}
