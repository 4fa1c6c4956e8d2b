//! What does a client agree on besides what it asks?
//!
//! It sends wishes along when it connects, and hears of what has become of them. What was set in a transaction is taken back with it, and
//! what was set for it alone is over when it ends.

use pgwire::api::ClientInfo;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::ParameterStatus;

use super::mistakes::{told, wrong};
use super::talk::Talk;
use super::words::{Own, for_the_lake};
use crate::serve::clients::{Agreed, Client, locked};
use crate::serve::settings::is_setting;

/// What is to be agreed on once a transaction ends.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// As it was when it began.
    begun: Agreed,
    /// As it is without what was set for the transaction alone.
    lasting: Option<Agreed>,
}

impl Talk {
    /// Agrees on what a client sent along when it connected. What means nothing here is passed over.
    ///
    /// # Errors
    /// What it wants and cannot have.
    pub(super) async fn settle_at_first(
        &self,
        client: &std::sync::Arc<Client>,
        info: &(impl ClientInfo + Sync),
    ) -> PgWireResult<()> {
        for (name, value) in wishes(info) {
            let sql = format!("set {name} = '{}'", value.replace('\'', "''"));
            match Own::read(&sql) {
                Some(Own::Refused(code, what)) => return Err(wrong(code, what)),
                None if is_setting(&name) => {
                    let spelled = for_the_lake(&sql).map_err(|what| wrong("22023", what))?;
                    let sql = spelled.unwrap_or(sql);
                    self.endpoint.done(client, None, &sql).await.map_err(told)?;
                }
                _ => {}
            }
        }
        drop(self.news(client));
        Ok(())
    }

    /// What holds otherwise than the client was told last.
    pub(super) fn news(&self, client: &Client) -> Vec<PgWireBackendMessage> {
        let (zone, schema) = self.place(client);
        let before = locked(&self.told).replace((zone.clone(), schema.clone()));
        let Some((old_zone, old_schema)) = before else { return Vec::new() };
        let status = |name: &str, value: String| {
            PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value))
        };
        let zone = (zone != old_zone).then(|| status("TimeZone", zone));
        let schema = (schema != old_schema).then(|| status("search_path", schema));
        zone.into_iter().chain(schema).collect()
    }

    /// The time zone and the schema of a session.
    pub(super) fn place(&self, client: &Client) -> (String, String) {
        let manner = client.agreed().manner;
        let schema = manner.schema.unwrap_or_else(|| self.endpoint.lakehouse.default_schema().to_owned());
        (manner.time_zone.unwrap_or_else(|| "UTC".to_owned()), schema)
    }

    /// Takes note of what is agreed on when a transaction begins.
    pub(super) fn note_begin(&self, client: &Client) {
        *locked(&self.before) = Some(Before { begun: client.agreed(), lasting: None });
    }

    /// Takes note that something is about to be set, for the transaction alone or for longer.
    pub(super) fn note_setting(&self, client: &Client, is_local: bool) {
        if let Some(before) = &mut *locked(&self.before) {
            match is_local {
                true if before.lasting.is_none() => before.lasting = Some(client.agreed()),
                true => {}
                // What was said last counts.
                false => before.lasting = None,
            }
        }
    }

    /// A transaction has ended: what was set in it stays, or goes back to how it was.
    pub(super) fn settle_end(&self, client: &Client, commits: bool) {
        let Some(before) = locked(&self.before).take() else { return };
        match commits {
            false => client.agree(before.begun),
            true => {
                if let Some(lasting) = before.lasting {
                    client.agree(lasting);
                }
            }
        }
    }
}

/// What a client sent along, by name in lower case: its parameters, and those of `options`.
fn wishes(info: &impl ClientInfo) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, value) in info.metadata() {
        let name = name.to_lowercase();
        match name.as_str() {
            "user" | "database" | "password" | "replication" => {}
            "options" => found.extend(options(value)),
            _ => found.push((name, value.clone())),
        }
    }
    let is_name = |name: &str| {
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')
    };
    found.retain(|(name, _)| is_name(name));
    found.sort();
    found
}

/// `-c name=value`, `-cname=value` and `--name=value`; a blank in a value comes after a backslash.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let word = words.last_mut().expect("there is one");
        match letter {
            '\\' => word.extend(letters.next()),
            blank if blank.is_whitespace() => words.push(String::new()),
            other => word.push(other),
        }
    }
    words.retain(|word| !word.is_empty() && word != "-c");
    let setting = |word: String| {
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(&word);
        let (name, value) = word.split_once('=')?;
        Some((name.to_lowercase().replace('-', "_"), value.to_owned()))
    };
    words.into_iter().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_every_form() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            options(r"-c search_path=nyc --TimeZone=Europe/Oslo -cgeqo=off -c a=b\ c"),
            [
                pair("search_path", "nyc"),
                pair("timezone", "Europe/Oslo"),
                pair("geqo", "off"),
                pair("a", "b c")
            ]
        );
        assert_eq!(options("  "), []);
    }
}
