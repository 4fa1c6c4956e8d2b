//! What does `elt.yml` say that nobody reads?
//!
//! Each section has a reader of its own, which refuses what it does not know when it is needed: a schedule when schedules are
//! kept, a user when somebody wants in. A word that is mistyped would wait for that night, so every command is told of it.

use super::run_retention::read_run_retention;
use super::schedule::{KEYS, NOTIFICATION_KEYS};
use super::users::{SECTIONS, USERS_FILE, read_users, unknown};
use super::yaml::{Entry, Yaml, YamlNode};
use crate::base::{Diagnostic, SourceText};

/// What is not known in the text of an `elt.yml`, as warnings.
pub(super) fn not_known(source: &SourceText) -> Vec<Diagnostic> {
    let yaml = match Yaml::parse_own(source) {
        Ok(yaml) => yaml,
        Err(mistake) => return vec![mistake.as_warning()],
    };
    if !matches!(yaml.node, YamlNode::Map(_)) {
        let what = format!("{USERS_FILE} has no sections, so nothing of it is heeded");
        let known = SECTIONS.map(|section| format!("`{section}:`")).join(", ");
        let found = Diagnostic::warning("elt::users::unknown", what).at(&yaml.at, "this is no mapping");
        return vec![found.help(format!("here may stand: {known}"))];
    }
    let mut found = Vec::new();
    let mut check = |entries: &[Entry], known: &[&str]| {
        let odd = entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
        found.extend(odd.map(|entry| unknown(&entry.key, &entry.key_at, known)));
    };
    check(yaml.entries(), &SECTIONS);
    for section in yaml.entries() {
        let entries = section.value.entries();
        match section.key.as_str() {
            "openlineage" => check(entries, &["url", "namespace"]),
            "notifications" => check(entries, &NOTIFICATION_KEYS),
            "packages" => check(entries, &["hub", "mirrors"]),
            "schedules" => entries.iter().for_each(|schedule| check(schedule.value.entries(), &KEYS)),
            _ => {}
        }
    }
    let lists = yaml.entries().iter().filter(|section| SECTIONS.contains(&section.key.as_str()));
    let lists =
        lists.filter(|section| !section.value.is_null() && !matches!(section.value.node, YamlNode::Map(_)));
    found.extend(lists.map(|section| {
        let what = format!("`{}:` has no entries, so nothing of it is heeded", section.key);
        let help = "each entry stands below it, by its name: `name: …`";
        Diagnostic::warning("elt::users::unknown", what).at(&section.key_at, "here").help(help)
    }));
    found.extend(read_run_retention(source).err());
    // What is wrong with users is told where they are let in; here only if a word of theirs is not known.
    found.extend(read_users(source).err().filter(|mistake| mistake.stable_code() == "elt::users::unknown"));
    let mut told = Vec::new();
    for mistake in found {
        if !told.iter().any(|known: &Diagnostic| known.message() == mistake.message()) {
            told.push(mistake.as_warning());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_told() {
        for (text, expected) in [
            ("", ""),
            ("runs: {keep: 9 days}\nschedules: {night: {cron: '0 3 * * *', timezone: UTC}}\nusers: {}\n", ""),
            ("notifications: {webhook: \"{{ env_var('NOT_HERE') }}\"}\n", ""),
            ("notifcations: {webhook: x}\n", "`notifcations` is not known in elt.yml"),
            ("notifications: {web: x}\n", "`web` is not known in elt.yml"),
            ("runs: {kep: 1 day}\n", "`kep` is not known in elt.yml"),
            (
                "schedule: {}\nuser: {}\n",
                "`schedule` is not known in elt.yml; `user` is not known in elt.yml",
            ),
            ("schedules: {night: {crn: x}}\n", "`crn` is not known in elt.yml"),
            ("schedules: []\n", "`schedules:` has no entries, so nothing of it is heeded"),
            ("- schedules\n", "elt.yml has no sections, so nothing of it is heeded"),
            ("openlineage: {adress: x}\n", "`adress` is not known in elt.yml"),
        ] {
            let found = not_known(&SourceText::new(USERS_FILE, text));
            assert!(found.iter().all(|one| !one.is_error()), "{text}");
            let told: Vec<&str> = found.iter().map(Diagnostic::message).collect();
            assert_eq!(told.join("; "), expected, "{text}");
        }
    }
}
