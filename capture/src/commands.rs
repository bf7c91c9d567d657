//! `WB.TRACK`, `WB.UNTRACK`, `WB.RULES`, `WB.STREAMS`, `WB.TAG`, `WB.READ`, `WB.SNAPSHOT`, the INFO section, saving and
//! loading of rules, the module's arguments. It must not know how changes become records.

use std::sync::Arc;

use redis_wb_record::{EntryWriter, ORDER_FIELD, STREAM_FIELD};

use crate::capture::{self, State};
use crate::cluster;
use crate::exclude;
use crate::ffi::{Context, Id, Info, Key, Kind, Standing, Storage};
use crate::rules::{RULES_MAX, Rule, WORDS_MAX};
use crate::snapshot::{self, Request};
use crate::streams;

/// What a command replies.
pub(crate) enum Answer {
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Answer>),
    Error(String),
}

/// `WB.TRACK name pattern [DB n] [EXCLUDE command...] [BEFORE]`: makes a rule, or replaces the one of this name.
pub(crate) fn track(context: &Context, words: &[&[u8]]) -> Answer {
    let rule = match Rule::parse(words) {
        Ok(rule) => rule,
        Err(error) => return Answer::Error(error),
    };
    let standing = context.standing();
    // What a primary accepted, or a disk kept, holds here too: a replica must not differ.
    if !standing.repeats()
        && let Some(why) = refusal(context, standing, &rule)
    {
        return Answer::Error(format!("ERR cannot track: {why}"));
    }
    let name = rule.name.clone();
    if capture::with(|state| state.track(rule)) == Some(true) {
        context.replicate();
        streams::find(context, &name);
    }
    if standing.clustered() && standing.captures() {
        cluster::look(context, None);
        streams::settle_tag(context);
    }
    Answer::Text(capture::with(|state| state.stream(&name)).unwrap_or_default())
}

fn refusal(context: &Context, standing: Standing, rule: &Rule) -> Option<String> {
    if standing.clustered() && context.tag(0).is_none() {
        return Some("this server is part of a Redis Cluster, and older than 7.4".to_owned());
    }
    if !context.has_db(rule.db) {
        return Some(format!("there is no database {}", rule.db));
    }
    let unknown = |word: &Vec<u8>| exclude::refusal(word, || context.writes(word));
    if let Some(why) = rule.own_keys_only().or_else(|| rule.exclude.iter().find_map(unknown)) {
        return Some(why);
    }
    let full = |state: &mut State| state.rules.len() >= RULES_MAX && state.place(&rule.name).is_none();
    if capture::with(full) == Some(true) {
        return Some(format!("there are {RULES_MAX} rules already"));
    }
    capture::unsafe_setting(context)
}

/// `WB.UNTRACK name`: takes a rule away and leaves its stream.
pub(crate) fn untrack(context: &Context, words: &[&[u8]]) -> Answer {
    let [name] = words else {
        return Answer::Error("ERR wrong number of arguments: WB.UNTRACK name".to_owned());
    };
    let removed = capture::with(|state| {
        let place = state.place(name)?;
        Some(state.rules.remove(place))
    });
    if removed.flatten().is_none() {
        return Answer::Number(0);
    }
    context.replicate();
    Answer::Number(1)
}

/// `WB.RULES`: all rules, each as a flat list of names and values.
pub(crate) fn rules(words: &[&[u8]]) -> Answer {
    if !words.is_empty() {
        return Answer::Error("ERR wrong number of arguments: WB.RULES".to_owned());
    }
    let rules =
        capture::with(|state| state.rules.iter().map(|rule| described(rule, &state.stream(&rule.name))).collect());
    Answer::List(rules.unwrap_or_default())
}

/// `WB.STREAMS`: the change streams that are here, also those that other servers appended to, and those that records
/// will be appended to.
pub(crate) fn streams(context: &Context, words: &[&[u8]]) -> Answer {
    if !words.is_empty() {
        return Answer::Error("ERR wrong number of arguments: WB.STREAMS".to_owned());
    }
    Answer::List(streams::here(context).into_iter().map(Answer::Text).collect())
}

/// `WB.TAG tag before`: how a primary tells its replicas, and the AOF, which tag its streams have.
pub(crate) fn tag(context: &Context, words: &[&[u8]]) -> Answer {
    match words {
        [tag, before] if context.standing().repeats() => {
            capture::with(|state| state.streams.repeat(tag, before));
            context.replicate();
            Answer::Number(1)
        }
        _ => Answer::Error("ERR the module picks the tag itself".to_owned()),
    }
}

/// `WB.READ stream id rows bytes`: the entries of a stream behind an id, as one string, which `record/FORMAT.md` describes.
/// It ends with the entry that passes the bytes, and has no more rows.
pub(crate) fn read(context: &Context, words: &[&[u8]]) -> Answer {
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u64>().ok();
    let &[stream, id, rows, bytes] = words else {
        return Answer::Error("ERR wrong number of arguments: WB.READ stream id rows bytes".to_owned());
    };
    let (Some(behind), Some(rows), Some(bytes)) = (read_id(id), number(rows), number(bytes)) else {
        return Answer::Error("ERR WB.READ wants an id, a number of rows and a number of bytes".to_owned());
    };
    let Some(key) = context.open(stream) else { return Answer::Text(Vec::new()) };
    match key.kind() {
        Kind::Stream => Answer::Text(entries(&key, behind, rows, bytes)),
        Kind::Empty => Answer::Text(Vec::new()),
        _ => Answer::Error("WRONGTYPE this key holds no stream".to_owned()),
    }
}

/// The id of an entry in words.
fn read_id(word: &[u8]) -> Option<Id> {
    let (ms, seq) = std::str::from_utf8(word).ok()?.split_once('-')?;
    Some((ms.parse().ok()?, seq.parse().ok()?))
}

fn entries(key: &Key<'_>, behind: Id, rows: u64, bytes: u64) -> Vec<u8> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    let mut writer = EntryWriter::new(&mut out);
    let mut left = rows;
    key.entries(behind, |(ms, seq), field| {
        match field {
            None if left == 0 || writer.len() >= bytes => return false,
            None => {
                left -= 1;
                writer.entry(ms, seq);
            }
            Some((name, value)) if name == STREAM_FIELD.as_bytes() => writer.record(value),
            Some((name, value)) if name == ORDER_FIELD.as_bytes() => writer.order(value),
            Some(_) => {}
        }
        true
    });
    out
}

/// `WB.SNAPSHOT name cursor [COUNT n] [TYPE t]`: appends records of the next keys that a rule wants. Gives the cursor
/// that goes on from there, how many keys it saw, how many records it appended, and how much of the database it has
/// walked, in thousandths.
pub(crate) fn snapshot(context: &Context, words: &[&[u8]]) -> Answer {
    if !context.standing().captures() {
        return Answer::Error("READONLY this server is a replica: its primary makes snapshots".to_owned());
    }
    let request = Request::parse(words, |name| {
        capture::with(|state| state.place(name).and_then(|place| state.rules.get(place).cloned())).flatten()
    });
    match request.and_then(|request| snapshot::slice(context, &request)) {
        Ok(slice) => {
            let number = |count| Answer::Number(i64::try_from(count).unwrap_or(i64::MAX));
            let counts = [slice.seen, slice.appended, slice.walked].map(number);
            Answer::List(std::iter::once(Answer::Text(slice.cursor)).chain(counts).collect())
        }
        Err(why) => Answer::Error(why),
    }
}

fn described(rule: &Rule, stream: &[u8]) -> Answer {
    let text = |bytes: &[u8]| Answer::Text(bytes.to_vec());
    Answer::List(vec![
        text(b"name"),
        text(&rule.name),
        text(b"pattern"),
        text(&rule.pattern),
        text(b"db"),
        Answer::Number(i64::from(rule.db)),
        text(b"exclude"),
        Answer::List(rule.exclude.iter().map(|event| text(event)).collect()),
        text(b"before"),
        Answer::Number(i64::from(rule.before)),
        text(b"stream"),
        text(stream),
    ])
}

impl State {
    /// Makes or replaces a rule; whether that changed anything.
    fn track(&mut self, mut rule: Rule) -> bool {
        let serial = self.next_serial();
        let place = self.place(&rule.name).and_then(|place| self.rules.get_mut(place));
        let Some(old) = place else {
            rule.serial = serial;
            self.rules.push(Arc::new(rule));
            return true;
        };
        rule.serial = old.serial;
        if **old == rule {
            return false;
        }
        rule.serial = serial;
        *old = Arc::new(rule);
        true
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.rules.iter().position(|rule| rule.name == name)
    }
}

/// Writes the INFO section.
pub(crate) fn info(info: &Info) {
    capture::with(|state| {
        let counters = &state.counters;
        info.number(c"rules", u64::try_from(state.rules.len()).unwrap_or_default());
        info.number(c"records", counters.records);
        info.number(c"bytes", counters.bytes);
        info.number(c"thin", counters.thin);
        info.number(c"failed", counters.failed);
        info.text(c"last_error", &counters.last_error);
        info.number(c"epoch", state.epoch);
        info.text(c"tag", &String::from_utf8_lossy(state.streams.tag()));
        info.number(c"waiting", u64::try_from(state.streams.waiting()).unwrap_or_default());
        info.number(c"image_bytes_max", u64::try_from(state.image_bytes_max).unwrap_or_default());
        info.text(c"unsafe_setting", state.unsafe_setting.as_deref().unwrap_or_default());
    });
}

/// Saves the rules with the data: their number, then for each the number of its words and the words. Then the tag of
/// the streams, the one before, and the streams that are here.
pub(crate) fn save(storage: &Storage) {
    let rules = capture::with(|state| state.rules.clone()).unwrap_or_default();
    // Nothing at all where there is none, so that a server without the module can load the file.
    if rules.is_empty() {
        return;
    }
    save_lists(storage, rules.iter().map(|rule| rule.to_words()).collect());
    let lists = capture::with(|state| {
        let tags = vec![state.streams.tag().to_vec(), state.streams.tag_before().to_vec()];
        vec![tags, state.streams.here().cloned().collect()]
    });
    save_lists(storage, lists.unwrap_or_default());
}

fn save_lists(storage: &Storage, lists: Vec<Vec<Vec<u8>>>) {
    storage.save_number(u64::try_from(lists.len()).unwrap_or_default());
    for words in lists {
        storage.save_number(u64::try_from(words.len()).unwrap_or_default());
        words.iter().for_each(|word| storage.save_bytes(word));
    }
}

/// Loads what [`save`] saved, in the encoding of this version or of the one before; whether it could.
pub(crate) fn load(storage: &Storage, encoding: i32) -> bool {
    let Some(rules) = load_lists(storage, RULES_MAX, WORDS_MAX) else { return false };
    let rules = rules.iter().map(|words| Rule::parse(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok());
    let Some(rules) = rules.collect::<Option<Vec<_>>>() else { return false };
    let streams = match encoding {
        1 => Vec::new(),
        2 => match load_lists(storage, LISTS_MAX, STREAMS_MAX) {
            Some(lists) => lists,
            None => return false,
        },
        _ => return false,
    };
    capture::with(|state| {
        for rule in rules {
            state.track(rule);
        }
        if let [tags, here] = streams.as_slice() {
            if let [tag, before] = tags.as_slice() {
                state.streams.repeat(tag, before);
            }
            here.iter().for_each(|stream| state.streams.comes(stream));
        }
    });
    true
}

/// How many lists follow the rules, and how many streams one of them may name: one of each rule in each slot.
const LISTS_MAX: usize = 2;
const STREAMS_MAX: usize = RULES_MAX * 16_384;

fn load_lists(storage: &Storage, lists_max: usize, words_max: usize) -> Option<Vec<Vec<Vec<u8>>>> {
    let count = bounded(storage.load_number()?, lists_max)?;
    (0..count)
        .map(|_| {
            let count = bounded(storage.load_number()?, words_max)?;
            (0..count).map(|_| storage.load_bytes()).collect()
        })
        .collect()
}

fn bounded(number: u64, max: usize) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| *number <= max)
}

/// Reads the arguments of `loadmodule`.
pub(crate) fn configure(words: &[&[u8]]) -> Result<(), String> {
    for pair in words.chunks(2) {
        match pair {
            [name, value] if name.eq_ignore_ascii_case(b"image-bytes-max") => {
                let bytes = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                let bytes = bytes.ok_or("`image-bytes-max` wants a number of bytes")?;
                capture::with(|state| state.image_bytes_max = bytes);
            }
            [name, ..] => {
                let name = String::from_utf8_lossy(name);
                return Err(format!("unknown argument `{name}`, or one without its value: image-bytes-max N"));
            }
            [] => {}
        }
    }
    Ok(())
}
