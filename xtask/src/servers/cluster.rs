//! A private Redis Cluster. It must not know what the capture module does.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult, Value};

use super::{LOOK_AGAIN, Redis, START_SECONDS_MAX, or_panic};
use crate::Error;

/// How many slots a cluster has.
const SLOTS: u32 = 16_384;
/// How long a server may be silent until the others count it as failed: more than a busy machine makes it wait.
const NODE_TIMEOUT_MS: &str = "10000";
/// How often a replica is asked to take over until it is elected.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What Redis says, in lower case, where it only asks to wait: servers that do not hear of each other on a busy machine.
const PASSING: &[&str] = &["clusterdown", "tryagain", "ioerr"];
/// How many keys move at a time.
const MOVED_AT_ONCE: usize = 100;
/// How long a move of such keys may take.
const MOVE_MS_MAX: usize = 10_000;

/// A Redis Cluster of one's own, on 127.0.0.1, with the capture module in every server.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    module: PathBuf,
    arguments: Vec<String>,
}

impl Cluster {
    /// Starts `primaries` servers that share the slots, in order, and as many replicas of each.
    #[track_caller]
    pub fn start(primaries: usize, replicas: usize) -> Self {
        Self::start_with(primaries, replicas, &[])
    }

    /// As [`Cluster::start`], with more configuration of the servers.
    #[track_caller]
    pub fn start_with(primaries: usize, replicas: usize, arguments: &[&str]) -> Self {
        let start = |module: PathBuf| Self::try_start(&module, primaries, replicas, arguments);
        or_panic(super::try_capture_module().and_then(start))
    }

    /// As [`Cluster::start_with`], for those who must not panic.
    pub fn try_start(module: &Path, primaries: usize, replicas: usize, arguments: &[&str]) -> Result<Self, Error> {
        let mut all: Vec<String> =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS].map(str::to_owned).into();
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut cluster = Self { nodes: Vec::new(), module: module.to_path_buf(), arguments: all };
        for _ in 0..primaries * (1 + replicas) {
            cluster.nodes.push(cluster.launch()?);
        }
        let share = SLOTS.div_ceil(u32::try_from(primaries).unwrap_or(1));
        for (at, first) in (0..primaries).zip((0..SLOTS).step_by(usize::try_from(share).unwrap_or(1))) {
            let last = (first + share).min(SLOTS) - 1;
            cluster.run(at, &["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()])?;
            cluster.run(at, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        for at in 1..cluster.nodes.len() {
            cluster.meet(at)?;
        }
        for at in primaries..cluster.nodes.len() {
            let primary = cluster.try_id(at % primaries)?;
            cluster.until("a replica", || cluster.run(at, &["CLUSTER", "REPLICATE", &primary]).is_ok())?;
        }
        cluster.try_settle()?;
        Ok(cluster)
    }

    fn launch(&self) -> Result<Redis, Error> {
        Redis::try_start(Some(&self.module), &self.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn meet(&self, at: usize) -> Result<(), Error> {
        let first = self.node(0)?.port().to_string();
        self.run(at, &["CLUSTER", "MEET", "127.0.0.1", &first]).map(drop)
    }

    /// Starts one more server, which has no slots yet; gives its place.
    #[track_caller]
    pub fn add(&mut self) -> usize {
        or_panic(self.try_add())
    }

    /// As [`Cluster::add`], for those who must not panic.
    pub fn try_add(&mut self) -> Result<usize, Error> {
        let at = self.nodes.len();
        let node = self.launch()?;
        self.nodes.push(node);
        self.meet(at)?;
        self.try_settle()?;
        Ok(at)
    }

    /// The servers, in the order in which they were started: primaries first.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// One server.
    #[track_caller]
    pub fn node_mut(&mut self, at: usize) -> &mut Redis {
        or_panic(self.nodes.get_mut(at).ok_or_else(|| Error::new(format!("there is no server {at}"))))
    }

    /// The addresses of all servers, as `--redis` takes them.
    pub fn url(&self) -> String {
        self.nodes.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    /// A connection to one server.
    #[track_caller]
    pub fn connect(&self, at: usize) -> Connection {
        or_panic(self.try_connect(at))
    }

    /// Sends a command to one server.
    pub fn run(&self, at: usize, words: &[&str]) -> Result<Value, Error> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        let reply: RedisResult<Value> = command.query(&mut self.try_connect(at)?);
        reply.map_err(Error::during(format_args!("run {words:?} at server {at}")))
    }

    /// As [`Cluster::run`], again and again where Redis asks to wait. The command must be one that may run twice.
    fn run_patiently(&self, at: usize, words: &[&str]) -> Result<Value, Error> {
        let start = Instant::now();
        loop {
            let ran = self.run(at, words);
            let passes = |error: &Error| PASSING.iter().any(|said| error.to_string().to_lowercase().contains(said));
            if !ran.as_ref().is_err_and(passes) || start.elapsed() > START_SECONDS_MAX {
                return ran;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The id by which a server is known.
    #[track_caller]
    pub fn id(&self, at: usize) -> String {
        or_panic(self.try_id(at))
    }

    /// As [`Cluster::id`], for those who must not panic.
    pub fn try_id(&self, at: usize) -> Result<String, Error> {
        Ok(text(&self.run(at, &["CLUSTER", "MYID"])?))
    }

    /// The place of the server that has a slot, as server `seen_by` sees it.
    #[track_caller]
    pub fn owner(&self, slot: u16, seen_by: usize) -> usize {
        or_panic(self.try_owner(slot, seen_by))
    }

    /// As [`Cluster::owner`], for those who must not panic.
    pub fn try_owner(&self, slot: u16, seen_by: usize) -> Result<usize, Error> {
        let nodes = text(&self.run(seen_by, &["CLUSTER", "NODES"])?);
        let has = |word: &str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
        };
        let owner = nodes.lines().find(|line| line.split(' ').skip(8).any(has));
        let id = owner.and_then(|line| line.split(' ').next()).unwrap_or_default();
        let runs = |at: &usize| self.try_id(*at).is_ok_and(|own| own == id);
        (0..self.nodes.len()).find(runs).ok_or_else(|| Error::new(format!("nobody has slot {slot}")))
    }

    /// Moves a slot with all its keys, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) -> Result<(), Error> {
        self.open_slot(slot, from, to)?;
        while self.move_keys(slot, from, to)? > 0 {}
        self.close_slot(slot, from, to)
    }

    /// Begins to move a slot: the target first, so that it takes what the source sends on. Waits first until all servers
    /// that run have heard of the newest epoch, as they have where a person moves the slot next.
    pub fn open_slot(&self, slot: u16, from: usize, to: usize) -> Result<(), Error> {
        self.agree()?;
        let (slot, source, target) = (slot.to_string(), self.try_id(from)?, self.try_id(to)?);
        self.run(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source])?;
        self.run(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).map(drop)
    }

    /// Has a replica elected, whether its primary lives or not, and waits until all servers that run have heard of it.
    /// What the primary has not sent to it is lost.
    pub fn fail_over(&self, replica: usize) -> Result<(), Error> {
        let mut asked: Option<Instant> = None;
        self.until("takeover", || {
            if asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
                asked = Some(Instant::now());
                // It is refused as long as an election is under way.
                let _ = self.run(replica, &["CLUSTER", "FAILOVER", "FORCE"]);
            }
            let role = self.run(replica, &["ROLE"]);
            matches!(role, Ok(Value::Array(role)) if role.first().is_some_and(|role| text(role) == "master"))
        })?;
        self.try_settle()
    }

    /// Waits until all servers that run have heard of the newest epoch: two that claim slots before are not told apart.
    pub fn agree(&self) -> Result<(), Error> {
        self.until("agreement on the epoch", || {
            let epochs: Vec<String> = (0..self.nodes.len()).filter_map(|at| self.epoch(at)).collect();
            epochs.windows(2).all(|pair| pair.first() == pair.last())
        })
    }

    /// The newest epoch that a server has heard of; `None` if it does not answer.
    fn epoch(&self, at: usize) -> Option<String> {
        let info = text(&self.run(at, &["CLUSTER", "INFO"]).ok()?);
        info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:").map(str::to_owned))
    }

    /// Moves some keys of a slot; gives how many there were.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) -> Result<usize, Error> {
        let (slot, most) = (slot.to_string(), MOVED_AT_ONCE.to_string());
        let Value::Array(keys) = self.run(from, &["CLUSTER", "GETKEYSINSLOT", &slot, &most])? else { return Ok(0) };
        let (keys, port) = (keys.iter().map(text).collect::<Vec<_>>(), self.node(to)?.port().to_string());
        if !keys.is_empty() {
            let timeout = MOVE_MS_MAX.to_string();
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", &timeout, "REPLACE", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            self.run_patiently(from, &words)?;
        }
        Ok(keys.len())
    }

    /// Ends the move of a slot.
    pub fn close_slot(&self, slot: u16, from: usize, to: usize) -> Result<(), Error> {
        let (slot, target) = (slot.to_string(), self.try_id(to)?);
        for at in [to, from] {
            self.run(at, &["CLUSTER", "SETSLOT", &slot, "NODE", &target])?;
        }
        Ok(())
    }

    /// Waits until all servers that run agree that all slots are served.
    #[track_caller]
    pub fn settle(&self) {
        or_panic(self.try_settle());
    }

    /// As [`Cluster::settle`], for those who must not panic.
    pub fn try_settle(&self) -> Result<(), Error> {
        self.until("agreement of the cluster", || {
            let views: Vec<_> = (0..self.nodes.len()).filter_map(|at| self.view(at)).collect();
            views.first().is_some_and(|first| first.0 && views.iter().all(|view| view == first))
        })
    }

    /// Whether a server sees all slots served, and who it thinks has which; `None` if it does not answer.
    fn view(&self, at: usize) -> Option<(bool, Vec<String>)> {
        let info = text(&self.run(at, &["CLUSTER", "INFO"]).ok()?);
        let nodes = text(&self.run(at, &["CLUSTER", "NODES"]).ok()?);
        let known = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let role = if words.get(2)?.contains("slave") { words.get(3)? } else { &"" };
            Some([&[words.first().copied()?, role], words.get(8..)?].concat().join(" "))
        };
        let mut view: Vec<String> = nodes.lines().filter_map(known).collect();
        view.sort();
        Some((info.contains("cluster_state:ok"), view))
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Error> {
        let start = Instant::now();
        while !holds() {
            if start.elapsed() > START_SECONDS_MAX {
                let logs: Vec<String> = self.nodes.iter().map(Redis::log).collect();
                return Err(Error::new(format!("still no {what}:\n{}", logs.join("\n"))));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn node(&self, at: usize) -> Result<&Redis, Error> {
        self.nodes.get(at).ok_or_else(|| Error::new(format!("there is no server {at}")))
    }

    fn try_connect(&self, at: usize) -> Result<Connection, Error> {
        let client = redis::Client::open(self.node(at)?.url());
        client.and_then(|client| client.get_connection()).map_err(Error::during(format_args!("connect to server {at}")))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_move_and_servers_join() {
        let mut cluster = Cluster::start(3, 0);
        let key = |at: u32| format!("{{foo}}{at}");
        let (slot, from) = (12_182, 2);
        assert_eq!(cluster.owner(slot, 0), from);
        for at in 0..250 {
            cluster.run(from, &["SET", &key(at), "x"]).unwrap();
        }
        let to = cluster.add();
        cluster.move_slot(slot, from, to).unwrap();
        cluster.settle();
        assert_eq!(cluster.owner(slot, 0), to);
        assert_eq!(cluster.run(to, &["CLUSTER", "COUNTKEYSINSLOT", "12182"]).unwrap(), Value::Int(250));
        assert!(cluster.run(from, &["GET", &key(1)]).is_err());
    }
}
