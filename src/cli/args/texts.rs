//! What `elt sql` is to run, in the order in which it was typed.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

/// One `-c` or one `-f`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Text {
    /// SQL.
    Command(String),
    /// A file of it; `-` is standard input.
    File(PathBuf),
}

/// All of them. Each option by itself would lose which came first.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Texts(pub(in crate::cli) Vec<Text>);

#[derive(Debug, Args)]
struct Options {
    /// SQL to run (can be repeated, and stand beside `-f`: they run in the order given)
    // A statement may begin with a comment.
    #[arg(long, short, value_name = "SQL", allow_hyphen_values = true)]
    command: Vec<String>,
    /// File of SQL to run (can be repeated; `-` is standard input)
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,
}

impl Args for Texts {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for Texts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let places = |name: &str| matches.indices_of(name).into_iter().flatten();
        let Options { command, file } = Options::from_arg_matches(matches)?;
        let commands = places("command").zip(command.into_iter().map(Text::Command));
        let mut all: Vec<(usize, Text)> =
            commands.chain(places("file").zip(file.into_iter().map(Text::File))).collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(Self(all.into_iter().map(|(_, text)| text).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Args, Command};
    use super::*;

    #[test]
    fn commands_and_files_come_in_the_order_given() {
        let words = ["elt", "sql", "-c", "one", "-f", "two.sql", "-c", "three", "-v", "n=5=5"];
        let Some(Command::Sql(sql)) = Args::try_parse_from(words).unwrap().command else {
            panic!("it is `sql`")
        };
        let command = |text: &str| Text::Command(text.to_owned());
        assert_eq!(sql.texts.0, [command("one"), Text::File("two.sql".into()), command("three")]);
        assert_eq!(sql.variable, [("n".to_owned(), "5=5".to_owned())]);
        assert!(Args::try_parse_from(["elt", "sql", "-v", "a-b=1"]).is_err());
    }
}
