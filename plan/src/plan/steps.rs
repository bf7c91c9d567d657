//! What happens to a record before its rows are made: conditions, lookups, and the rows of a list's elements.

use serde::{Deserialize, Serialize};

use crate::evaluate::Slots;
use crate::expr::Input;
use crate::{Expr, Reject, compare};

/// A step of a job that is no expression. Steps are carried out in their order, and before anything of an output is
/// evaluated: what a filter drops costs nothing behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Drops records.
    Filter(Filter),
    /// Asks a Redis for something; its reply is [`crate::expr::Root::Lookup`] of its place among the lookups.
    Lookup(Lookup),
}

/// A filter: records for which the condition does not hold go no further.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Which records go on.
    pub condition: Condition,
    /// What happens to the rows of a record that does not.
    #[serde(default, skip_serializing_if = "OnUnmatched::is_keep")]
    pub on_unmatched: OnUnmatched,
}

/// An expression that holds or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The expression.
    pub expr: Expr,
    /// Whether a delete is held back as well where it does not hold. One that reads the content after the change has
    /// nothing to read on a delete and lets each pass: deleting a row that was never written does no harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_deletes: bool,
    /// The text of the job that it comes from, for people.
    pub origin: String,
}

impl Condition {
    /// Whether a record passes; ask for a delete only if [`Self::holds_deletes`].
    ///
    /// # Errors
    /// The reason for which the record must be rejected.
    pub fn passes<'a>(&'a self, input: &'a Input<'a>) -> Result<bool, Reject> {
        let value = Slots::new(&[]).evaluate(&self.expr, input)?;
        Ok(compare::passes(&value))
    }
}

/// What happens to the rows of a record that a filter drops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnmatched {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are deleted, as if the key were.
    Delete,
}

impl OnUnmatched {
    // serde's `skip_serializing_if` hands over a reference.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

/// A read command on a Redis connection, carried out for many records at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The connection, a key of [`super::Plan::redis`].
    pub connection: String,
    /// The command, in upper case.
    pub command: String,
    /// Its arguments. Where one of them is null nothing is asked, and the reply is null.
    pub args: Vec<Expr>,
    /// The field that holds the reply, for people.
    pub field: String,
}

/// One row for each element of a list, which expressions see as [`crate::expr::Root::Element`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foreach {
    /// What the job calls an element.
    pub name: String,
    /// The list, over the record; null is a list without elements.
    pub list: Expr,
    /// The columns that tie a row to its key, by their place in [`super::Output::columns`]; they are the same for each
    /// element. Empty where nothing tells them: then rows whose elements vanished stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<usize>,
    /// What happens to rows whose elements are no longer in the list.
    #[serde(default)]
    pub on_vanished: OnVanished,
}

/// What happens to a row whose element is no longer in the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnVanished {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays.
    Keep,
}

/// What a column gets whose value is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Null, as in RDI.
    #[default]
    Null,
    /// What it had: the statement keeps it.
    Keep,
    /// Nothing: the record is rejected. The columns say so themselves, as not nullable.
    Reject,
}

impl OnMissing {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }
}
