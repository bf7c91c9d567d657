//! The thread that owns a connection: SQLite blocks, and must not block what else runs.

use std::sync::mpsc::{Sender, channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::Failure;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// Hands work to the thread. The thread ends when this is dropped.
pub(super) struct Writer {
    work: Sender<Work>,
}

impl Writer {
    /// Starts the thread with the connection that `open` gives.
    pub(super) fn start(open: impl FnOnce() -> Result<Connection, Failure>) -> Result<Self, Failure> {
        let mut connection = open()?;
        let (sender, receiver) = channel::<Work>();
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                for work in receiver {
                    work(&mut connection);
                }
            })
            .map_err(|error| Failure::Transient(format!("cannot start a thread: {error}")))?;
        Ok(Self { work: sender })
    }

    /// Runs work on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let gone = || Failure::Transient("the writer thread of SQLite ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Nobody waits any more when the run ends; the work is done all the same.
            let _ = reply.send(work(connection));
        });
        self.work.send(work).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
