//! What does a YAML file say, and where does it say it?
//!
//! A [`Yaml`] is a tree in which every value knows its [`Span`], so that a mistake in a property
//! can be shown under the property. Strings that hold Jinja are rendered in place by
//! [`Yaml::render`]; the project does not know Jinja itself and asks a [`YamlJinja`].
//!
//! Not here: what any key means ([`words`](super::words) and the readers of each file).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use crate::base::{Diagnostic, SourceText, Span};

use super::scalar;
use super::target::Target;

/// Renders the Jinja that a YAML string holds. `compile` has the one implementation.
pub trait YamlJinja {
    /// Returns `text` with its tags evaluated, or a sentence that says why that failed.
    fn render(&self, text: &str, scope: &RenderScope<'_>) -> Result<String, String>;

    /// The same for what people read: a name that nobody knows stands for nothing, as in dbt.
    fn render_prose(&self, text: &str, scope: &RenderScope<'_>) -> Result<String, String> {
        self.render(text, scope)
    }
}

/// Mappings whose keys a user makes up.
const FREE: [&str; 3] = ["meta", "column_types", "tblproperties"];

/// What Jinja inside YAML may refer to.
#[derive(Clone, Copy)]
pub struct RenderScope<'a> {
    /// `var('name')`.
    pub vars: &'a BTreeMap<String, Value>,
    /// `env_var('NAME')`.
    pub env: &'a BTreeMap<String, String>,
    /// `target.name`; nothing while the profile itself is being read.
    pub target: Option<&'a Target>,
    /// `doc('name')`: the blocks of the project's Markdown files.
    pub docs: &'a BTreeMap<String, String>,
}

/// A YAML value and its place.
#[derive(Clone, Debug)]
pub struct Yaml {
    /// Where it is written.
    pub at: Span,
    /// What is written.
    pub node: YamlNode,
}

/// What a [`Yaml`] holds.
#[derive(Clone, Debug)]
pub enum YamlNode {
    /// A scalar: null, boolean, number or string.
    Scalar(Value),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping, in the order it is written.
    Map(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key is written.
    pub key_at: Span,
    /// Its value.
    pub value: Yaml,
}

impl Yaml {
    /// Reads a file of dbt's, by YAML 1.1. An empty file is an empty mapping.
    ///
    /// # Errors
    /// A diagnostic at the line that is no YAML.
    pub fn parse(source: &SourceText) -> Result<Self, Diagnostic> {
        Self::read(source, Edition::Python, None)
    }

    /// The same of a file in which a key may be written twice, as dbt allows: the later one holds, and `found` is told.
    ///
    /// # Errors
    /// A diagnostic at the line that is no YAML.
    pub fn parse_lenient(source: &SourceText, found: &mut Vec<Diagnostic>) -> Result<Self, Diagnostic> {
        Self::read(source, Edition::Python, Some(found))
    }

    /// Reads `elt.yml`, by YAML 1.2: `12:30` is a time there, and `no` a word.
    ///
    /// # Errors
    /// A diagnostic at the line that is no YAML.
    pub fn parse_own(source: &SourceText) -> Result<Self, Diagnostic> {
        Self::read(source, Edition::Plain, None)
    }

    /// The value of a text that is no file; null for an empty one.
    ///
    /// # Errors
    /// A sentence, if it is no YAML.
    pub(super) fn value_of(text: &str) -> Result<Value, String> {
        if is_empty(text) {
            return Ok(Value::Null);
        }
        let yaml = Self::parse(&SourceText::new("", text));
        let yaml = yaml.map_err(|diagnostic| diagnostic.message().trim_start().to_owned())?;
        let is_null =
            yaml.entries().is_empty() && matches!(yaml.node, YamlNode::Map(_)) && !text.contains('{');
        Ok(if is_null { Value::Null } else { yaml.to_json() })
    }

    fn read(
        source: &SourceText,
        edition: Edition,
        repeats: Option<&mut Vec<Diagnostic>>,
    ) -> Result<Self, Diagnostic> {
        use serde_saphyr::DuplicateKeyPolicy::{Error, LastWins};
        let empty = || Self { at: source.span(0..0), node: YamlNode::Map(Vec::new()) };
        if is_empty(&source.text) {
            return Ok(empty());
        }
        let options = serde_saphyr::options! {
            strict_booleans: true,
            duplicate_keys: if repeats.is_some() { LastWins } else { Error },
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        };
        let read = serde_saphyr::from_str_with_options::<Spanned<Raw>>(&source.text, options);
        let read = read.map_err(|error| not_yaml(source, &error))?;
        let mut found = Vec::new();
        let yaml = Self::place(read, source, edition, &mut found);
        if let Some(repeats) = repeats {
            repeats.append(&mut found);
        }
        Ok(if yaml.is_null() { empty() } else { yaml })
    }

    /// The value with its places; `found` is told of keys that are there twice.
    fn place(read: Spanned<Raw>, source: &SourceText, edition: Edition, found: &mut Vec<Diagnostic>) -> Self {
        let at = source.span(bytes(source, read.referenced));
        let node = match read.value {
            Raw::Scalar(value) => YamlNode::Scalar(edition.scalar(value, source, read.defined)),
            Raw::List(items) => {
                let place = |item| Self::place(item, source, edition, found);
                YamlNode::List(items.into_iter().map(place).collect())
            }
            Raw::Map(entries) => {
                let mut all: Vec<Entry> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key_at = source.span(bytes(source, key.referenced));
                    let key = match edition.scalar(key.value, source, key.defined) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    let value = Self::place(value, source, edition, found);
                    match all.iter_mut().find(|entry| entry.key == key) {
                        Some(first) => {
                            let what = format!("the key `{key}` is written twice here");
                            let help =
                                format!("this one holds; take the one at {} away", first.key_at.place());
                            found.push(
                                Diagnostic::warning("elt::duplicate_key", what)
                                    .at(&key_at, "again here")
                                    .help(help),
                            );
                            *first = Entry { key, key_at, value };
                        }
                        None => all.push(Entry { key, key_at, value }),
                    }
                }
                YamlNode::Map(all)
            }
        };
        Self { at, node }
    }

    /// Whether nothing is written.
    pub fn is_null(&self) -> bool {
        matches!(&self.node, YamlNode::Scalar(Value::Null))
    }

    /// Whether it says nothing that could matter: null, false, or an empty string, list or mapping.
    pub fn is_blank(&self) -> bool {
        match &self.node {
            YamlNode::Scalar(Value::String(text)) => text.is_empty(),
            YamlNode::Scalar(value) => matches!(value, Value::Null | Value::Bool(false)),
            YamlNode::List(items) => items.is_empty(),
            YamlNode::Map(entries) => entries.is_empty(),
        }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.node {
            YamlNode::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; a single value counts as a list of itself, null as an empty one.
    pub fn items(&self) -> &[Self] {
        match &self.node {
            YamlNode::List(items) => items,
            YamlNode::Scalar(Value::Null) => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The text of a scalar: a string, or a number or boolean as it would be written.
    pub fn text(&self) -> Option<String> {
        match &self.node {
            YamlNode::Scalar(Value::String(text)) => Some(text.clone()),
            YamlNode::Scalar(Value::Null) => None,
            YamlNode::Scalar(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// The same value without its places.
    pub fn to_json(&self) -> Value {
        match &self.node {
            YamlNode::Scalar(value) => value.clone(),
            YamlNode::List(items) => items.iter().map(Self::to_json).collect(),
            YamlNode::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    /// Renders a text that people read: a description.
    pub(super) fn render_prose(
        &mut self,
        jinja: &dyn YamlJinja,
        scope: &RenderScope<'_>,
        found: &mut Vec<Diagnostic>,
    ) {
        if let YamlNode::Scalar(Value::String(text)) = &self.node
            && ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign))
        {
            let rendered = jinja.render_prose(text, scope);
            self.take(rendered, found);
        }
    }

    fn take(&mut self, rendered: Result<String, String>, found: &mut Vec<Diagnostic>) {
        match rendered {
            Ok(rendered) => self.node = YamlNode::Scalar(read_scalar(rendered)),
            Err(why) => found.push(
                Diagnostic::error("elt::yaml_jinja", format!("this Jinja cannot be rendered: {why}"))
                    .at(&self.at, "here")
                    .help("YAML files know `var()`, `env_var()`, `target` and, in descriptions, `doc()`"),
            ),
        }
    }

    /// Renders every string that holds Jinja, except below the keys in `late`.
    ///
    /// What a rendered string becomes is read as YAML would read it: `True` is a boolean, `4` a number.
    pub fn render(
        &mut self,
        jinja: &dyn YamlJinja,
        scope: &RenderScope<'_>,
        late: &[&str],
        found: &mut Vec<Diagnostic>,
    ) {
        match &mut self.node {
            YamlNode::Scalar(Value::String(text)) if text.contains("{{") || text.contains("{%") => {
                let rendered = jinja.render(text, scope);
                self.take(rendered, found);
            }
            YamlNode::Scalar(_) => {}
            YamlNode::List(items) => {
                items.iter_mut().for_each(|item| item.render(jinja, scope, late, found));
            }
            YamlNode::Map(entries) => {
                for entry in entries.iter_mut().filter(|entry| !late.contains(&entry.key.as_str())) {
                    // The keys of these are the user's, whatever words they are.
                    let late = if FREE.contains(&entry.key.as_str()) { &[][..] } else { late };
                    entry.value.render(jinja, scope, late, found);
                }
            }
        }
    }
}

fn read_scalar(rendered: String) -> Value {
    match rendered.trim() {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        "None" | "null" => Value::Null,
        number => match number.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(rendered),
        },
    }
}

fn not_yaml(source: &SourceText, error: &serde_saphyr::Error) -> Diagnostic {
    let why = error.without_snippet().to_string();
    let why = why.lines().next().unwrap_or_default().to_owned();
    let diagnostic = Diagnostic::error("elt::yaml", format!("{} is not valid YAML: {why}", source.path));
    match error.location() {
        Some(location) => {
            let line = usize::try_from(location.line()).unwrap_or(1);
            let column = usize::try_from(location.column()).unwrap_or(1);
            diagnostic.at(&source.word_at(line, column), "reading stopped here")
        }
        None => diagnostic.at(&source.span(0..0), "in this file"),
    }
}

/// The bytes a location covers. A mapping or list is shown by its first line only.
fn bytes(source: &SourceText, location: Location) -> Range<usize> {
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    let start = match number(location.span().byte_offset()) {
        Some(start) => start,
        None => return 0..0,
    };
    let length = number(location.span().byte_len()).unwrap_or(0).max(1);
    let rest = source.text.get(start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default().trim_end().len();
    start..start + length.min(line.max(1))
}

fn is_empty(text: &str) -> bool {
    text.lines().all(|line| matches!(line.trim_start().chars().next(), None | Some('#')))
}

/// By which rules a word without quotes becomes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edition {
    /// YAML 1.1, as [`scalar`](super::scalar) has it.
    Python,
    /// YAML 1.2, as the library has it.
    Plain,
}

impl Edition {
    /// The value of a scalar that the library read as `value` at `defined`.
    fn scalar(self, value: Value, source: &SourceText, defined: Location) -> Value {
        match unquoted(source, defined).filter(|_| self == Self::Python) {
            Some(word) => scalar::resolve(word),
            None => value,
        }
    }
}

/// The scalar at a place as it is written, if it stands on one line, without quotes, without a tag, and in no block.
fn unquoted(source: &SourceText, at: Location) -> Option<&str> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let word = source.text.get(start..start + length)?.trim();
    let before = source.text.get(..start)?.trim_end().rsplit(|c: char| c.is_whitespace()).next()?;
    let is_plain = !word.starts_with(['\'', '"', '|', '>', '&', '*', '!']) && !word.contains('\n');
    (is_plain && !before.starts_with(['!', '|', '>'])).then_some(word)
}

/// A value as the YAML library reads it, before it is put in its place.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Value>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Yaml {
        Yaml::parse(&SourceText::new("m.yml", text)).unwrap()
    }

    #[test]
    fn every_value_knows_its_place() {
        let yaml = read("models:\n  - name: orders\n    tests:\n      - unique\n      - not_null: {}\n");
        let model = &yaml.get("models").unwrap().items()[0];
        assert_eq!(model.get("name").unwrap().at.place(), "m.yml:2:11");
        let tests = model.get("tests").unwrap().items();
        assert_eq!(tests[0].at.place(), "m.yml:4:9");
        assert_eq!(tests[1].at.place(), "m.yml:5:9");
        assert_eq!(model.entries()[1].key_at.place(), "m.yml:3:5");
    }

    #[test]
    fn quoted_numbers_stay_text_and_empty_files_are_mappings() {
        assert_eq!(
            read("a: '5'\nb: 5\nc: [x, ~]").to_json().to_string(),
            r#"{"a":"5","b":5,"c":["x",null]}"#
        );
        assert_eq!(
            read("[y, no, 'no', !!str no, \"1\", 012, 1e3, .inf]").to_json().to_string(),
            r#"["y",false,"no","no","1",10,"1e3","inf"]"#
        );
        assert_eq!(
            read("yes: &a off\n012: *a\n'on': >-\n  no\nk: no\n  way # really\nl: # none\n")
                .to_json()
                .to_string(),
            r#"{"true":false,"10":false,"on":"no","k":"no way","l":null}"#
        );
        let own = Yaml::parse_own(&SourceText::new("elt.yml", "[12:30, no, 5]")).unwrap();
        assert_eq!(own.to_json().to_string(), r#"["12:30","no",5]"#);
        assert!(read("# nothing\n\n").entries().is_empty());
        assert!(read("---\n").entries().is_empty());
    }

    #[test]
    fn broken_yaml_is_shown_where_reading_stopped() {
        let error = Yaml::parse(&SourceText::new("m.yml", "a: 1\nb: [1, 2\n")).unwrap_err();
        assert!(error.place().is_some_and(|place| place.starts_with("m.yml:")), "{error}");
    }
}
