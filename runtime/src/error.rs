//! What can go wrong: what ends a run, and what a pipeline waits out.

use redis_wb_plan::RejectCode;

use crate::lease::Fence;

/// Why a run ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    help: Option<String>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.help.clone()
    }
}

/// Why a step of a pipeline did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It passes by itself: a connection, a deadlock, a full disk. Waited out for ever.
    Transient(String),
    /// Slots of a Redis Cluster are on their way, or a shard has no primary yet. It passes by itself, within moments as a
    /// rule: where things are is looked at anew at once.
    Moving(String),
    /// Somebody has to mend something outside: a missing table, a permission, a password.
    Configuration {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// The checkpoint is not where this worker left it: another worker applied the batch, or this one did before
    /// its connection broke. Nothing was written; the position is read anew.
    Overtaken,
    /// The target knows the fence of a later owner of the unit, or of one that this worker cannot tell from itself.
    /// Nothing was written, and nothing will be under the fence of this worker.
    Fenced(Fence),
    /// The target refuses rows of the batch for good.
    Refused(Refusal),
}

/// Why a target refuses rows.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The kind of reason.
    pub(crate) code: RejectCode,
    /// The target's own words.
    pub(crate) reason: String,
    /// The statement that it refused.
    pub(crate) statement: Option<String>,
    /// Whether only the commit showed it: a deferred constraint.
    pub(crate) at_commit: bool,
    /// Whether the target ended the transaction on top, as a trigger of SQLite can.
    pub(crate) has_ended: bool,
}

impl Failure {
    pub(crate) fn configuration(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Configuration { message: message.into(), help: help.into() }
    }

    pub(crate) fn refused(code: RejectCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Refused(Refusal { code, reason, statement: None, at_commit: false, has_ended: false })
    }

    /// The same, where somebody has to mend something, with the place that it is about.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Configuration { message, help } if !message.contains(place) => {
                Self::Configuration { message: format!("{place}: {message}"), help }
            }
            other => other,
        }
    }

    /// The same with the name of the connection, unless it is said already.
    pub(crate) fn of_connection(self, name: &str) -> Self {
        match &self {
            Self::Configuration { message, .. } if message.contains(&format!("connection `{name}`")) => self,
            _ => self.at(&format!("connection `{name}`")),
        }
    }

    /// What kind of failure it is, in one word; of a refusal its code.
    pub(crate) const fn class(&self) -> &'static str {
        match self {
            Self::Transient(_) | Self::Moving(_) => "transient",
            Self::Configuration { .. } => "configuration",
            Self::Overtaken => "overtaken",
            Self::Fenced(_) => "fenced",
            Self::Refused(refusal) => refusal.code.code(),
        }
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Configuration { message, .. } | Self::Transient(message) | Self::Moving(message) => message,
            Self::Overtaken => "another worker applies the same changes",
            Self::Fenced(_) => "a later owner of this unit is known",
            Self::Refused(refusal) => &refusal.reason,
        }
    }

    /// The same, with more known of a refusal.
    pub(crate) fn refusal(self, more: impl FnOnce(&mut Refusal)) -> Self {
        match self {
            Self::Refused(mut refusal) => {
                more(&mut refusal);
                Self::Refused(refusal)
            }
            other => other,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Configuration { message, help } => Self::new(message, help),
            Failure::Transient(message) | Failure::Moving(message) => Self { message, help: None },
            Failure::Overtaken => Self { message: "another worker applies the same changes".to_owned(), help: None },
            Failure::Fenced(known) => {
                Self { message: format!("a later owner of this unit is known, with fence {known}"), help: None }
            }
            Failure::Refused(Refusal { code, reason, .. }) => {
                Self { message: format!("{reason} ({code})"), help: None }
            }
        }
    }
}
