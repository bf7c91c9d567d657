//! `EXCLUDE`: the words that a user writes, and the events that stand for them. It must not know who asks.
//!
//! Redis tells a module which event befell a key, not which command: what a command is called cannot be had inside
//! the callback (`GetCurrentCommandName` knows the command of the callback's own context, which runs none). So a
//! command stands for the events that it fires, and two commands that fire the same one are excluded together.

/// Commands whose event has another name, or that fire several or none, and those events.
///
/// Not among them is `del`, where the last field or member goes: `HDEL` of it is a deletion all the same. Commands
/// that only set a time to live change no data and give no record.
const FIRED: [(&str, &[&str]); 44] = [
    ("bitop", SET),
    ("bzmpop", &["zpopmax", "zpopmin"]),
    ("bzpopmax", &["zpopmax"]),
    ("bzpopmin", &["zpopmin"]),
    ("copy", &["copy_to"]),
    ("delex", &["del"]),
    ("expire", &[]),
    ("expireat", &[]),
    ("geoadd", &["zadd"]),
    ("georadius", &["georadiusstore"]),
    ("georadiusbymember", &["georadiusstore"]),
    ("getdel", &["del"]),
    ("getex", &[]),
    ("getset", SET),
    ("hexpire", &[]),
    ("hexpireat", &[]),
    ("hgetdel", &["hdel"]),
    ("hgetex", &[]),
    ("hmset", &["hset"]),
    ("hpersist", &[]),
    ("hpexpire", &[]),
    ("hpexpireat", &[]),
    ("hsetex", &["hset"]),
    ("hsetnx", &["hset"]),
    ("json.forget", &["json.del"]),
    ("move", &["move_from", "move_to"]),
    ("mset", SET),
    ("msetex", SET),
    ("msetnx", SET),
    ("persist", &[]),
    ("pexpire", &[]),
    ("pexpireat", &[]),
    ("psetex", SET),
    ("rename", &["rename_from", "rename_to"]),
    ("renamenx", &["rename_from", "rename_to"]),
    ("set", SET),
    ("setex", SET),
    ("setnx", SET),
    ("smove", &["sadd", "srem"]),
    ("sort", SET),
    ("touch", &[]),
    ("unlink", &["del"]),
    ("zincrby", &["zincr"]),
    ("zmpop", &["zpopmax", "zpopmin"]),
];

/// What Redis tells of a string where none was, and where one takes the place of another value. Events of strings
/// themselves the module does not ask for.
const SET: &[&str] = &["new", "set"];

/// Events that give records, most of them of the command of the same name.
const EVENTS: [&str; 49] = [
    "copy_to",
    "del",
    "evicted",
    "expired",
    "georadiusstore",
    "geosearchstore",
    "hdel",
    "hexpired",
    "hincrby",
    "hincrbyfloat",
    "hset",
    "json.arrappend",
    "json.arrinsert",
    "json.arrpop",
    "json.arrtrim",
    "json.clear",
    "json.del",
    "json.merge",
    "json.mset",
    "json.nummultby",
    "json.numincrby",
    "json.numpowby",
    "json.set",
    "json.strappend",
    "json.toggle",
    "move_from",
    "move_to",
    "new",
    "rename_from",
    "rename_to",
    "restore",
    "sadd",
    "sdiffstore",
    "sinterstore",
    "spop",
    "srem",
    "sunionstore",
    "zadd",
    "zdiffstore",
    "zincr",
    "zinterstore",
    "zpopmax",
    "zpopmin",
    "zrangestore",
    "zrem",
    "zremrangebylex",
    "zremrangebyrank",
    "zremrangebyscore",
    "zunionstore",
];

/// Commands whose records no rule can do without.
const FLUSHES: [&str; 3] = ["flushall", "flushdb", "swapdb"];

/// The events that a word in lower case stands for; one that is not known, for itself.
pub(crate) fn events(word: &[u8]) -> Vec<Vec<u8>> {
    match FIRED.iter().find(|(command, _)| command.as_bytes() == word) {
        Some((_, events)) => events.iter().map(|event| event.as_bytes().to_vec()).collect(),
        None => vec![word.to_vec()],
    }
}

/// Why a word cannot be excluded, if it cannot. What is not known here may be a command of a newer Redis or of another
/// module: `writes` says whether this server has such a command, and whether it writes keys.
pub(crate) fn refusal(word: &[u8], writes: impl FnOnce() -> Option<bool>) -> Option<String> {
    let text = String::from_utf8_lossy(word);
    if FLUSHES.iter().any(|flush| *flush == text) {
        return Some(format!("`{text}` cannot be excluded: that a database was emptied is always recorded"));
    }
    if known().any(|known| known == text) {
        return None;
    }
    match writes() {
        Some(true) => None,
        Some(false) => Some(format!("`{text}` cannot be excluded: it is no command that writes keys")),
        None => {
            let nearest = nearest(&text).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Some(format!("`{text}` cannot be excluded: there is no such command{nearest}"))
        }
    }
}

fn known() -> impl Iterator<Item = &'static str> {
    FIRED.iter().map(|(command, _)| *command).chain(EVENTS)
}

/// The known word that takes the fewest corrections, if these are few enough to be slips.
fn nearest(word: &str) -> Option<&'static str> {
    let slips_max = (word.chars().count() / 2).min(2);
    let counted = known().map(|known| (corrections(word, known), known));
    counted.filter(|(count, _)| *count <= slips_max).min().map(|(_, known)| known)
}

/// How many characters have to be put in, taken out or replaced to make one word of the other.
fn corrections(from: &str, to: &str) -> usize {
    let mut counts: Vec<usize> = (0..=to.chars().count()).collect();
    for (row, left) in from.chars().enumerate() {
        let mut corner = row;
        let mut before = row + 1;
        if let Some(first) = counts.first_mut() {
            *first = before;
        }
        for (count, right) in counts.iter_mut().skip(1).zip(to.chars()) {
            let above = *count;
            *count = (corner + usize::from(left != right)).min(above + 1).min(before + 1);
            corner = above;
            before = *count;
        }
    }
    counts.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, FIRED, corrections, events, refusal};

    #[test]
    fn words_stand_for_events() {
        for (word, expected) in [
            ("hset", "hset"),
            ("hmset", "hset"),
            ("unlink", "del"),
            ("setex", "new set"),
            ("smove", "sadd srem"),
            ("zincrby", "zincr"),
            ("json.forget", "json.del"),
            ("hexpire", ""),
            ("vadd", "vadd"),
        ] {
            let found: Vec<String> =
                events(word.as_bytes()).into_iter().map(|event| String::from_utf8(event).unwrap()).collect();
            assert_eq!(found.join(" "), expected, "{word}");
        }
    }

    #[test]
    fn every_event_of_a_command_is_one_that_gives_records() {
        for (command, events) in FIRED {
            for event in events {
                assert!(EVENTS.contains(event) || *event == "set", "`{command}` fires `{event}`");
            }
        }
    }

    #[test]
    fn what_is_no_word_is_refused_with_the_nearest() {
        let none = |word: &str| refusal(word.as_bytes(), || None).unwrap_or_default();
        assert_eq!(none("json.set"), "");
        assert_eq!(none("hste"), "`hste` cannot be excluded: there is no such command; did you mean `hset`?");
        assert_eq!(
            none("json.dle"),
            "`json.dle` cannot be excluded: there is no such command; did you mean `json.del`?"
        );
        assert_eq!(none("salary"), "`salary` cannot be excluded: there is no such command");
        assert!(none("flushall").contains("always recorded"));
        assert_eq!(refusal(b"vadd", || Some(true)), None);
        assert!(refusal(b"get", || Some(false)).unwrap().contains("no command that writes"));
    }

    #[test]
    fn corrections_are_counted() {
        for (from, to, count) in [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("hset", "hset", 0), ("hste", "hset", 2)] {
            assert_eq!(corrections(from, to), count, "{from} {to}");
        }
    }
}
