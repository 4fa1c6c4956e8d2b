//! What does an error of a room ask of whoever stands at the door?

use crate::base::{Diagnostic, Error, ErrorKind};
use crate::lake::LakeError;
use crate::landing::LandingError;
use crate::packages::PackageError;
use crate::query::QueryError;
use crate::release::ReleaseError;
use crate::table::TableError;

/// Makes a room's error the front door's, with the kind that it has there.
macro_rules! at_the_front_door {
    ($($error:ty),* $(,)?) => { $(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(error.kind(), error)
            }
        }
    )* };
}

at_the_front_door!(LakeError, TableError, ReleaseError, PackageError);

impl From<LandingError> for Error {
    fn from(error: LandingError) -> Self {
        match error {
            LandingError::Shape(error) => error,
            other => Self::new(other.kind(), other),
        }
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        let kind: ErrorKind = error.kind();
        match error {
            QueryError::Sql(mistake) => {
                let diagnostic = Diagnostic::error(mistake.code(), mistake.message().to_owned());
                Self::new(kind, diagnostic.maybe_help(mistake.help_text().map(str::to_owned)))
            }
            QueryError::Other(error) => *error,
            other => Self::new(kind, other),
        }
    }
}
