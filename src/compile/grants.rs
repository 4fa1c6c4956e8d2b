//! Who may do what with a model's table?
//!
//! A lake knows users with a role each, in `elt.yml`: who `reads` reads every table, who `writes` writes every table, and a
//! role of the file's own may do what is granted to it there. So `grants` can be kept or not, but nothing is granted by
//! them. A privilege that its holder has is kept quietly; one that somebody lacks, or that others have as well, is told;
//! of whoever has a role of the file's own, the file tells.

use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};
use crate::project::{Config, Role, User, texts};

/// Privileges that have a meaning here, and whether they are to write.
const PRIVILEGES: [(&str, bool); 8] = [
    ("select", false),
    ("read", false),
    ("usage", false),
    ("insert", true),
    ("update", true),
    ("delete", true),
    ("truncate", true),
    ("all", true),
];

/// Says what of a node's `grants` does not hold for the users of the lake.
pub(super) fn check(config: &Config, users: &[User], found: &mut Vec<Diagnostic>) {
    let Some(setting) = config.get("grants") else { return };
    let is_who = |value: &Value| match value {
        Value::Array(all) => all.iter().all(Value::is_string),
        other => other.is_string() || other.is_null(),
    };
    let grants = match &setting.value {
        Value::Null => return,
        Value::Object(grants) if grants.values().all(is_who) => grants,
        _ => {
            found.push(
                Diagnostic::error("elt::config", "`grants` has privileges, each with a list of who has it")
                    .at(&setting.at, "not such a mapping")
                    .help("write `grants: {select: ['reporter']}`"),
            );
            return;
        }
    };
    // Many nodes may have them from one place.
    let mut tell = |what: String, help: String| {
        let told = Diagnostic::warning("elt::grants", what).at(&setting.at, "does not hold").help(help);
        if !found.contains(&told) {
            found.push(told);
        }
    };
    for (written, who) in grants {
        let word = written.trim_start_matches('+').to_lowercase();
        let who = texts(who);
        if who.is_empty() {
            continue;
        }
        let Some((_, writes)) = PRIVILEGES.iter().find(|(known, _)| *known == word) else {
            let known = PRIVILEGES.map(|(known, _)| known);
            let near = did_you_mean(&word, known);
            let what = format!("`{written}` is no privilege of elt: it is noted in the manifest");
            tell(what, near.unwrap_or_else(|| format!("known are: {}", known.join(", "))));
            continue;
        };
        if users.is_empty() {
            let what = format!("`{word}` is granted to {}, and the lake has no users", listed(&who));
            let help = "who may read a lake is said by the rights on its folder or bucket, and by the users of `elt serve`: \
                        `elt user add NAME` adds one";
            tell(what, help.to_owned());
            continue;
        }
        let may = |user: &User| !writes || user.role == Role::Writes;
        for name in &who {
            if users.iter().any(|user| user.named_role.as_ref() == Some(name)) {
                continue;
            }
            match users.iter().find(|user| user.name == *name) {
                None => tell(
                    format!("`{word}` is granted to `{name}`, who is no user of the lake"),
                    format!("add the user: `elt user add {name}`"),
                ),
                Some(user) if !may(user) => tell(
                    format!("`{word}` is granted to `{name}`, who only reads"),
                    format!("give `{name}` the role `writes` in elt.yml"),
                ),
                Some(_) => {}
            }
        }
        let others: Vec<String> = users
            .iter()
            .filter(|user| user.named_role.is_none() && may(user) && !who.contains(&user.name))
            .map(|u| u.name.clone())
            .collect();
        if !others.is_empty() {
            let does = if *writes { "writes" } else { "reads" };
            tell(
                format!("`{word}` is granted to {}, and {} may do it too", listed(&who), listed(&others)),
                format!(
                    "who {does} a lake {does} all of it; name them too, or give them a role of their own in elt.yml: `grant select on … to role …`"
                ),
            );
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
