//! What is written to Redis.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::Expr;

/// Where a Redis is. Any text may hold `${VAR}`, which only the runtime replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisConnection {
    /// Host names or addresses; the first that answers and takes writes is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Port, a number as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The number of the database, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// User.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password, as `${VAR}` or the path of a file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Further parameters of the client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// What a record becomes in Redis (`redis.write`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisWrite {
    /// The connection, a key of [`super::Plan::redis`].
    pub connection: String,
    /// Which records are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What the fields and members have in common; see [`super::Output::shared`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<Expr>,
    /// The key, a text; null rejects the record. With `nest` the parent's.
    pub key: Expr,
    /// What is written there.
    pub content: RedisContent,
    /// Whether what is there stays where nothing new is written.
    #[serde(default, skip_serializing_if = "OnUpdate::is_replace")]
    pub on_update: OnUpdate,
    /// The seconds after which the key expires, anew with each write; 0 for never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expire_s: u64,
}

/// The content of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisContent {
    /// A hash; a delete removes the key.
    Hash(RedisFields),
    /// A JSON document; a delete removes the key.
    Json(RedisFields),
    /// A member of a set; a delete removes the member.
    Set {
        /// The member.
        member: Expr,
    },
    /// A member of a sorted set; a delete removes the member.
    SortedSet {
        /// The member.
        member: Expr,
        /// Its score, a number.
        score: Expr,
    },
    /// An entry of a stream; a delete appends nothing.
    Stream(RedisFields),
    /// A string, which is always replaced; a delete removes the key.
    String {
        /// The value, a text.
        value: Expr,
    },
    /// A member of a map inside the JSON document of a parent; a delete removes the member.
    Nested {
        /// The path of the map in the document: `$.lines`.
        path: String,
        /// The member's name in the map, a text.
        member: Expr,
        /// What the member holds.
        fields: RedisFields,
    },
}

/// What a hash, document or entry holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisFields {
    /// The whole record, an object.
    Whole(Expr),
    /// These fields. A null is left out of a hash and an entry.
    Each(Vec<RedisField>),
}

/// One field that is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisField {
    /// Its name; for a document the names on the way to it.
    pub path: Vec<String>,
    /// What gives its value.
    pub expr: Expr,
    /// The text of the job that it comes from, for people.
    pub origin: String,
}

/// What a write does to what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUpdate {
    /// It replaces it.
    #[default]
    Replace,
    /// Fields that are not written stay.
    Merge,
}

impl OnUpdate {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_replace(&self) -> bool {
        *self == Self::Replace
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RedisContent {
    /// Every expression in it.
    #[must_use]
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Hash(fields) | Self::Json(fields) | Self::Stream(fields) => fields.exprs(),
            Self::Set { member } => vec![member],
            Self::SortedSet { member, score } => vec![member, score],
            Self::String { value } => vec![value],
            Self::Nested { member, fields, .. } => std::iter::once(member).chain(fields.exprs()).collect(),
        }
    }

    /// The same, to change them.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Hash(fields) | Self::Json(fields) | Self::Stream(fields) => fields.exprs_mut(),
            Self::Set { member } => vec![member],
            Self::SortedSet { member, score } => vec![member, score],
            Self::String { value } => vec![value],
            Self::Nested { member, fields, .. } => std::iter::once(member).chain(fields.exprs_mut()).collect(),
        }
    }

    /// What it is called in jobs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hash(_) => "hash",
            Self::Json(_) => "json",
            Self::Set { .. } => "set",
            Self::SortedSet { .. } => "sorted_set",
            Self::Stream(_) => "stream",
            Self::String { .. } => "string",
            Self::Nested { .. } => "nested json",
        }
    }
}

impl RedisFields {
    fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Whole(whole) => vec![whole],
            Self::Each(fields) => fields.iter().map(|field| &field.expr).collect(),
        }
    }

    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Whole(whole) => vec![whole],
            Self::Each(fields) => fields.iter_mut().map(|field| &mut field.expr).collect(),
        }
    }
}
