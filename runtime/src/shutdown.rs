//! How a run is told to end. Knows nothing of signals: whoever catches them holds the trigger.

use tokio::sync::watch;

/// Seen by everything that waits; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Ends the run.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown that has not come yet, and what brings it about.
    #[must_use]
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it; for ever where the trigger is gone.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Trigger {
    /// Ends the run within the current batch.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}
