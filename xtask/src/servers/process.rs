//! A child process that never outlives its owner. It must not know which program it runs.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::guard::Guard;
use super::{LOOK_AGAIN, STOP_SECONDS_MAX};
use crate::Error;

/// A running process. Dropping it kills it; if the owner itself is killed, a guard does.
///
/// It runs in a process group of its own: Ctrl-C in the terminal reaches the owner alone,
/// which then ends it in good order.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Dismissed once the process has been waited for.
    guard: Option<Guard>,
    kill_signal: Signal,
    /// Known once the process has been waited for: its id then belongs to nobody.
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, to be ended by SIGKILL.
    pub fn spawn(command: &mut Command) -> Result<Self, Error> {
        Self::spawn_to_end_by(Signal::KILL, command)
    }

    /// Starts `command`, to be ended by `kill_signal`.
    pub(super) fn spawn_to_end_by(kill_signal: Signal, command: &mut Command) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::during(format_args!("start `{program}`")))?;
        let mut process = Self { child, guard: None, kill_signal, status: None };
        process.guard = Some(Guard::kill(kill_signal, process.pid())?);
        Ok(process)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has had so far, in kB, by the kernel's count (VmHWM); 0 once it has ended.
    pub fn peak_memory_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// The milliseconds that processors have spent on it so far, by the kernel's count; 0 once it has ended.
    pub fn cpu_ms(&self) -> u64 {
        /// What the kernel counts in (`USER_HZ`), on every architecture that Linux runs on.
        const TICK_MS: u64 = 10;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // Its name stands in brackets and may have blanks; user and system time are the twelfth and thirteenth behind.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let ticks = behind.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        ticks.sum::<u64>() * TICK_MS
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.guard = None;
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

    /// Sends SIGSTOP, and waits until all its threads stand still, with all connections open, until
    /// [`Process::resume`].
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        let start = Instant::now();
        while self.runs() && !self.stands_still() && start.elapsed() < STOP_SECONDS_MAX {
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Whether no thread of it runs.
    fn stands_still(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the name, which may hold anything.
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
        })
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// The processes that it started itself and that run.
    pub(super) fn children(&self) -> Vec<Pid> {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let own = self.child.id().to_string();
        let is_child = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // `123 (name with blanks) S 122 …`: the parent is the second word behind the name.
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(own.as_str())
        };
        pids.filter(is_child).filter_map(Pid::from_raw).collect()
    }

    pub(super) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        // A process that stands still takes no signal but SIGKILL.
        self.signal(Signal::CONT);
        if self.wait(STOP_SECONDS_MAX).is_none() {
            self.signal(Signal::KILL);
            self.status = self.child.wait().ok();
            self.guard = None;
        }
    }

    fn signal(&self, with: Signal) {
        // Not waited for yet, so the id is still that of our child, be it alive or a zombie.
        if self.status.is_none()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            signal(pid, with);
        }
    }
}

/// Sends a signal; a process that is gone gets none.
pub(super) fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).ok();
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (pid, guard) = (process.pid(), process.guard.as_ref().unwrap().pid());
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
        let mut process = Process::spawn(&mut sleeper()).unwrap();
        process.guard.as_mut().unwrap().owner_is_gone();
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
