//! Where do the columns of one table come from?
//!
//! As far back as its own query reads: of a view the one that is published, of a table the one that the project has for it
//! now. Columns whose values are in a column are told apart from those that decide which rows there are.

use super::Lakehouse;
use crate::base::{Error, Result, TableName};
use crate::query::{Influence, Outcome, Session, Way};

impl Lakehouse {
    /// The columns that a table's columns come from; of one column, if `text` ends with its name.
    ///
    /// # Errors
    /// There is no such table, or nothing says how it is made.
    pub async fn lineage(&self, session: &Session, text: &str) -> Result<Outcome> {
        let named = |text: &str| {
            let name = TableName::parse(text, session.default_schema()).ok()?;
            session.scope().has(&name).then_some(name)
        };
        let found = named(text).map(|name| (name, None));
        let found = found.or_else(|| {
            let (table, column) = text.rsplit_once('.')?;
            Some((named(table)?, Some(column.trim_matches('"').to_lowercase())))
        });
        let Some((name, column)) = found else {
            let help = "write `\\lineage table` or `\\lineage table.column`; `\\dt` lists the tables";
            return Err(Error::user("elt::lineage", format!("there is no table `{text}`"), help));
        };
        let sql = self.query_of(session, &name)?;
        let (_, lineage) = session.trace(&sql).await?;
        let mut rows = Vec::new();
        for (own, origins) in &lineage.columns {
            if column.as_ref().is_some_and(|column| column != own) {
                continue;
            }
            for (of, way) in origins {
                let how = match way {
                    Way::Copied => "copied",
                    Way::Derived => "derived",
                    Way::Aggregated => "aggregated",
                };
                rows.push([
                    Some(own.clone()),
                    Some(of.table.to_string()),
                    Some(of.column.clone()),
                    Some(how.to_owned()),
                ]);
            }
            if origins.is_empty() {
                rows.push([Some(own.clone()), None, None, Some("constant".to_owned())]);
            }
        }
        if rows.is_empty() {
            let what = format!("`{name}` has no column `{}`", column.unwrap_or_default());
            return Err(Error::user("elt::lineage", what, "`\\d TABLE` lists its columns"));
        }
        for (of, influences) in &lineage.rows {
            let how: Vec<&str> = influences
                .iter()
                .map(|influence| match influence {
                    Influence::Filter => "filters",
                    Influence::Join => "joins",
                    Influence::Group => "groups",
                    Influence::Sort => "sorts",
                })
                .collect();
            rows.push([None, Some(of.table.to_string()), Some(of.column.clone()), Some(how.join(", "))]);
        }
        Ok(Outcome::table(["column", "from_table", "from_column", "how"], &[], rows))
    }

    /// The query that makes a table.
    fn query_of(&self, session: &Session, name: &TableName) -> Result<String> {
        if let Some(view) = session.scope().pins().views.get(name) {
            return Ok(view.sql.clone());
        }
        let compiled = self.compile_for(session.scope().pins(), false, "lineage")?;
        let node = compiled.manifest.nodes.values().find(|node| node.relation.as_ref() == Some(name));
        match node.map(|node| node.sql.clone()).filter(|sql| !sql.is_empty()) {
            Some(sql) => Ok(sql),
            None => {
                let what = format!("no query makes `{name}`: it is landed, or written by statements");
                Err(Error::user("elt::lineage", what, "`\\history TABLE` says what wrote it"))
            }
        }
    }
}
