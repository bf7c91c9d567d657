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
    /// Starts the thread, which opens its connection itself.
    pub(super) async fn start(
        open: impl FnOnce() -> Result<Connection, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (sender, receiver) = channel::<Work>();
        let (opened, answer) = oneshot::channel();
        let work = move || match open() {
            Ok(mut connection) => {
                let _ = opened.send(Ok(()));
                receiver.into_iter().for_each(|work| work(&mut connection));
            }
            Err(failure) => {
                let _ = opened.send(Err(failure));
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(work);
        thread.map_err(|error| Failure::Transient(format!("cannot start a thread: {error}")))?;
        answer.await.map_err(|_| gone())??;
        Ok(Self { work: sender })
    }

    /// Runs work on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Nobody waits any more when the run ends; the work is done all the same.
            let _ = reply.send(work(connection));
        });
        self.work.send(work).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> Failure {
    Failure::Transient("the writer thread of SQLite ended".to_owned())
}
