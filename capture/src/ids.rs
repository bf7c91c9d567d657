//! Ids of entries in change streams. They come from the clock, in milliseconds; but those of a stream that takes the place
//! of one that was lost have to come behind all of that one, or whoever read it takes them for read. It must not know Redis.

use std::collections::HashSet;
use std::ffi::CString;

/// Which ids were given, and which are next.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// The milliseconds of the greatest id.
    last_ms: u64,
    /// Since streams were lost: what ids have at least, and the streams that have one already.
    since_loss: Option<(u64, HashSet<Vec<u8>>)>,
}

impl Ids {
    /// Those of a server that has given none.
    pub(crate) const NONE: Self = Self { last_ms: 0, since_loss: None };

    /// Takes note that streams were lost.
    pub(crate) fn lost(&mut self, now_ms: u64) {
        self.since_loss = Some((self.last_ms.max(now_ms).saturating_add(1), HashSet::new()));
    }

    /// The id of the first entry of a stream since the loss; `None` where the clock does.
    pub(crate) fn first(&self, stream: &[u8], now_ms: impl FnOnce() -> u64) -> Option<CString> {
        let (least_ms, streams) = self.since_loss.as_ref()?;
        if streams.contains(stream) {
            return None;
        }
        CString::new(format!("{}-*", now_ms().max(*least_ms))).ok()
    }

    /// Takes note of an id that an entry was given.
    pub(crate) fn given(&mut self, stream: &[u8], id: &[u8]) {
        let ms = id.split(|byte| *byte == b'-').next().and_then(|ms| std::str::from_utf8(ms).ok()?.parse().ok());
        self.last_ms = self.last_ms.max(ms.unwrap_or_default());
        if let Some((_, streams)) = &mut self.since_loss
            && !streams.contains(stream)
        {
            streams.insert(stream.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn what_follows_a_loss_comes_behind_it() {
        let mut ids = Ids::default();
        ids.given(b"a", b"1000-3");
        assert_eq!(ids.first(b"a", || 1_000), None);
        // The clock may stand, or have been set back.
        ids.lost(1_000);
        assert_eq!(ids.first(b"a", || 1_000).unwrap(), c"1001-*".to_owned());
        assert_eq!(ids.first(b"a", || 2_000).unwrap(), c"2000-*".to_owned());
        ids.given(b"a", b"1001-0");
        assert_eq!(ids.first(b"a", || 1_000), None);
        assert_eq!(ids.first(b"b", || 900).unwrap(), c"1001-*".to_owned());
        ids.lost(900);
        assert_eq!(ids.first(b"a", || 900).unwrap(), c"1002-*".to_owned());
    }
}
