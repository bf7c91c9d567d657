//! What an application does in a round: random changes of keys of all four types, and poison that no target takes.
//! It must not know who looks on.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::Cmd;

/// How many hash tags there are: the keys of one are in one slot, and can be changed together.
pub(super) const SLOTS: u32 = 50;
/// How many keys of each type there are, each a multiple of the tags.
pub(super) const ITEMS: u32 = 500;
pub(super) const DOCS: u32 = 150;
pub(super) const TAGS: u32 = 100;
pub(super) const GAMES: u32 = 100;
/// The first number of an item that begins as poison. Each has a number of its own.
pub(super) const POISON_FROM: u32 = 1_000_000;
/// The longest time to live, in milliseconds.
pub(super) const TTL_MS_MAX: u64 = 300;
/// How many changes there are to one poison.
const CHANGES_PER_POISON: u32 = 400;
/// How many changes at most are sent in one go.
const BATCH_MAX: u64 = 40;

/// Moves a hash, which is a newer version at its new place.
const RENAME: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  redis.call('RENAME', KEYS[1], KEYS[2]) redis.call('HSET', KEYS[2], 'v', ARGV[1])
end";
/// The same with documents.
const RENAME_DOC: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'ReJSON-RL' then
  redis.call('RENAME', KEYS[1], KEYS[2]) redis.call('JSON.SET', KEYS[2], '$.v', ARGV[1])
end";
/// Changes a part of a document, and its version with it.
const CHANGE_DOC: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'ReJSON-RL' then
  redis.call('JSON.SET', KEYS[1], '$.v', ARGV[1])
  redis.call(ARGV[2], KEYS[1], ARGV[3], unpack(ARGV, 4))
end";
/// Changes two hashes at once.
const COUNT: &str = "
for at, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' or kind == 'none' then
    redis.call('HSET', key, 'v', ARGV[1]) redis.call('HINCRBY', key, 'qty', at)
  end
end";

/// The key of a number.
pub(super) fn key(kind: &str, id: u32) -> String {
    format!("{kind}:{{{}}}:{id}", id % SLOTS)
}

/// What tells, in Redis itself, which poison came to be: it is noted in the transaction that writes it.
pub(super) fn poison_key(slot: u32) -> String {
    format!("chaos:{{{slot}}}:poison")
}

/// Some changes of keys of one tag.
pub(super) struct Batch {
    pub(super) slot: u32,
    /// Commands; those of one transaction go together.
    pub(super) units: Vec<Vec<Cmd>>,
    /// How many changes they are.
    pub(super) count: u64,
}

/// The source of all changes; the same seed gives the same ones.
pub(super) struct Workload {
    random: StdRng,
    version: u64,
    poisons: u32,
    /// The tag of the batch that is made.
    slot: u32,
    /// Poison that a later change may mend, and its tag.
    to_mend: VecDeque<u32>,
}

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), version: 0, poisons: 0, slot: 0, to_mend: VecDeque::new() }
    }

    /// Some changes, at most so many.
    pub(super) fn batch(&mut self, most: u64) -> Batch {
        let count = self.random.random_range(1..=BATCH_MAX).min(most);
        self.slot = self.random.random_range(0..SLOTS);
        let mut units = Vec::new();
        for _ in 0..count {
            self.version += 1;
            let mut pipe = Vec::new();
            match self.random.random_range(0..100) {
                _ if self.random.random_range(0..CHANGES_PER_POISON) == 0 => self.poison(&mut pipe),
                0..50 => self.item(&mut pipe),
                50..70 => self.doc(&mut pipe),
                70..82 => self.tags(&mut pipe),
                82..94 => self.game(&mut pipe),
                _ => self.any(&mut pipe),
            }
            units.push(pipe);
        }
        Batch { slot: self.slot, units, count }
    }

    /// A key of the batch's tag.
    fn key(&mut self, kind: &str, count: u32) -> String {
        key(kind, self.slot + SLOTS * self.random.random_range(0..count / SLOTS))
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 9] = ["Ada", "Gödel", "名前", "O'Hara", "{1,2}", "", "back\\slash", "\"quoted\"", "NULL"];
        WORDS.get(self.random.random_range(0..WORDS.len())).copied().unwrap_or_default()
    }

    /// A hash. Whatever changes what it holds also gives it the newest version.
    fn item(&mut self, pipe: &mut Vec<Cmd>) {
        let version = self.version;
        let (one, other) = (self.key("item", ITEMS), self.key("item", ITEMS));
        let (word, number) = (self.word(), self.random.random_range(-5..9));
        match self.random.random_range(0..100) {
            0..40 => send(pipe, &["HSET", &one, "v", &text(version), "name", word, "qty", &text(number)]),
            40..55 => {
                send(pipe, &["MULTI"]);
                send(pipe, &["HSET", &one, "v", &text(version), "place", "somewhere"]);
                send(pipe, &["HINCRBY", &one, "qty", &text(number)]);
                send(pipe, &["HSET", &other, "v", &text(version), "note", "two at once"]);
                send(pipe, &["EXEC"]);
            }
            55..65 => {
                send(pipe, &["MULTI"]);
                send(pipe, &["HSET", &one, "v", &text(version)]);
                send(pipe, &["HDEL", &one, "note", "place"]);
                send(pipe, &["EXEC"]);
            }
            65..73 => send(pipe, &["EVAL", RENAME, "2", &one, &other, &text(version)]),
            73..83 => send(pipe, &["EVAL", COUNT, "2", &one, &other, &text(version)]),
            83..88 => {
                let ms = self.random.random_range(1..=TTL_MS_MAX);
                send(pipe, &["HPEXPIRE", &one, &text(ms), "FIELDS", "1", "note"]);
            }
            88..94 => send(pipe, &["DEL", &one]),
            _ => send(pipe, &["UNLINK", &one, &other]),
        }
    }

    /// A JSON document.
    fn doc(&mut self, pipe: &mut Vec<Cmd>) {
        let version = text(self.version);
        let (one, other) = (self.key("doc", DOCS), self.key("doc", DOCS));
        let (title, no) = (self.word(), self.random.random_range(0..6));
        let line = |no: u32, word: &str| serde_json::json!({"no": no, "article": word});
        match self.random.random_range(0..100) {
            0..45 => {
                let numbers: Vec<u32> = (0..6).filter(|_| self.random.random_bool(0.4)).collect();
                let lines: Vec<_> = numbers.into_iter().map(|no| line(no, self.word())).collect();
                let document = serde_json::json!({"v": self.version, "title": title, "lines": lines});
                send(pipe, &["JSON.SET", &one, "$", &document.to_string()]);
            }
            45..60 => {
                let title = serde_json::Value::from(title).to_string();
                send(pipe, &["EVAL", CHANGE_DOC, "1", &one, &version, "JSON.SET", "$.title", &title]);
            }
            60..75 => send(pipe, &["EVAL", CHANGE_DOC, "1", &one, &version, "JSON.DEL", &format!("$.lines[{no}]")]),
            75..80 => {
                let lines = serde_json::json!([line(no, title)]).to_string();
                send(pipe, &["EVAL", CHANGE_DOC, "1", &one, &version, "JSON.SET", "$.lines", &lines]);
            }
            80..90 => send(pipe, &["EVAL", RENAME_DOC, "2", &one, &other, &version]),
            _ => send(pipe, &["JSON.DEL", &one]),
        }
    }

    /// A set.
    fn tags(&mut self, pipe: &mut Vec<Cmd>) {
        let (one, other) = (self.key("tags", TAGS), self.key("tags", TAGS));
        let (word, more) = (self.word(), self.word());
        match self.random.random_range(0..100) {
            0..45 => send(pipe, &["SADD", &one, word, more]),
            45..75 => send(pipe, &["SREM", &one, word]),
            75..80 => send(pipe, &["SPOP", &one]),
            80..88 => send(pipe, &["SMOVE", &one, &other, word]),
            88..94 => send(pipe, &["SUNIONSTORE", &one, &one, &other]),
            _ => send(pipe, &["DEL", &one]),
        }
    }

    /// A sorted set.
    fn game(&mut self, pipe: &mut Vec<Cmd>) {
        let (one, other) = (self.key("game", GAMES), self.key("game", GAMES));
        let (word, more, number) = (self.word(), self.word(), text(self.random.random_range(-99..999)));
        match self.random.random_range(0..100) {
            0..40 => send(pipe, &["ZADD", &one, &number, word, "7", more]),
            40..60 => send(pipe, &["ZINCRBY", &one, &number, word]),
            60..80 => send(pipe, &["ZREM", &one, word]),
            80..85 => send(pipe, &["ZPOPMIN", &one]),
            85..94 => send(pipe, &["RENAME", &one, &other]),
            _ => send(pipe, &["DEL", &one]),
        }
    }

    /// Whatever the type: keys that expire, that become another type, that come from elsewhere.
    fn any(&mut self, pipe: &mut Vec<Cmd>) {
        let (kind, count) = [("item", ITEMS), ("doc", DOCS), ("tags", TAGS), ("game", GAMES)]
            .get(self.random.random_range(0..4))
            .copied()
            .unwrap_or(("item", ITEMS));
        let (one, version) = (self.key(kind, count), text(self.version));
        let doc = serde_json::json!({"v": self.version, "title": "other", "lines": []}).to_string();
        match self.random.random_range(0..100) {
            0..60 => send(pipe, &["PEXPIRE", &one, &text(self.random.random_range(1..=TTL_MS_MAX))]),
            60..70 => send(pipe, &["SET", &one, "no document any more"]),
            70..90 => {
                send(pipe, &["MULTI"]);
                send(pipe, &["DEL", &one]);
                match self.random.random_range(0..4) {
                    0 => send(pipe, &["HSET", &one, "v", &version, "name", "other"]),
                    1 => send(pipe, &["JSON.SET", &one, "$", &doc]),
                    2 => send(pipe, &["SADD", &one, "other"]),
                    _ => send(pipe, &["ZADD", &one, "1", "other"]),
                }
                send(pipe, &["EXEC"]);
            }
            _ => {
                let other = self.key(kind, count);
                send(pipe, &["DEL", &one, &other]);
            }
        }
    }

    /// A row that every target must refuse, noted in the same transaction; or one that was, and is mended now.
    fn poison(&mut self, pipe: &mut Vec<Cmd>) {
        let version = text(self.version);
        let own = self.to_mend.iter().position(|id| id % SLOTS == self.slot);
        if let Some(id) = own.filter(|_| self.random.random_bool(0.5)).and_then(|at| self.to_mend.remove(at)) {
            return send(pipe, &["HSET", &key("item", id), "v", &version, "qty", "1"]);
        }
        let id = POISON_FROM + SLOTS * self.poisons + self.slot;
        self.poisons += 1;
        let key = key("item", id);
        send(pipe, &["MULTI"]);
        let kind = self.random.random_range(0..3);
        if kind < 2 {
            self.to_mend.push_back(id);
        }
        match kind {
            0 => send(pipe, &["HSET", &key, "v", &version, "qty", "many"]),
            1 => send(pipe, &["HSET", &key, "v", &version, "qty", "9223372036854775808"]),
            // Only the target knows. It is never written again, since of two versions in a batch it sees one.
            _ => send(pipe, &["HSET", &key, "v", &version, "place", "nowhere"]),
        }
        send(pipe, &["SADD", &poison_key(self.slot), &key]);
        send(pipe, &["EXEC"]);
    }
}

fn send(pipe: &mut Vec<Cmd>, words: &[&str]) {
    let mut cmd = Cmd::new();
    cmd.arg(words);
    pipe.push(cmd);
}

fn text(value: impl ToString) -> String {
    value.to_string()
}
