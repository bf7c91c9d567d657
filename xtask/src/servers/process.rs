//! A child process that never outlives its owner. It must not know which program it runs.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{LOOK_AGAIN, STOP_SECONDS_MAX};
use crate::Error;

/// What the guard runs: `read` comes back when the owner is gone, since the owner holds the
/// other end of the pipe. (PR_SET_PDEATHSIG would not do: it fires when the *thread* that
/// spawned the process ends, and test threads end early.)
const GUARD: &str = r#"read -r _; kill -"$1" "$2" 2>/dev/null; [ -z "$3" ] || { sleep 1; rm -rf -- "$3"; }"#;

/// A running process. Dropping it kills it; if the owner itself is killed, a guard does.
///
/// It runs in a process group of its own: Ctrl-C in the terminal reaches the owner alone,
/// which then ends it in good order.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Child,
    kill_signal: Signal,
    /// Known once the process has been waited for: its id then belongs to nobody.
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, to be ended by SIGKILL.
    pub fn spawn(command: &mut Command) -> Result<Self, Error> {
        Self::spawn_guarded(command, Signal::KILL, None)
    }

    /// As [`Process::spawn`]; if its owner is killed, `folder` is removed too. A living owner
    /// removes it itself, once it has dropped the process.
    pub fn spawn_with_folder(command: &mut Command, folder: &Path) -> Result<Self, Error> {
        Self::spawn_guarded(command, Signal::KILL, Some(folder))
    }

    /// Starts `command`. If the owner dies, the guard sends `kill_signal` and removes `folder`.
    pub(super) fn spawn_guarded(
        command: &mut Command,
        kill_signal: Signal,
        folder: Option<&Path>,
    ) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::during(format_args!("start `{program}`")))?;
        let folder: PathBuf = folder.map(Path::to_path_buf).unwrap_or_default();
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard", &kill_signal.as_raw().to_string(), &child.id().to_string()])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { child, guard, kill_signal, status: None }),
            Err(error) => {
                child.kill().and_then(|()| child.wait()).ok();
                Err(Error::during(format_args!("guard `{program}`"))(error))
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.dismiss_guard();
            }
        }
        self.status
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.status().is_none()
    }

    /// Waits until it ends by itself; `None` if it has not after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while self.runs() && start.elapsed() < patience {
            thread::sleep(LOOK_AGAIN);
        }
        self.status
    }

    /// Kills it at once (by SIGKILL, unless it is a server with a better way to die).
    pub fn kill(&mut self) {
        self.end(self.kill_signal);
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Sends SIGSTOP: it stands still, with all its connections open, until [`Process::resume`].
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        // A process that stands still takes no signal but SIGKILL.
        self.signal(Signal::CONT);
        if self.wait(STOP_SECONDS_MAX).is_none() {
            self.signal(Signal::KILL);
            self.status = self.child.wait().ok();
            self.dismiss_guard();
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Not waited for yet, so the id is still that of our child, be it alive or a zombie.
        if self.status.is_none()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            kill_process(pid, signal).ok();
        }
    }

    /// Ends the guard without letting it act: a process that was waited for has lost its id.
    fn dismiss_guard(&mut self) {
        self.guard.kill().and_then(|()| self.guard.wait()).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
        self.dismiss_guard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("100");
        command
    }

    fn lives(pid: u32) -> bool {
        // A zombie that waits for its adopter no longer lives.
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn dropping_it_ends_it_and_its_guard() {
        let process = Process::spawn(&mut sleeper()).unwrap();
        let (pid, guard) = (process.pid(), process.guard.id());
        assert!(lives(pid) && lives(guard));
        drop(process);
        assert!(!lives(pid) && !lives(guard));
    }

    #[test]
    fn it_outlives_the_thread_that_started_it() {
        let mut process = thread::spawn(|| Process::spawn(&mut sleeper()).unwrap()).join().unwrap();
        thread::sleep(Duration::from_millis(100));
        assert!(process.runs());
    }

    #[test]
    fn it_dies_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let folder_path = folder.path().to_path_buf();
        let mut process = Process::spawn_guarded(&mut sleeper(), Signal::KILL, Some(&folder_path)).unwrap();
        // What the kernel does to an owner that is killed: its end of the pipe closes.
        drop(process.guard.stdin.take());
        assert!(process.wait(Duration::from_secs(10)).is_some());
    }

    #[test]
    fn a_paused_process_stops_too() {
        let mut process = Process::spawn(&mut sleeper()).unwrap();
        process.pause();
        process.stop();
        assert!(!process.runs());
    }
}
