//! Tracking rules: which keys a job wants, and which changes it does not. It must not know who asks.

use crate::exclude;
use redis_wb_record::glob::Glob;

/// One rule, made by `WB.TRACK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The job's name.
    pub(crate) name: Vec<u8>,
    /// The key pattern as given.
    pub(crate) pattern: Vec<u8>,
    /// The database the keys are in.
    pub(crate) db: u32,
    /// Commands whose changes are ignored, in lower case.
    pub(crate) exclude: Vec<Vec<u8>>,
    /// Whether deletes carry the content from before.
    pub(crate) before: bool,
    /// Which rule this is of all that the server had, however alike two are: what came between them was not captured.
    /// 0 until it is tracked.
    pub(crate) serial: u64,
    /// The events of these commands.
    excluded: Vec<Vec<u8>>,
    glob: Glob,
}

/// No name, pattern or command of a rule may have more bytes.
const WORD_BYTES_MAX: usize = 4_096;
/// No rule has more words.
pub(crate) const WORDS_MAX: usize = 1_024;
/// No server tracks more rules.
pub(crate) const RULES_MAX: usize = 10_000;

impl Rule {
    /// Reads the arguments of `WB.TRACK`, the command's own name not among them.
    ///
    /// # Errors
    /// What is wrong with them, as the reply to the client.
    pub(crate) fn parse(words: &[&[u8]]) -> Result<Self, String> {
        const USAGE: &str = "WB.TRACK name pattern [DB n] [EXCLUDE command...] [BEFORE]";
        let [name, pattern, options @ ..] = words else {
            return Err(format!("ERR wrong number of arguments: {USAGE}"));
        };
        if words.len() > WORDS_MAX {
            return Err(format!("ERR a rule has at most {WORDS_MAX} words"));
        }
        if name.is_empty() || words.iter().any(|word| word.len() > WORD_BYTES_MAX) {
            return Err(format!("ERR a name needs 1 to {WORD_BYTES_MAX} bytes, every other word at most as many"));
        }
        let mut rule = Self {
            name: name.to_vec(),
            pattern: pattern.to_vec(),
            db: 0,
            exclude: Vec::new(),
            excluded: Vec::new(),
            before: false,
            serial: 0,
            glob: Glob::new(pattern),
        };
        let mut options = options.iter();
        let mut excluding = false;
        while let Some(word) = options.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"DB" => {
                    let db = options.next().and_then(|db| std::str::from_utf8(db).ok()?.parse().ok());
                    rule.db = db.ok_or_else(|| format!("ERR DB wants the number of a database: {USAGE}"))?;
                    excluding = false;
                }
                b"BEFORE" => {
                    rule.before = true;
                    excluding = false;
                }
                b"EXCLUDE" => excluding = true,
                _ if excluding => rule.exclude.push(word.to_ascii_lowercase()),
                other => {
                    return Err(format!("ERR unknown word `{}`: {USAGE}", String::from_utf8_lossy(other)));
                }
            }
        }
        rule.exclude.sort_unstable();
        rule.exclude.dedup();
        rule.excluded = rule.exclude.iter().flat_map(|word| exclude::events(word)).collect();
        Ok(rule)
    }

    /// Why no key that the pattern matches would be captured, if none would.
    pub(crate) fn own_keys_only(&self) -> Option<String> {
        let prefix = String::from_utf8_lossy(self.glob.prefix());
        is_own(self.glob.prefix())
            .then(|| format!("keys that begin with `{prefix}` are redis-wb's own and never captured"))
    }

    /// Whether the rule wants a key.
    pub(crate) fn wants(&self, db: u32, key: &[u8]) -> bool {
        self.db == db && self.glob.matches(key)
    }

    /// Whether the changes of an event are ignored.
    pub(crate) fn excludes(&self, event: &[u8]) -> bool {
        self.excluded.iter().any(|excluded| excluded == event)
    }

    /// The rule as it is saved with the data.
    pub(crate) fn to_words(&self) -> Vec<Vec<u8>> {
        let mut words = vec![self.name.clone(), self.pattern.clone(), b"DB".to_vec(), self.db.to_string().into_bytes()];
        if !self.exclude.is_empty() {
            words.push(b"EXCLUDE".to_vec());
            words.extend(self.exclude.iter().cloned());
        }
        if self.before {
            words.push(b"BEFORE".to_vec());
        }
        words
    }
}

/// The database of all change streams.
pub(crate) const STREAMS_DB: u32 = 0;
/// What the name of every change stream begins with.
pub(crate) const STREAM_PREFIX: &[u8] = b"wb:{";
/// What the name of every dead-letter queue begins with.
const DEAD_LETTER_PREFIX: &[u8] = b"dlq:";

/// Whether a key is one of redis-wb itself; such keys are never captured.
pub(crate) fn is_own(key: &[u8]) -> bool {
    key.starts_with(STREAM_PREFIX) || key.starts_with(DEAD_LETTER_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::Rule;

    fn parse(text: &str) -> Result<Rule, String> {
        Rule::parse(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_rules_and_back() {
        let rule = parse("emp emp:* EXCLUDE HMSET Json.Del BEFORE DB 3").unwrap();
        assert_eq!((rule.db, rule.before), (3, true));
        assert!(rule.excludes(b"hset") && rule.excludes(b"json.del") && !rule.excludes(b"hdel"));
        assert!(rule.wants(3, b"emp:1") && !rule.wants(0, b"emp:1") && !rule.wants(3, b"dept:1"));
        let words = rule.to_words();
        assert_eq!(Rule::parse(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()), Ok(rule));
    }

    #[test]
    fn wrong_words_are_named() {
        assert!(parse("emp").unwrap_err().contains("wrong number"));
        assert!(parse("emp emp:* BEFOER").unwrap_err().contains("`BEFOER`"));
        assert!(parse("emp emp:* DB x").unwrap_err().contains("number of a database"));
    }
}
