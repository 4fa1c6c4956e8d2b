//! What does `CONVERT TO DELTA` do?

use super::dialect::Convert;
use super::staging::declared_columns;
use super::{Outcome, QueryError, Session};
use crate::table;

/// Makes a folder of Parquet files a Delta table. Returns how many files and rows, zeros if it was one.
pub(super) async fn convert(session: &Session, convert: Convert) -> Result<Outcome, QueryError> {
    let declared = match convert.partitioned_by.is_empty() {
        true => None,
        false => Some(declared_columns(session, &convert.partitioned_by).await?),
    };
    let converted = table::convert(session.scope().tables(), &convert.place, declared.as_deref()).await?;
    let numbers = [converted.files, converted.rows, converted.bytes].map(|number| Some(number.to_string()));
    let names = ["files", "rows", "bytes"];
    Ok(Outcome::table(names, &names, vec![numbers]))
}
