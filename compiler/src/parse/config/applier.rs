//! `applier`: how batches are read and written.

use super::super::mapping::{Context, Mapping};
use crate::Diagnostic;
use crate::ast::{Config, RedisType};
use crate::codes::Code;
use crate::parse::redis::ON_UPDATE;
use crate::source::{Span, Spanned};
use crate::yaml::Node;

/// No count, size or time of the configuration may be larger.
const NUMBER_MAX: i64 = 1_000_000_000;

/// How long a batch for a Redis waits for replicas where nothing else is said, in milliseconds.
const REPLICA_WAIT_MS: i64 = 1_000;

/// Reads the section.
pub(super) fn read(context: &mut Context<'_>, key: Span, node: &Node, config: &mut Config) {
    let Some(mut map) = Mapping::open(context, node, "applier", key) else {
        return;
    };
    batches(context, &mut map, config);
    failures(context, &mut map, config);
    redis(context, &mut map, config);
    ingest_only(context, &mut map);
    map.finish(context);
}

fn number(context: &mut Context<'_>, map: &mut Mapping<'_>, key: &'static str, lowest: i64) -> Option<(i64, Span)> {
    let (_, node) = map.optional(key)?;
    Some((context.number(node, key, lowest, NUMBER_MAX)?, node.span))
}

fn rows(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn flag(context: &mut Context<'_>, map: &mut Mapping<'_>, key: &'static str) -> Option<bool> {
    let (_, node) = map.optional(key)?;
    context.word(node, key, &[("true", true), ("false", false)])
}

fn batches(context: &mut Context<'_>, map: &mut Mapping<'_>, config: &mut Config) {
    let applier = &mut config.applier;
    if let Some((number, _)) = number(context, map, "read_batch_size", 1) {
        applier.read_batch_rows_max = rows(number);
    }
    if let Some((number, span)) = number(context, map, "write_batch_size", 1) {
        applier.write_batch_rows_max = rows(number);
        if applier.write_batch_rows_max > applier.read_batch_rows_max {
            let message = format!("`write_batch_size` is above `read_batch_size`, {}", applier.read_batch_rows_max);
            let diagnostic = Diagnostic::new(Code::E0009, span, message, "more than is ever read");
            context.report(diagnostic.help(format!("raise `read_batch_size` to {number}, or lower this")));
        }
    }
    number(context, map, "duration", 0);
    flag(context, map, "dedup");
    number(context, map, "dedup_max_size", 0);
}

fn failures(context: &mut Context<'_>, map: &mut Mapping<'_>, config: &mut Config) {
    let applier = &mut config.applier;
    if let Some((seconds, _)) = number(context, map, "on_failed_retry_interval", 0) {
        applier.retry_ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    }
    if let Some((seconds, _)) = number(context, map, "foreign_key_wait", 0) {
        applier.foreign_key_wait_ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    }
    if let Some((_, node)) = map.optional("error_handling") {
        applier.dead_letter = context.word(node, "error_handling", &[("dlq", true), ("ignore", false)]).unwrap_or(true);
    }
    if let Some((number, _)) = number(context, map, "dlq_max_messages", 1) {
        applier.dlq_rows_max = rows(number);
    }
}

/// What a target that is a Redis is told.
fn redis(context: &mut Context<'_>, map: &mut Mapping<'_>, config: &mut Config) {
    let defaults = &mut config.redis_defaults;
    if let Some((_, node)) = map.optional("target_data_type") {
        let words = [("hash", RedisType::Hash), ("json", RedisType::Json)];
        defaults.data_type = context.word(node, "target_data_type", &words).unwrap_or(defaults.data_type);
    }
    if let Some((key, node)) = map.optional("json_update_strategy") {
        let on_update = context.word(node, "json_update_strategy", &ON_UPDATE);
        defaults.json_on_update = on_update.unwrap_or(defaults.json_on_update);
        let message = "`json_update_strategy` is deprecated: it is the same for all jobs";
        let diagnostic = Diagnostic::new(Code::W0022, key.span, message, "still obeyed");
        let word = node.text().filter(|_| on_update.is_some()).unwrap_or("merge");
        context.report(diagnostic.help(format!(
            "take it out, and say it in each `redis.write` that has `data_type: json`: `on_update: {word}`"
        )));
    }
    let waits = flag(context, map, "wait_enabled").unwrap_or(false);
    let wait_ms = number(context, map, "wait_timeout", 0).map_or(REPLICA_WAIT_MS, |(number, _)| number);
    config.applier.replica_wait_ms = u64::try_from(wait_ms).ok().filter(|_| waits);
    config.applier.retry_on_replica_failure = flag(context, map, "retry_on_replica_failure").unwrap_or(true);
}

/// Keys that steer only the way from a database to Redis.
fn ingest_only(context: &mut Context<'_>, map: &mut Mapping<'_>) {
    let processes = map.optional("initial_sync_processes");
    if let Some((_, node)) = processes {
        context.number(node, "initial_sync_processes", 1, NUMBER_MAX);
    }
    let placeholder = map.optional("debezium_lob_encoded_placeholder");
    for (key, _) in processes.into_iter().chain(placeholder) {
        warn_ingest_only(context, key);
    }
}

fn warn_ingest_only(context: &mut Context<'_>, key: &Spanned<String>) {
    let message = format!("`{}` is for ingest, from a database to Redis", key.value);
    let diagnostic = Diagnostic::new(Code::W0021, key.span, message, "says nothing to write-behind");
    context.report(diagnostic.help("take it out"));
}
