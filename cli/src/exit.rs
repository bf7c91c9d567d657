//! How a command ends: with 0, with 1 for what is wrong with the input, with 2 where it could not run.

use std::io::Write as _;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The jobs have errors, which were printed.
    Reported,
    /// Something else, with its remedy.
    Unable {
        /// What went wrong, in one line.
        message: String,
        /// What to do.
        help: Option<String>,
    },
}

impl Failure {
    /// A failure with a remedy.
    pub(crate) fn with_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Unable { message: message.into(), help: Some(help.into()) }
    }

    /// Prints what is not printed yet and gives the exit code.
    pub(crate) fn print(self) -> ExitCode {
        match self {
            Self::Reported => ExitCode::from(1),
            Self::Unable { message, help } => {
                let report =
                    help.map_or_else(|| miette::miette!("{message}"), |help| miette::miette!(help = help, "{message}"));
                eprintln!("{report:?}");
                ExitCode::from(2)
            }
        }
    }
}

/// Prints to standard output. A reader that has gone (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a line to standard error; nor is it an error there.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
