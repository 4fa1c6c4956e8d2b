//! What does a client hear when something goes wrong?
//!
//! The same words as at the command line: what, where, why, and what to do next; under the gRPC status that tells a
//! program whether to try again.

use std::fmt::Write as _;

use tonic::{Code, Status};

use crate::base::{Error, ErrorKind};
use crate::lakehouse::QueryError;

/// Characters of a message at most: it travels in a header.
const LONGEST: usize = 2000;

/// A statement that could not be answered.
pub(super) fn query_status(error: QueryError) -> Status {
    if let QueryError::Sql(mistake) = &error {
        let mut text = mistake.message().to_owned();
        if let Some((line, column)) = mistake.place() {
            let _ = write!(text, " (line {line}, column {column})");
        }
        if let Some(help) = mistake.help_text() {
            let _ = write!(text, "\nhelp: {help}");
        }
        return status(code_of(mistake.code(), mistake.message(), mistake.kind()), text);
    }
    if let Some(cause) = error.cause_words() {
        let code = if error.is_out_of_memory() { Code::ResourceExhausted } else { code_for(error.kind()) };
        return status(code, format!("{error}: {cause}"));
    }
    error_status(&error.into())
}

/// Something at the front door that could not be done.
pub(super) fn error_status(error: &Error) -> Status {
    let mut text = String::new();
    let mut code = None;
    for diagnostic in error.diagnostics() {
        let between = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{between}{diagnostic}");
        if let Some(help) = diagnostic.help() {
            let _ = write!(text, "\nhelp: {help}");
        }
        let stable = diagnostic.code().map(|code| code.to_string()).unwrap_or_default();
        code.get_or_insert_with(|| code_of(&stable, &diagnostic.to_string(), error.kind()));
    }
    status(code.unwrap_or_else(|| code_for(error.kind())), text)
}

/// A status with a message that fits into a header.
pub(super) fn status(code: Code, text: String) -> Status {
    if code == Code::Internal {
        tracing::error!("{text}");
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Status::new(code, format!("{}…", &text[..end])),
        None => Status::new(code, text),
    }
}

/// What was sent is not what the protocol has there.
pub(super) fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("{what} cannot be read; it is not as Arrow Flight SQL has it"))
}

/// Something that this server does not do.
pub(super) fn not_supported(what: &str, instead: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported\nhelp: {instead}"))
}

fn code_of(stable: &str, message: &str, kind: ErrorKind) -> Code {
    match stable {
        "elt::sql::no_such_table" | "elt::release::no_such_release" | "elt::table::no_such_version" => {
            Code::NotFound
        }
        "elt::sql::plan" if message.starts_with("there is no table") => Code::NotFound,
        "elt::sql::table_exists" => Code::AlreadyExists,
        "elt::sql::no_files" | "elt::sql::not_allowed" | "elt::sql::policy" => Code::PermissionDenied,
        "elt::sql::memory" => Code::ResourceExhausted,
        "elt::sql::read_only" => Code::FailedPrecondition,
        // A driver that hears "unimplemented" tries the same in another way.
        "elt::sql::value" | "elt::sql::not_supported" => Code::InvalidArgument,
        _ => code_for(kind),
    }
}

fn code_for(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::User => Code::InvalidArgument,
        ErrorKind::Data => Code::FailedPrecondition,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::Interrupted | ErrorKind::Terminated => Code::Cancelled,
        ErrorKind::Internal => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lakehouse::SqlMistake;

    #[test]
    fn a_message_has_what_to_do_next_and_fits() {
        let told = query_status(SqlMistake::empty().into());
        assert_eq!((told.code(), told.message()), (Code::InvalidArgument, "there is no statement"));
        let long = status(Code::Aborted, "ü".repeat(5000));
        assert_eq!(long.message().chars().count(), LONGEST + 1);
        let error = Error::user("elt::x", "no", "yes");
        assert_eq!(error_status(&error).message(), "no\nhelp: yes");
    }
}
