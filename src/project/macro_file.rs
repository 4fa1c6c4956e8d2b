//! Which files hold macros, and what is said of them?

use serde_json::Value;

use crate::base::SourceText;

/// A `.sql` file of macros or of generic tests. `compile` takes it apart.
#[derive(Clone, Debug)]
pub struct MacroFile {
    /// The package it belongs to.
    pub package: String,
    /// The file.
    pub source_text: SourceText,
}

/// What a properties file says of a macro. It is only shown.
#[derive(Clone, Debug)]
pub struct MacroWords {
    /// The package that says it, and has the macro.
    pub package: String,
    /// The macro's name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Its arguments, as they are written: each with a name, and perhaps a type and a description.
    pub arguments: Value,
    /// Its `meta`, its own or that of its `config`.
    pub meta: Value,
    /// Its `docs`, likewise.
    pub docs: Value,
    /// The file that says it.
    pub path: String,
}
