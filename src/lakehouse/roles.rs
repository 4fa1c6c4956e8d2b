//! Which rights has somebody, and how are they given and taken?
//!
//! Rights are kept in one place, `elt.yml`: what is not in it is not granted, and who may write that file decides. `GRANT` and
//! `REVOKE` at the command line and in the shell change its lines; over the wire they are refused.

use std::collections::BTreeMap;

use super::Lakehouse;
use crate::base::{Error, GRANT_HELP, Grant, Privilege, Result, Securable, SourceText, did_you_mean};
use crate::project::{
    Role, RoleRights, USERS_FILE, User, is_plain, read_roles, read_users, with_grants, with_role,
    without_grants,
};
use crate::query::dialect::RoleOrder;
use crate::query::{Outcome, Policy, QueryError, Rights, Session};

impl Lakehouse {
    /// The roles of `elt.yml`, as they are now.
    ///
    /// # Errors
    /// What is wrong in the file, and where.
    pub fn roles(&self) -> Result<Vec<RoleRights>> {
        Ok(read_roles(&SourceText::new(USERS_FILE, &self.users_text()?))?)
    }

    /// What is granted that no table or schema is there for, and what is kept from a role in no table: slips, probably.
    ///
    /// # Errors
    /// The file cannot be read, or the lake.
    pub async fn doubts_about_roles(&self) -> Result<Vec<String>> {
        let session = self.session().await?;
        let scope = session.scope();
        let (schemas, mut doubts) = (scope.schemas(), Vec::new());
        for role in self.roles()? {
            let name = &role.name;
            for grant in &role.grants {
                match &grant.on {
                    // Who may change a schema may make its first table.
                    Securable::Schema(schema)
                        if schema != "elt"
                            && !schemas.contains(schema)
                            && !role
                                .grants
                                .contains(&Grant { privilege: Privilege::Modify, on: grant.on.clone() }) =>
                    {
                        doubts.push(format!(
                            "the role `{name}` has `{grant}`, and there is no such schema yet"
                        ));
                    }
                    Securable::Table(table) if grant.privilege == Privilege::Select && !scope.has(table) => {
                        doubts
                            .push(format!("the role `{name}` has `{grant}`, and there is no such table yet"));
                    }
                    _ => {}
                }
            }
            for table in role.row_filters.keys().chain(role.masks.keys()).filter(|table| !scope.has(table)) {
                doubts.push(format!(
                    "the role `{name}` has a row filter or masks for `{table}`, and there is no such table: they hide nothing"
                ));
            }
            for (table, masks) in role.masks.iter().filter(|(table, _)| scope.has(table)) {
                let query = format!("select * from \"{}\".\"{}\"", table.schema(), table.table());
                let Ok(columns) = session.check(&query).await else { continue };
                let is_there = |mask: &&String| {
                    columns.fields().iter().any(|field| field.name().eq_ignore_ascii_case(mask))
                };
                doubts.extend(masks.keys().filter(|mask| !is_there(mask)).map(|mask| {
                    format!("the role `{name}` has a mask of `{mask}`, which `{table}` does not have: it cannot be read")
                }));
            }
        }
        Ok(doubts)
    }

    /// Gives and takes rights, or tells them.
    ///
    /// # Errors
    /// There is no such role, or nothing to grant on; then `elt.yml` is as it was.
    pub(super) fn roles_statement(&self, session: &Session, order: RoleOrder) -> Result<Outcome, QueryError> {
        if let (Some(rights), false) = (session.scope().rights(), matches!(order, RoleOrder::Show { .. })) {
            let what = format!("`{}` may not give or take rights over the wire", rights.user);
            let help = "write `grant` and `revoke` with `elt sql`, where elt.yml is";
            return Err(QueryError::Other(Box::new(Error::user("elt::sql::not_allowed", what, help))));
        }
        Ok(match order {
            RoleOrder::Show { role, on } => self.shown_grants(session, role.as_deref(), on.as_deref())?,
            RoleOrder::Create { role } => {
                self.create_role(&role).map_err(Box::new)?;
                done(format!("CREATE ROLE {role}"))
            }
            RoleOrder::Give { what, role } => {
                let grants = parsed(session, &what)?;
                self.check_named(session, &grants)?;
                let text = self.users_text().map_err(Box::new)?;
                let had = self.role(&role).map_err(Box::new)?.grants;
                let new: Vec<Grant> = grants.into_iter().filter(|grant| !had.contains(grant)).collect();
                let wanted: Vec<Grant> = had.iter().chain(&new).cloned().collect();
                self.write_roles(&with_grants(&text, &role, &new), &role, &wanted).map_err(Box::new)?;
                done(format!("GRANT {} to {role}", new.len()))
            }
            RoleOrder::Take { what, role } => {
                let grants = parsed(session, &what)?;
                let text = self.users_text().map_err(Box::new)?;
                let had = self.role(&role).map_err(Box::new)?.grants;
                let wanted: Vec<Grant> =
                    had.iter().filter(|grant| !grants.contains(grant)).cloned().collect();
                if wanted.len() == had.len() {
                    let what = format!(
                        "the role `{role}` has no `{}`",
                        grants.first().map(Grant::to_string).unwrap_or_default()
                    );
                    let help = format!(
                        "it has: {}",
                        had.iter().map(Grant::to_string).collect::<Vec<_>>().join(", ")
                    );
                    return Err(QueryError::Other(Box::new(Error::user(
                        "elt::roles::not_granted",
                        what,
                        help,
                    ))));
                }
                let text = without_grants(&SourceText::new(USERS_FILE, &text), &role, &grants);
                let text = text.map_err(|wrong| Box::new(Error::from(wrong)))?;
                self.write_roles(&text, &role, &wanted).map_err(Box::new)?;
                done(format!("REVOKE {} from {role}", had.len() - wanted.len()))
            }
        })
    }

    fn role(&self, name: &str) -> Result<RoleRights> {
        let roles = self.roles()?;
        if crate::project::BUILT_IN.contains(&name) {
            let what = format!("the role `{name}` is built in, and holds for every table");
            return Err(Error::user(
                "elt::roles::built_in",
                what,
                "`create role analyst` makes one of your own",
            ));
        }
        let near = did_you_mean(name, roles.iter().map(|role| role.name.as_str()));
        roles.into_iter().find(|role| role.name == name).ok_or_else(|| {
            let help = near.unwrap_or_else(|| format!("`create role {name}` makes it"));
            Error::user(
                "elt::roles::no_such_role",
                format!("there is no role `{name}` in {USERS_FILE}"),
                help,
            )
        })
    }

    fn create_role(&self, name: &str) -> Result<()> {
        if !is_plain(name) || crate::project::BUILT_IN.contains(&name) {
            let help =
                "use lower-case letters, digits and `_`, a letter first; `reads` and `writes` are built in";
            return Err(Error::user(
                "elt::roles::name",
                format!("`{name}` cannot be the name of a role"),
                help,
            ));
        }
        if self.roles()?.iter().any(|role| role.name == name) {
            let help = format!("`grant select on schema main to role {name}` gives it rights");
            return Err(Error::user("elt::roles::exists", format!("there is a role `{name}` already"), help));
        }
        self.write_roles(&with_role(&self.users_text()?, name), name, &[])
    }

    /// Writes the file, if it reads as it was meant, and the users in it are those that there were.
    fn write_roles(&self, text: &str, role: &str, wanted: &[Grant]) -> Result<()> {
        let before = SourceText::new(USERS_FILE, &self.users_text()?);
        let after = SourceText::new(USERS_FILE, text);
        let sorted = |mut grants: Vec<Grant>| {
            grants.sort();
            grants
        };
        let others = |source: &SourceText| -> Result<Vec<RoleRights>> {
            Ok(read_roles(source)?.into_iter().filter(|other| other.name != role).collect())
        };
        let names = |source: &SourceText| -> Result<Vec<(String, String)>> {
            Ok(read_users(source)?.into_iter().map(|user| (user.name, user.password)).collect())
        };
        let came_out = |role: &RoleRights| sorted(role.grants.clone()) == sorted(wanted.to_vec());
        let is_right = read_roles(&after)
            .is_ok_and(|roles| roles.iter().any(|known| known.name == role && came_out(known)))
            && others(&after).ok() == others(&before).ok()
            && names(&after).ok() == names(&before).ok();
        if !is_right {
            let what = format!("{USERS_FILE} has a form that cannot be changed by a statement");
            let help = format!(
                "write `roles:`, `{role}:` and `grants:` on lines of their own, and each grant on one"
            );
            return Err(Error::user("elt::roles::form", what, help));
        }
        self.write_users_text(text)
    }

    /// Refuses a grant on what is not there: it is a slip of the pen, more often than a table to come.
    fn check_named(&self, session: &Session, grants: &[Grant]) -> Result<(), QueryError> {
        // Who may change something may make it.
        let may_make =
            |on: &Securable| grants.contains(&Grant { privilege: Privilege::Modify, on: on.clone() });
        for grant in grants.iter().filter(|grant| !may_make(&grant.on)) {
            let (what, near) = match &grant.on {
                Securable::Schema(schema) => {
                    let mut known = session.scope().schemas();
                    known.extend([self.default_schema().to_owned(), "elt".to_owned()]);
                    if known.contains(schema) {
                        continue;
                    }
                    (
                        format!("there is no schema `{schema}`"),
                        did_you_mean(schema, known.iter().map(String::as_str)),
                    )
                }
                Securable::Table(table) => {
                    if session.scope().has(table) {
                        continue;
                    }
                    let names = session.scope().names();
                    let near = did_you_mean(table.table(), names.iter().map(|(name, _)| name.table()));
                    (format!("there is no table `{table}`"), near)
                }
                Securable::Catalog => continue,
            };
            let help = near.unwrap_or_else(|| "`show tables` lists what there is".to_owned());
            return Err(QueryError::Other(Box::new(Error::user("elt::roles::no_such_table", what, help))));
        }
        Ok(())
    }

    /// `SHOW GRANTS`: a row for each; over the wire those of the role that asks, and no others.
    fn shown_grants(
        &self,
        session: &Session,
        role: Option<&str>,
        on: Option<&str>,
    ) -> Result<Outcome, QueryError> {
        let on = on.map(|text| Securable::parse(text, Some(session.default_schema())));
        let on =
            on.transpose().map_err(|what| Box::new(Error::user("elt::roles::grant", what, GRANT_HELP)))?;
        if let Some(name) = role.filter(|name| !crate::project::BUILT_IN.contains(name)) {
            self.role(name).map_err(Box::new)?;
        }
        let own = session.scope().rights().map(|rights| rights.role.clone());
        let users = self.users().map_err(Box::new)?;
        let mut rows = Vec::new();
        for known in self.roles().map_err(Box::new)? {
            let is_asked = role.is_none_or(|role| role == known.name)
                && own.as_ref().is_none_or(|own| *own == known.name);
            if !is_asked {
                continue;
            }
            let holders = users.iter().filter(|user| user.named_role.as_deref() == Some(known.name.as_str()));
            let holders: Vec<String> = holders.map(|user| user.name.clone()).collect();
            let shown = |privilege: String, securable: String| {
                [
                    Some(known.name.clone()),
                    Some(privilege),
                    Some(securable),
                    Some(if own.is_some() { String::new() } else { holders.join(", ") }),
                ]
            };
            let is_on = |securable: &Securable| match &on {
                None => true,
                Some(Securable::Table(table)) => securable.covers(table),
                Some(wanted) => securable == wanted || *securable == Securable::Catalog,
            };
            for grant in known.grants.iter().filter(|grant| is_on(&grant.on)) {
                rows.push(shown(grant.privilege.to_string(), grant.on.to_string()));
            }
            if own.is_none() {
                let is_table = |table| on.is_none() || is_on(&Securable::Table(table));
                for (table, filter) in
                    known.row_filters.iter().filter(|(table, _)| is_table((*table).clone()))
                {
                    rows.push(shown(format!("row filter: {filter}"), format!("table {table}")));
                }
                for (table, masks) in known.masks.iter().filter(|(table, _)| is_table((*table).clone())) {
                    let masks = masks.iter().map(|(column, shown)| format!("{column}: {shown}"));
                    rows.push(shown(
                        format!("masks: {}", masks.collect::<Vec<_>>().join(", ")),
                        format!("table {table}"),
                    ));
                }
            }
        }
        Ok(Outcome::table(["role", "privilege", "on", "users"], &[], rows))
    }
}

/// What a user may, by the roles that there are.
pub fn rights_of(user: &User, roles: &[RoleRights]) -> Option<Rights> {
    let Some(named) = &user.named_role else {
        return Some(Rights::everything(&user.name, user.role.word(), user.role == Role::Writes));
    };
    let role = roles.iter().find(|role| role.name == *named)?;
    let mut policies: BTreeMap<_, Policy> = BTreeMap::new();
    for (table, filter) in &role.row_filters {
        policies.entry(table.clone()).or_default().filter = Some(filter.clone());
    }
    for (table, masks) in &role.masks {
        policies.entry(table.clone()).or_default().masks.clone_from(masks);
    }
    Some(Rights::new(&user.name, &role.name, role.grants.clone(), policies))
}

fn parsed(session: &Session, what: &str) -> Result<Vec<Grant>, QueryError> {
    Grant::parse(what, Some(session.default_schema()))
        .map_err(|what| QueryError::Other(Box::new(Error::user("elt::roles::grant", what, GRANT_HELP))))
}

fn done(what: String) -> Outcome {
    Outcome::table(["statement"], &[], vec![[Some(what)]])
}
