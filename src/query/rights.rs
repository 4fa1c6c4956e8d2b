//! What may whoever asks read and change?
//!
//! Of somebody with a role of their own a [`Scope`](super::Scope) knows [`Rights`]. Names that they do not cover are not
//! there: not in a query, a listing, a suggestion or a mistake. What is kept from them in a table that they do read is kept
//! by `guard`. A view is read with the rights of whoever published it, but row filters and masks hold in it too.
//!
//! Whoever works on the machine of the lake has no rights here, and so no limits: the files are theirs.

use std::collections::BTreeMap;

use super::{QueryError, SqlMistake};
use crate::base::{Grant, Privilege, Securable, TableName};

/// What somebody may read and change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Whose they are: `current_user()`.
    pub user: String,
    /// By which role: `current_role()`.
    pub role: String,
    /// What is granted.
    pub grants: Vec<Grant>,
    /// What is kept from them in tables that they read.
    pub policies: BTreeMap<TableName, Policy>,
    /// Whether a view is being planned, in which every name is there.
    within_view: bool,
}

/// What is kept from a role in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Only rows for which this holds are seen, a condition in SQL.
    pub filter: Option<String>,
    /// Columns, in lower case, that show something else, an expression in SQL.
    pub masks: BTreeMap<String, String>,
}

impl Rights {
    /// Those of a role.
    pub fn new(user: &str, role: &str, grants: Vec<Grant>, policies: BTreeMap<TableName, Policy>) -> Self {
        Self { user: user.to_owned(), role: role.to_owned(), grants, policies, within_view: false }
    }

    /// Those of somebody who reads everything, and changes everything if `writes`.
    pub fn everything(user: &str, role: &str, writes: bool) -> Self {
        let grant = |privilege| Grant { privilege, on: Securable::Catalog };
        let mut grants = vec![grant(Privilege::Select)];
        grants.extend(writes.then(|| grant(Privilege::Modify)));
        Self::new(user, role, grants, BTreeMap::new())
    }

    /// The same while a view is planned that they may read.
    #[must_use]
    pub(super) fn within_view(&self) -> Self {
        Self { within_view: true, ..self.clone() }
    }

    /// The same while it is worked out what they see of a table: for that nothing is kept from them.
    #[must_use]
    pub(super) fn within_policy(&self) -> Self {
        Self { policies: BTreeMap::new(), ..self.within_view() }
    }

    /// Whether a table of the schema `elt` is there for them.
    pub(super) fn see_system(&self, table: &str) -> bool {
        let is_of_names = ["tables", "columns", "query_history"].contains(&table);
        is_of_names || self.within_view || !self.are_limited() || self.see_all_of_the_lake()
    }

    /// Whether a view is being planned.
    pub(super) fn is_within_view(&self) -> bool {
        self.within_view
    }

    fn has(&self, privilege: Privilege, name: &TableName) -> bool {
        self.grants.iter().any(|grant| grant.privilege == privilege && grant.on.covers(name))
    }

    /// Whether a name is there for them.
    pub(super) fn sees(&self, name: &TableName) -> bool {
        self.within_view || self.has(Privilege::Select, name) || self.has(Privilege::Modify, name)
    }

    /// Whether there may be a name that is not there for them, or something in a table that they do not see.
    pub fn are_limited(&self) -> bool {
        let all = Grant { privilege: Privilege::Select, on: Securable::Catalog };
        !self.grants.contains(&all) || !self.policies.is_empty()
    }

    /// Whether they may know what others asked, and what runs, loads and files there were: that is granted by name.
    pub(super) fn see_all_of_the_lake(&self) -> bool {
        let of_elt = |on: &Securable| matches!(on, Securable::Schema(schema) if schema == "elt");
        self.grants.iter().any(|grant| grant.privilege == Privilege::Select && of_elt(&grant.on))
    }

    /// What is kept from them in a table.
    pub(super) fn policy(&self, name: &TableName) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// Refuses to have the rows of a name read that is there only to be changed.
    pub(super) fn check_reads(&self, name: &TableName) -> Result<(), QueryError> {
        match self.within_view || self.has(Privilege::Select, name) {
            true => Ok(()),
            false => Err(self.refused(
                format!("you may change `{name}`, and not read it"),
                format!("`grant select on {name} to role {}` would allow it", self.role),
            )),
        }
    }

    /// Refuses to have a table changed.
    ///
    /// # Errors
    /// `elt::sql::not_allowed`: it is not granted, or there is something in the table that they do not see and would touch.
    pub(super) fn check_changes(&self, name: &TableName) -> Result<(), QueryError> {
        if !self.has(Privilege::Modify, name) {
            return Err(self.refused(
                format!("you may not change `{name}`"),
                format!("`grant modify on {name} to role {}` would allow it", self.role),
            ));
        }
        match self.policy(name) {
            None => Ok(()),
            Some(_) => Err(self.refused(
                format!(
                    "`{name}` has rows or columns that the role `{}` does not see, so it cannot change it",
                    self.role
                ),
                "have it changed by somebody whose role sees all of it".to_owned(),
            )),
        }
    }

    pub(super) fn refused(&self, what: String, help: String) -> QueryError {
        SqlMistake::new(NOT_ALLOWED, what).help(help).into()
    }
}

/// The code of what somebody has no right to.
pub(super) const NOT_ALLOWED: &str = "elt::sql::not_allowed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_what_is_granted_and_no_more() {
        let name = |text: &str| text.parse::<TableName>().unwrap();
        let mut grants = Grant::parse("select on schema main", None).unwrap();
        grants.extend(Grant::parse("modify on box.t", None).unwrap());
        grants.extend(Grant::parse("all on main.kept", None).unwrap());
        let policies = BTreeMap::from([(name("main.kept"), Policy::default())]);
        let rights = Rights::new("ann", "analyst", grants, policies);
        assert!(rights.are_limited());
        for (table, sees, reads, changes) in [
            ("main.a", true, true, false),
            ("box.t", true, false, true),
            ("box.u", false, false, false),
            ("main.kept", true, true, false),
        ] {
            let told = (
                rights.sees(&name(table)),
                rights.check_reads(&name(table)).is_ok(),
                rights.check_changes(&name(table)).is_ok(),
            );
            assert_eq!(told, (sees, reads, changes), "{table}");
        }
        assert!(rights.within_view().sees(&name("box.u")));
        let all = Rights::everything("ann", "reads", false);
        assert!(
            !all.are_limited() && !all.see_all_of_the_lake() && all.check_changes(&name("main.a")).is_err()
        );
    }
}
