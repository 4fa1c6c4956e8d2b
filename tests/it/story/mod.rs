//! What users do, as they would tell it.

mod incremental;
