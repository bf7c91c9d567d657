//! Key patterns, exactly as Redis's `KEYS` matches them (`stringmatchlen` of its util.c), in time linear in the key
//! for a pattern with one star and never worse than the product of both lengths.

/// A pattern, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What every matching key begins with: most keys are told apart here.
    prefix: Vec<u8>,
    rest: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Any,
    Star,
    Class { negated: bool, ranges: Vec<(u8, u8)> },
}

impl Glob {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((token, after)) = token(rest) {
            if !(token == Token::Star && tokens.last() == Some(&Token::Star)) {
                tokens.push(token);
            }
            rest = after;
        }
        let literal = tokens.iter().take_while(|token| matches!(token, Token::Byte(_))).count();
        let rest = tokens.split_off(literal);
        let prefix = tokens.iter().filter_map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None });
        Self { prefix: prefix.collect(), rest }
    }

    /// What every matching key begins with.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether a key matches.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        let Some(key) = key.strip_prefix(self.prefix.as_slice()) else {
            return false;
        };
        match self.rest.as_slice() {
            [] => key.is_empty(),
            [Token::Star] => true,
            tokens => matches(tokens, key),
        }
    }
}

/// The first token of a pattern, and what follows it.
fn token(pattern: &[u8]) -> Option<(Token, &[u8])> {
    Some(match pattern {
        [] => return None,
        [b'*', rest @ ..] => (Token::Star, rest),
        [b'?', rest @ ..] => (Token::Any, rest),
        [b'[', b'^', rest @ ..] => class(true, rest),
        [b'[', rest @ ..] => class(false, rest),
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (Token::Byte(*byte), rest),
    })
}

/// A class up to its bracket; one that is not closed ends with the pattern.
fn class(negated: bool, mut rest: &[u8]) -> (Token, &[u8]) {
    let mut ranges = Vec::new();
    loop {
        let (range, after) = match rest {
            [b'\\', byte, after @ ..] => ((*byte, *byte), after),
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [from, b'-', to, after @ ..] => ((*from.min(to), *from.max(to)), after),
            [byte, after @ ..] => ((*byte, *byte), after),
        };
        ranges.push(range);
        rest = after;
    }
    (Token::Class { negated, ranges }, rest)
}

/// Goes back to the last star only: an earlier one need not take more once a later one was reached.
fn matches(tokens: &[Token], key: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < key.len() || token < tokens.len() {
        match (tokens.get(token), key.get(at)) {
            (Some(Token::Star), _) => {
                star = Some((token, at));
                token += 1;
            }
            (Some(one), Some(byte)) if one.takes(*byte) => {
                token += 1;
                at += 1;
            }
            _ => match star {
                Some((after, taken)) if taken < key.len() => {
                    star = Some((after, taken + 1));
                    token = after + 1;
                    at = taken + 1;
                }
                _ => return false,
            },
        }
    }
    true
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::Any => true,
            Self::Star => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn matches_as_redis_does() {
        for (pattern, key, expected) in [
            ("emp:*", "emp:1", true),
            ("emp:*", "emp:", true),
            ("emp:*", "em", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[\\]]llo", "h]llo", true),
            ("h[]llo", "hello", false),
            ("h[^]llo", "hello", true),
            ("h[ab", "ha", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\", "a\\", true),
            ("*:*:x", "a:b:c:x", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("cart:*:*", "cart:7", false),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes()).matches(key.as_bytes()), expected, "`{pattern}` on `{key}`");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "*a".repeat(64) + "b";
        assert!(!Glob::new(pattern.as_bytes()).matches("a".repeat(4_096).as_bytes()));
    }
}
