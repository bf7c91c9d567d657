//! A TCP proxy between a worker and a server, which cuts, delays, swallows or refuses on demand. It must not know what
//! passes through it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::servers::Port;

/// How many bytes are passed on at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// What becomes of connections and of what they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All passes.
    Pass,
    /// Each piece passes after a while.
    Delay(Duration),
    /// Connections come about, and nothing ever passes: the other side seems to be there and does not answer.
    Silent,
    /// Connections are closed as soon as they are there.
    Refuse,
    /// Each direction of a connection ends after so many bytes, in the middle of a message.
    CutAfter(usize),
}

/// A listening proxy; all ends when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    port: Port,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The port of the server.
    to: AtomicU16,
    mode: Mutex<Mode>,
    wires: Mutex<Vec<Arc<Wire>>>,
    has_ended: AtomicBool,
}

/// One connection, seen from both sides.
#[derive(Debug)]
struct Wire {
    client: TcpStream,
    /// None where it never came about, which the client does not know.
    server: Option<TcpStream>,
    /// Whether something was swallowed, so that nothing that comes later would make sense.
    is_deaf: AtomicBool,
    is_closed: AtomicBool,
    /// How many bytes passed in either direction since it is to be cut.
    passed: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port for connections to another port of this machine.
    pub(super) fn start(to: u16) -> Result<Self, Error> {
        let port = Port::claim()?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).map_err(Error::during("start a proxy"))?;
        let shared = Arc::new(Shared {
            to: AtomicU16::new(to),
            mode: Mutex::new(Mode::Pass),
            wires: Mutex::default(),
            has_ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                accept(&own, client);
            }
        });
        Ok(Self { port, shared })
    }

    /// The port to connect to.
    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Leads new connections to another server.
    pub(super) fn lead_to(&self, port: u16) {
        self.shared.to.store(port, Ordering::SeqCst);
    }

    /// What becomes of everything from here on.
    pub(super) fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
    }

    /// Ends all connections.
    pub(super) fn cut(&self) {
        lock(&self.shared.wires).drain(..).for_each(|wire| wire.close());
    }

    /// Lets all pass again. Connections of which something was swallowed end.
    pub(super) fn heal(&self) {
        self.set(Mode::Pass);
        let is_deaf = |wire: &&Arc<Wire>| wire.is_deaf.load(Ordering::SeqCst);
        lock(&self.shared.wires).iter().filter(is_deaf).for_each(|wire| wire.close());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that listens.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).ok();
    }
}

impl Wire {
    fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.client.shutdown(Shutdown::Both).ok();
        if let Some(server) = &self.server {
            server.shutdown(Shutdown::Both).ok();
        }
    }
}

fn accept(shared: &Arc<Shared>, client: TcpStream) {
    let mode = *lock(&shared.mode);
    let server = match mode {
        Mode::Refuse => return,
        Mode::Silent => None,
        _ => {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.to.load(Ordering::SeqCst))) else {
                return;
            };
            server.set_nodelay(true).and_then(|()| client.set_nodelay(true)).ok();
            Some(server)
        }
    };
    let is_deaf = AtomicBool::new(server.is_none());
    let wire =
        Arc::new(Wire { client, server, is_deaf, is_closed: AtomicBool::new(false), passed: AtomicUsize::new(0) });
    let mut wires = lock(&shared.wires);
    wires.retain(|wire| !wire.is_closed.load(Ordering::SeqCst));
    wires.push(Arc::clone(&wire));
    drop(wires);
    // Where there is no server, there are no answers.
    let directions: &[bool] = if wire.server.is_some() { &[false, true] } else { &[false] };
    for is_answer in directions.iter().copied() {
        let (shared, wire) = (Arc::clone(shared), Arc::clone(&wire));
        thread::spawn(move || {
            // However it ends, it ends for both sides.
            pump(&shared, &wire, is_answer).ok();
            wire.close();
        });
    }
}

/// Passes on what one side sends until it ends.
fn pump(shared: &Shared, wire: &Wire, is_answer: bool) -> std::io::Result<()> {
    let Some(server) = &wire.server else {
        // Holds the connection open until the proxy is healed or the client gives up.
        return std::io::copy(&mut &wire.client, &mut std::io::sink()).map(drop);
    };
    let (mut from, mut to) = if is_answer { (server, &wire.client) } else { (&wire.client, server) };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk)?;
        let mut bytes = chunk.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        let mode = *lock(&shared.mode);
        match mode {
            Mode::Pass => {}
            Mode::Delay(pause) => thread::sleep(pause),
            Mode::Silent => wire.is_deaf.store(true, Ordering::SeqCst),
            Mode::Refuse => return Ok(()),
            Mode::CutAfter(most) => {
                let left = most.saturating_sub(wire.passed.fetch_add(count, Ordering::SeqCst));
                if left < count {
                    bytes = bytes.get(..left).unwrap_or_default();
                    to.write_all(bytes)?;
                    return Ok(());
                }
            }
        }
        if !wire.is_deaf.load(Ordering::SeqCst) {
            to.write_all(bytes)?;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        stream
    }

    /// What comes back of a message.
    fn ask(mut stream: &TcpStream, message: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(message)?;
        let mut answer = vec![0; message.len()];
        let count = stream.read(&mut answer)?;
        answer.truncate(count);
        Ok(answer)
    }

    #[test]
    fn it_passes_delays_swallows_cuts_and_refuses() {
        let proxy = Proxy::start(echo()).unwrap();
        let stream = connect(&proxy);
        assert_eq!(ask(&stream, b"one").unwrap(), b"one");
        proxy.set(Mode::Delay(Duration::from_millis(50)));
        let start = Instant::now();
        assert_eq!(ask(&stream, b"two").unwrap(), b"two");
        assert!(start.elapsed() >= Duration::from_millis(100));
        proxy.set(Mode::Silent);
        assert!(ask(&stream, b"three").is_err(), "no answer in time");
        let late = connect(&proxy);
        assert!(ask(&late, b"four").is_err(), "it comes about and nobody answers");
        proxy.heal();
        assert!(!matches!(ask(&stream, b"five"), Ok(answer) if !answer.is_empty()), "what was swallowed ends it");
        let stream = connect(&proxy);
        proxy.set(Mode::CutAfter(5));
        assert_eq!(ask(&stream, b"seven").unwrap(), b"");
        proxy.set(Mode::Refuse);
        assert!(!matches!(ask(&connect(&proxy), b"eight"), Ok(answer) if !answer.is_empty()));
        proxy.heal();
        let stream = connect(&proxy);
        assert_eq!(ask(&stream, b"nine").unwrap(), b"nine");
        proxy.cut();
        assert!(!matches!(ask(&stream, b"ten"), Ok(answer) if !answer.is_empty()));
    }
}
