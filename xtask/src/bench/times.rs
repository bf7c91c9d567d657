//! The times of a measurement that is run several times, and the row of a table that comes of them. It must not know
//! what is measured.

/// Seconds of each run, and how much each did.
pub(super) struct Times {
    count: u64,
    seconds: Vec<f64>,
}

impl Times {
    /// No run so far; each will do so many.
    pub(super) const fn of(count: u64) -> Self {
        Self { count, seconds: Vec::new() }
    }

    pub(super) fn add(&mut self, seconds: f64) {
        self.seconds.push(seconds);
    }

    /// The seconds that a run takes.
    pub(super) fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// How many a second.
    pub(super) fn rate(&self) -> f64 {
        self.at(self.median())
    }

    /// How often another's rate goes into this one.
    pub(super) fn beside(&self, other: &Self) -> f64 {
        self.rate() / other.rate()
    }

    /// A row: what it is, how many a second, the range, how that is beside something else, the goal.
    pub(super) fn row(&self, name: &str, beside: &str, goal: &str) -> String {
        let sorted = sorted(&self.seconds);
        let at = |seconds: Option<&f64>| seconds.map_or(f64::NAN, |seconds| self.at(*seconds));
        let (least, most) = (at(sorted.last()), at(sorted.first()));
        let row = format!("| {name} | {:.0} | {least:.0} to {most:.0} | {beside} | {goal} |\n", self.rate());
        // All of it takes many minutes.
        eprint!("{row}");
        row
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of some millions")]
    fn at(&self, seconds: f64) -> f64 {
        self.count as f64 / seconds
    }
}

/// The middle one.
pub(super) fn median(seconds: &[f64]) -> f64 {
    sorted(seconds).get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(seconds: &[f64]) -> Vec<f64> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
