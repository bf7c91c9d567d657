//! Pauses between tries: growing, bounded, jittered so that many workers do not come back at once.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Failure;
use crate::{Error, Shutdown};

/// No pause is longer, in milliseconds.
const PAUSE_MS_MAX: u64 = 60_000;
/// No pause is shorter, whatever the configuration says, in milliseconds.
const PAUSE_MS_MIN: u64 = 50;

/// How often the log says that the same is still waited for.
const SAID_AGAIN: Duration = Duration::from_secs(30);
/// How long slots of a cluster may be on their way until the log says so.
const MOVE_SECONDS_EXPECTED: Duration = Duration::from_secs(5);
/// How long to wait for them before the next try, and how long once it has been said.
pub(crate) const MOVE_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const MOVE_LONG_PAUSE: Duration = Duration::from_secs(1);

/// The pauses of one pipeline.
#[derive(Debug)]
pub(crate) struct Pauses {
    first_ms: u64,
    next_ms: u64,
}

impl Pauses {
    /// Pauses that begin with `first_ms` milliseconds.
    pub(crate) fn new(first_ms: u64) -> Self {
        let first_ms = first_ms.clamp(PAUSE_MS_MIN, PAUSE_MS_MAX);
        Self { first_ms, next_ms: first_ms }
    }

    /// Begins anew: something succeeded.
    pub(crate) fn reset(&mut self) {
        self.next_ms = self.first_ms;
    }

    /// How long to wait now: from half of the pause to all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let full = self.next_ms;
        self.next_ms = full.saturating_mul(2).min(PAUSE_MS_MAX);
        Duration::from_millis(rand::random_range(full / 2..=full))
    }
}

/// Waits; at once back when a shutdown comes.
pub(crate) async fn wait(pause: Duration, shutdown: &mut Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shutdown.requested() => {}
    }
}

/// Since when a try after the other fails because slots of a cluster are on their way.
#[derive(Debug, Default)]
struct Move(Option<(Instant, Instant)>);

impl Move {
    /// Whether a failure is one that passes within moments, and has not lasted for longer.
    fn is_brief(&mut self, failure: &Failure) -> bool {
        let Failure::Moving(why) = failure else { return false };
        let is_brief = self.is_brief_at(Instant::now());
        if is_brief {
            tracing::debug!("looking again where things are: {why}");
        }
        is_brief
    }

    fn is_brief_at(&mut self, now: Instant) -> bool {
        let lasts = self.0.filter(|(_, last)| now.duration_since(*last) < MOVE_SECONDS_EXPECTED);
        let since = lasts.map_or(now, |(since, _)| since);
        self.0 = Some((since, now));
        now.duration_since(since) < MOVE_SECONDS_EXPECTED
    }
}

/// What the log said last of something that is tried again and again at short intervals.
#[derive(Debug, Default)]
pub(crate) struct Told {
    said: Option<(String, Instant)>,
    moves: Move,
}

impl Told {
    /// Says what is waited for, unless that was said already.
    pub(crate) fn say(&mut self, failure: Failure) {
        if !self.is_brief(&failure) {
            self.say_now(failure);
        }
    }

    /// Whether it is only that slots are on their way, and not for long yet.
    pub(crate) fn is_brief(&mut self, failure: &Failure) -> bool {
        self.moves.is_brief(failure)
    }

    /// As [`Told::say`], however brief it is.
    pub(crate) fn say_now(&mut self, failure: Failure) {
        let help = match &failure {
            Failure::Configuration { help, .. } => Some(help.clone()),
            _ => None,
        };
        let text = Error::from(failure).to_string();
        if self.said.as_ref().is_some_and(|(said, at)| *said == text && at.elapsed() < SAID_AGAIN) {
            return;
        }
        match help {
            Some(help) => tracing::error!(help, "waiting: {text}"),
            None => tracing::warn!("waiting: {text}"),
        }
        self.said = Some((text, Instant::now()));
    }

    /// It succeeded: what fails from here on is new.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_to_a_bound_and_begin_anew() {
        let mut pauses = Pauses::new(1_000);
        for full in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let pause = pauses.next().as_millis();
            assert!((full / 2..=full).contains(&pause), "{pause} of {full}");
        }
        pauses.reset();
        assert!(pauses.next().as_millis() <= 1_000);
        assert!(Pauses::new(0).next().as_millis() >= 25);
    }

    #[test]
    fn slots_that_move_are_worth_a_word_only_if_they_take_long() {
        let (mut moves, mut now) = (Move::default(), Instant::now());
        assert!(!moves.is_brief(&Failure::Transient("cut".to_owned())));
        let mut brief = 0;
        while moves.is_brief_at(now) {
            brief += 1;
            now += MOVE_PAUSE;
        }
        assert_eq!(brief, 50, "for five seconds");
        now += MOVE_SECONDS_EXPECTED;
        assert!(moves.is_brief_at(now), "another move");
    }
}
