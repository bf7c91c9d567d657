//! How often the log says the same of a job: at once the first time, and then no more than a line for what came since.

use std::time::Duration;

use tokio::time::Instant;

/// How long what comes is only counted, once a line was written.
const SAID_AGAIN: Duration = Duration::from_secs(10);

/// What was told of each job.
#[derive(Debug, Default)]
pub(super) struct Tellings(Vec<Telling>);

#[derive(Debug, Default, Clone)]
struct Telling {
    said: Option<Instant>,
    /// How many came since.
    unsaid: usize,
}

impl Tellings {
    /// Counts what came; gives how many a line is due for, if one is.
    pub(super) fn due(&mut self, job: usize, count: usize) -> Option<usize> {
        self.due_at(job, count, Instant::now())
    }

    fn due_at(&mut self, job: usize, count: usize, now: Instant) -> Option<usize> {
        if self.0.len() <= job {
            self.0.resize(job + 1, Telling::default());
        }
        let telling = self.0.get_mut(job)?;
        telling.unsaid = telling.unsaid.saturating_add(count);
        if telling.unsaid == 0 || telling.said.is_some_and(|said| now.duration_since(said) < SAID_AGAIN) {
            return None;
        }
        telling.said = Some(now);
        Some(std::mem::take(&mut telling.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_told_of_in_one_line() {
        let (mut tellings, now) = (Tellings::default(), Instant::now());
        assert_eq!(tellings.due_at(1, 0, now), None);
        assert_eq!(tellings.due_at(1, 3, now), Some(3));
        assert_eq!((tellings.due_at(1, 5, now), tellings.due_at(1, 1, now)), (None, None));
        assert_eq!(tellings.due_at(0, 2, now), Some(2), "of another job");
        assert_eq!(tellings.due_at(1, 1, now + SAID_AGAIN), Some(7));
    }
}
