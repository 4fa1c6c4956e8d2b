//! Which tables may a role read and change, and what is kept from it in them?
//!
//! Roles are written in `elt.yml`, and users have one each:
//!
//! ```yaml
//! roles:
//!   analyst:
//!     grants:
//!       - select on schema main
//!       - all privileges on schema sandbox
//!     row_filters:
//!       main.orders: region = 'EU'
//!     masks:
//!       main.customers:
//!         email: "'***'"
//!     limits: {queries: 4, per_minute: 120, memory: 1GB, time: 60s}
//! ```
//!
//! `GRANT` and `REVOKE` of the shell change the lines of this file, so that there is one place where rights are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::users::{USERS_FILE, unknown};
use super::yaml::{Entry, Yaml};
use crate::base::{Diagnostic, GRANT_HELP, Grant, SourceText, Span, TableName, parse_duration, parse_size};

/// The roles that every lake has.
pub const BUILT_IN: [&str; 2] = ["reads", "writes"];

/// What a role may do, and what it does not get to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleRights {
    /// The name.
    pub name: String,
    /// What is granted to it. Nothing else may be read or changed.
    pub grants: Vec<Grant>,
    /// Tables of which it sees only the rows for which a condition holds, in SQL.
    pub row_filters: BTreeMap<TableName, String>,
    /// Columns that show something else to it, an expression in SQL.
    pub masks: BTreeMap<TableName, BTreeMap<String, String>>,
    /// How much each of its users may ask.
    pub limits: RoleLimits,
}

/// How much a user may ask of a server; nothing where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleLimits {
    /// Statements that run at once.
    pub queries: Option<usize>,
    /// Statements that are begun within a minute.
    pub per_minute: Option<u32>,
    /// Bytes of memory that a statement takes.
    pub memory: Option<usize>,
    /// How long a statement takes, to its last row.
    pub time: Option<Duration>,
}

impl RoleLimits {
    /// These, and where they say nothing, others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            queries: self.queries.or(others.queries),
            per_minute: self.per_minute.or(others.per_minute),
            memory: self.memory.or(others.memory),
            time: self.time.or(others.time),
        }
    }
}

/// Reads the roles in the text of an `elt.yml`.
///
/// # Errors
/// The first thing in them that is not known or not whole, and its place.
pub fn read_roles(source: &SourceText) -> Result<Vec<RoleRights>, Diagnostic> {
    let yaml = Yaml::parse_own(source)?;
    let roles = yaml.entries().iter().filter(|entry| entry.key == "roles");
    roles.flat_map(|entry| entry.value.entries()).map(role).collect()
}

fn role(entry: &Entry) -> Result<RoleRights, Diagnostic> {
    if BUILT_IN.contains(&entry.key.as_str()) {
        let what = format!("the role `{}` is built in, and holds for every table", entry.key);
        return Err(wrong(what, &entry.key_at, "give yours another name"));
    }
    let mut role = RoleRights { name: entry.key.clone(), ..RoleRights::default() };
    if !is_plain(&role.name) {
        let what = format!("`{}` cannot be the name of a role", role.name);
        return Err(wrong(what, &entry.key_at, "use lower-case letters, digits and `_`, a letter first"));
    }
    for Entry { key, key_at, value } in entry.value.entries() {
        match key.as_str() {
            "grants" => {
                for item in value.items() {
                    let text = item.text().unwrap_or_default();
                    let read = Grant::parse(&text, None);
                    role.grants.extend(read.map_err(|what| wrong(what, &item.at, GRANT_HELP))?);
                }
            }
            "row_filters" => {
                for filter in value.entries() {
                    let condition = text_of(filter, "a condition in SQL: `main.orders: region = 'EU'`")?;
                    role.row_filters.insert(table(filter)?, condition);
                }
            }
            "masks" => {
                for table_entry in value.entries() {
                    let masks = table_entry.value.entries().iter().map(|column| {
                        let shown = match column.value.is_null() {
                            true => "null".to_owned(),
                            false => text_of(column, "an expression in SQL: `email: \"'***'\"`")?,
                        };
                        Ok((column.key.to_lowercase(), shown))
                    });
                    let masks: BTreeMap<String, String> = masks.collect::<Result<_, Diagnostic>>()?;
                    if masks.is_empty() {
                        let help = "write `main.customers: {email: \"'***'\"}`";
                        return Err(wrong("no column is named".to_owned(), &table_entry.value.at, help));
                    }
                    role.masks.insert(table(table_entry)?, masks);
                }
            }
            "limits" => {
                for limit in value.entries() {
                    limited(&mut role.limits, limit)?;
                }
            }
            _ => return Err(unknown(key, key_at, &["grants", "row_filters", "masks", "limits"])),
        }
    }
    Ok(role)
}

fn limited(limits: &mut RoleLimits, Entry { key, key_at, value }: &Entry) -> Result<(), Diagnostic> {
    let text = value.text().unwrap_or_default();
    let not = |what: &str, help: &str| wrong(format!("`{text}` is not {what}"), &value.at, help);
    let number = || {
        text.parse::<u32>()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| not("a number above 0", "write `2`"))
    };
    match key.as_str() {
        "queries" => limits.queries = Some(number()? as usize),
        "per_minute" => limits.per_minute = Some(number()?),
        "memory" => {
            let bytes = parse_size(&text).and_then(|bytes| usize::try_from(bytes).ok());
            limits.memory = Some(bytes.ok_or_else(|| not("an amount of memory", "write `512MB` or `2GB`"))?);
        }
        "time" => {
            limits.time =
                Some(parse_duration(&text).ok_or_else(|| not("a stretch of time", "write `30s` or `10m`"))?);
        }
        _ => return Err(unknown(key, key_at, &["queries", "per_minute", "memory", "time"])),
    }
    Ok(())
}

/// Whether a text can name a role.
pub fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn table(entry: &Entry) -> Result<TableName, Diagnostic> {
    let named: Result<TableName, _> = entry.key.parse();
    named.map_err(|error| wrong(error.to_string(), &entry.key_at, "write `schema.table`"))
}

fn text_of(entry: &Entry, form: &str) -> Result<String, Diagnostic> {
    let text = entry.value.text().filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| {
        wrong(format!("`{}` says nothing", entry.key), &entry.value.at, &format!("write {form}"))
    })
}

fn wrong(what: String, at: &Span, help: &str) -> Diagnostic {
    Diagnostic::error("elt::roles", what).at(at, "here").help(help)
}

/// The text of an `elt.yml` with a role more, which may do nothing yet, and everything else as it was written.
pub fn with_role(text: &str, role: &str) -> String {
    match section(text, &["roles"]) {
        Some(roles) => inserted(text, roles.line, &format!("{}{role}: {{}}", " ".repeat(roles.inner))),
        None => format!("{}roles:\n  {role}: {{}}\n", ended(text)),
    }
}

/// The text of an `elt.yml` in which a role that is there has grants more. Who calls it reads the text again to see whether it came
/// out as it was meant.
pub fn with_grants(text: &str, role: &str, grants: &[Grant]) -> String {
    let mut text = text.to_owned();
    // A role with nothing is often written `{}` or left empty: it becomes one with a list.
    let Some(place) = section(&text, &["roles", role]) else { return text };
    if let Some(line) = text.lines().nth(place.line)
        && let Some(bare) = line.trim_end().strip_suffix("{}")
    {
        let bare = bare.trim_end().to_owned();
        text = replaced(&text, place.line, Some(&bare));
    }
    if section(&text, &["roles", role, "grants"]).is_none() {
        text = inserted(&text, place.line, &format!("{}grants:", " ".repeat(place.inner)));
    }
    let Some(list) = section(&text, &["roles", role, "grants"]) else { return text };
    for grant in grants.iter().rev() {
        text = inserted(&text, list.line, &format!("{}- {grant}", " ".repeat(list.inner)));
    }
    text
}

/// The text of an `elt.yml` in which a role lacks grants that it had.
///
/// # Errors
/// A grant does not stand on a line of its own; and the line that it stands in.
pub fn without_grants(source: &SourceText, role: &str, grants: &[Grant]) -> Result<String, Diagnostic> {
    let yaml = Yaml::parse_own(source)?;
    let list = yaml.get("roles").and_then(|roles| roles.get(role)).and_then(|role| role.get("grants"));
    let mut text = source.text.to_string();
    for item in list.map(Yaml::items).unwrap_or_default().iter().rev() {
        let read = Grant::parse(&item.text().unwrap_or_default(), None).unwrap_or_default();
        if !read.iter().any(|grant| grants.contains(grant)) {
            continue;
        }
        let (line, _) = source.line_column(item.at.bytes.start);
        let written = text.lines().nth(line - 1).unwrap_or_default();
        if !written.trim_start().starts_with("- ") {
            let help = format!(
                "write the grants of {USERS_FILE} one in a line, `- {}`, or take it out by hand",
                read[0]
            );
            return Err(wrong("this grant has no line of its own".to_owned(), &item.at, &help));
        }
        let indent = &written[..written.len() - written.trim_start().len()];
        let kept =
            read.iter().filter(|grant| !grants.contains(grant)).map(|grant| format!("{indent}- {grant}"));
        let kept: Vec<String> = kept.collect();
        text = replaced(&text, line - 1, (!kept.is_empty()).then(|| kept.join("\n")).as_deref());
    }
    Ok(text)
}

/// The text of an `elt.yml` without a user, and everything else as it was written.
pub fn without_user(text: &str, name: &str) -> String {
    let Some(place) = section(text, &["users", name]) else { return text.to_owned() };
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines[place.line]);
    let is_theirs = |line: &&&str| line.trim().is_empty() || indent(line) > own;
    let theirs = 1 + lines[place.line + 1..].iter().take_while(is_theirs).count();
    let kept = lines.iter().enumerate().filter(|(at, _)| !(place.line..place.line + theirs).contains(at));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// The text of an `elt.yml` in which a user has the hash of another password.
pub fn with_password(text: &str, name: &str, hash: &str) -> String {
    let Some(place) = section(text, &["users", name, "password"]) else { return text.to_owned() };
    let line = text.lines().nth(place.line).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    replaced(text, place.line, Some(&format!("{indent}password: {hash}")))
}

/// A key of a text that lines are added under.
struct Section {
    /// The line that it stands in, counted from 0.
    line: usize,
    /// How far what is in it is set in.
    inner: usize,
}

/// Finds a key by the keys that it is under.
fn section(text: &str, path: &[&str]) -> Option<Section> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let (mut from, mut outer) = (0, None::<usize>);
    let mut found = None;
    for key in path {
        let wanted = format!("{key}:");
        let mut at = None;
        let mut level = None;
        for (number, line) in lines.iter().enumerate().skip(from) {
            if !is_said(line) {
                continue;
            }
            if outer.is_some_and(|outer| indent(line) <= outer) {
                break;
            }
            let here = *level.get_or_insert_with(|| indent(line));
            if indent(line) == here && line.trim_start().starts_with(&wanted) {
                at = Some(number);
                break;
            }
        }
        let line = at?;
        let below = lines[line + 1..].iter().find(|line| is_said(line)).map(|line| indent(line));
        let own = indent(lines[line]);
        // A list may stand as far left as its key.
        let is_list = lines[line + 1..]
            .iter()
            .find(|line| is_said(line))
            .is_some_and(|line| line.trim_start().starts_with("- "));
        let inner = below.filter(|below| *below > own || (is_list && *below == own)).unwrap_or(own + 2);
        found = Some(Section { line, inner });
        (from, outer) = (line + 1, Some(own));
    }
    found
}

fn inserted(text: &str, after: usize, line: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert((after + 1).min(lines.len()), line);
    lines.join("\n") + "\n"
}

fn replaced(text: &str, at: usize, by: Option<&str>) -> String {
    let lines = text.lines().enumerate();
    let lines: Vec<&str> =
        lines.filter_map(|(number, line)| if number == at { by } else { Some(line) }).collect();
    lines.join("\n") + "\n"
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<RoleRights>, String> {
        read_roles(&SourceText::new(USERS_FILE, text)).map_err(|error| error.message().to_owned())
    }

    fn grants(text: &str) -> Vec<Grant> {
        Grant::parse(text, None).unwrap()
    }

    #[test]
    fn roles_are_read_with_all_that_they_have() {
        let text = "
roles:
  analyst:
    grants: [select on schema main, all privileges on sandbox.t]
    row_filters:
      main.orders: region = 'EU'
    masks:
      Main.Customers: {EMAIL: \"'x'\", phone: }
    limits: {queries: 2, per_minute: 60, memory: 1GB, time: 30s}
";
        let roles = read(text).unwrap();
        assert_eq!(roles[0].grants.len(), 3);
        assert_eq!(roles[0].row_filters[&"main.orders".parse().unwrap()], "region = 'EU'");
        let masks = &roles[0].masks[&"main.customers".parse().unwrap()];
        assert_eq!((masks["email"].as_str(), masks["phone"].as_str()), ("'x'", "null"));
        let limits = roles[0].limits.or(RoleLimits { queries: Some(9), ..RoleLimits::default() });
        assert_eq!((limits.queries, limits.memory), (Some(2), Some(1 << 30)));
        for (text, wrong) in [
            ("roles: {a: {limits: {queries: 0}}}", "`0` is not a number above 0"),
            ("roles: {a: {limits: {time: soon}}}", "`soon` is not a stretch of time"),
            ("roles: {reads: {}}", "the role `reads` is built in, and holds for every table"),
            ("roles: {A b: {}}", "`A b` cannot be the name of a role"),
            ("roles: {a: {grants: [read on main.t]}}", "`read` is not a privilege"),
            ("roles: {a: {grant: []}}", "`grant` is not known in elt.yml"),
            ("roles: {a: {row_filters: {orders: x}}}", "`orders` has no schema: write `schema.table`"),
            ("roles: {a: {row_filters: {main.orders: }}}", "`main.orders` says nothing"),
            ("roles: {a: {masks: {main.orders: {}}}}", "no column is named"),
        ] {
            assert_eq!(read(text).unwrap_err(), wrong);
        }
    }

    #[test]
    fn users_go_and_get_other_passwords() {
        let text = "users:\n  ann:\n    role: reads\n    password: $argon2-a\n  bob:\n    password: $argon2-b # old\n# end\n";
        let without = without_user(text, "ann");
        assert_eq!(without, "users:\n  bob:\n    password: $argon2-b # old\n# end\n");
        assert_eq!(without_user(text, "eve"), text);
        let other = with_password(text, "bob", "$argon2-c");
        assert_eq!(other, text.replace("$argon2-b # old", "$argon2-c"));
    }

    #[test]
    fn grants_come_and_go_by_lines() {
        let mut text = "# ours\nusers: {}\n".to_owned();
        text = with_role(&text, "analyst");
        text = with_role(&text, "other");
        text = with_grants(&text, "analyst", &grants("all on schema main"));
        text = with_grants(&text, "analyst", &grants("select on nyc.planes"));
        text = with_grants(&text, "other", &grants("select on schema main"));
        let roles = read(&text).unwrap();
        let of = |name: &str| roles.iter().find(|role| role.name == name).unwrap().grants.clone();
        assert_eq!(of("analyst").len(), 3, "{text}");
        assert_eq!(of("other").len(), 1);
        assert!(text.starts_with("# ours\n"));
        let gone =
            without_grants(&SourceText::new(USERS_FILE, &text), "analyst", &grants("select on schema main"));
        let roles = read(&gone.unwrap()).unwrap();
        let left = &roles.iter().find(|role| role.name == "analyst").unwrap().grants;
        assert_eq!(
            left.iter().map(Grant::to_string).collect::<Vec<_>>(),
            ["select on table nyc.planes", "modify on schema main"]
        );

        let flush = "roles:\n  a:\n    grants:\n    - all on schema main\n    masks: {}\n";
        let more = with_grants(flush, "a", &grants("select on schema x"));
        assert_eq!(read(&more).unwrap()[0].grants.len(), 3, "{more}");
        let fewer =
            without_grants(&SourceText::new(USERS_FILE, &more), "a", &grants("select on schema main"))
                .unwrap();
        assert_eq!(read(&fewer).unwrap()[0].grants.len(), 2, "{fewer}");
        let inline = SourceText::new(USERS_FILE, "roles: {a: {grants: [select on schema main]}}");
        assert!(without_grants(&inline, "a", &grants("select on schema main")).is_err());
    }
}
