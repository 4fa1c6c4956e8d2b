//! What does a client of PostgreSQL hear when something goes wrong?

use pgwire::error::{ErrorInfo, PgWireError};
use tonic::{Code, Status};

/// A status in PostgreSQL's words: the code by which programs know it, the help as the hint.
pub(super) fn told(status: Status) -> PgWireError {
    let message = status.message();
    let code = match status.code() {
        Code::Unauthenticated => "28P01",
        Code::PermissionDenied => "42501",
        Code::NotFound => "42P01",
        Code::AlreadyExists => "42P07",
        Code::InvalidArgument if message.starts_with("there is no column") => "42703",
        Code::InvalidArgument if message.starts_with("there is no function") => "42883",
        Code::InvalidArgument if message.starts_with("there is no table") => "42P01",
        Code::InvalidArgument if message.starts_with("there is no setting") => "42704",
        // Words of the engine's own mistakes with values.
        Code::InvalidArgument | Code::FailedPrecondition if message.contains("division by zero") => "22012",
        Code::InvalidArgument | Code::FailedPrecondition if message.contains("is too large for its type") => {
            "22003"
        }
        Code::InvalidArgument | Code::FailedPrecondition if is_of_a_value(message) => "22P02",
        Code::InvalidArgument if message.contains("not supported") => "0A000",
        Code::InvalidArgument => "42601",
        Code::Unimplemented => "0A000",
        Code::FailedPrecondition => "55000",
        Code::Aborted => "40001",
        Code::Cancelled | Code::DeadlineExceeded => "57014",
        Code::ResourceExhausted => "53000",
        Code::Unavailable => "57P01",
        _ => "XX000",
    };
    let (what, hint) = match message.split_once("\nhelp: ") {
        Some((what, help)) => (what, Some(help.to_owned())),
        None => (message, None),
    };
    let severity = if status.code() == Code::Unauthenticated { "FATAL" } else { "ERROR" };
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), what.to_owned());
    info.hint = hint;
    PgWireError::UserError(Box::new(info))
}

/// A mistake with one of PostgreSQL's codes; what to do next comes after `help:`, on a line of its own.
pub(super) fn wrong(code: &str, what: String) -> PgWireError {
    let (what, hint) = match what.split_once("\nhelp: ") {
        Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
        None => (what, None),
    };
    let mut info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), what);
    info.hint = hint;
    PgWireError::UserError(Box::new(info))
}

/// Whether a value is no value of the type that it was to have.
fn is_of_a_value(message: &str) -> bool {
    message.contains("cannot be read as") || message.contains(" does not fit into ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_known_by_postgresqls_codes() {
        for (message, code) in [
            ("division by zero", "22012"),
            ("'x' cannot be read as int", "22P02"),
            ("`9223372036854775807 + 1` is too large for its type", "22003"),
            ("RETURNING is not supported\nhelp: select the rows", "0A000"),
            ("there is no column `a`", "42703"),
            ("expected an expression", "42601"),
        ] {
            let PgWireError::UserError(info) = told(Status::invalid_argument(message)) else {
                panic!("{message}")
            };
            assert_eq!(info.code, code, "{message}");
        }
    }
}
