//! Which files hold macros?

use crate::base::SourceText;

/// A `.sql` file of macros or of generic tests. `compile` takes it apart.
#[derive(Clone, Debug)]
pub struct MacroFile {
    /// The package it belongs to.
    pub package: String,
    /// The file.
    pub source_text: SourceText,
}
