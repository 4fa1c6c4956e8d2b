//! What can be read, and what are its columns?

use arrow::datatypes::{Schema, SchemaRef};

use super::Lakehouse;
use crate::base::TableName;
use crate::query::{QueryError, Session};

/// A name that a session can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name.
    pub name: TableName,
    /// Whether it is a view.
    pub is_view: bool,
}

/// The key of a column's description in a schema that [`Lakehouse::columns`] gives.
pub const DESCRIPTION: &str = "description";

impl Lakehouse {
    /// Every name that a session can read, in order.
    pub fn known(&self, session: &Session) -> Vec<Known> {
        let names = session.scope().names();
        names.into_iter().map(|(name, is_view)| Known { name, is_view }).collect()
    }

    /// The columns of a table or view, with their descriptions under [`DESCRIPTION`].
    ///
    /// A table's come out of its log, which is read once; a view's from planning it.
    pub async fn columns(&self, session: &Session, known: &Known) -> Result<SchemaRef, QueryError> {
        let name = &known.name;
        let pinned = session.scope().pins().tables.get(name).copied().filter(|_| !known.is_view);
        let Some(version) = pinned else {
            return session.check(&format!("select * from \"{}\".\"{}\"", name.schema(), name.table())).await;
        };
        let snapshot = self.tables().snapshot(name, version).await?;
        let described = snapshot.schema().fields().iter().map(|field| {
            let mut metadata = field.metadata().clone();
            metadata.retain(|key, _| key.starts_with("ARROW:extension:"));
            if let Some(comment) = snapshot.design().comment(field.name()) {
                metadata.insert(DESCRIPTION.to_owned(), comment.to_owned());
            }
            field.as_ref().clone().with_metadata(metadata)
        });
        Ok(std::sync::Arc::new(Schema::new(described.collect::<Vec<_>>())))
    }
}
