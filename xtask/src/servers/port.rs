//! Free ports. It must not know what listens on them.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::Error;

/// The lowest port given out.
const PORT_MIN: u16 = 12_000;

/// How many ports there are to give out. All of them, and their Redis Cluster bus ports 10,000
/// above, lie below Linux's ephemeral ports (32768 and up): the kernel never lends one of them
/// to an outgoing connection while its server is being restarted.
const PORTS: u16 = 10_000;

/// A port of 127.0.0.1 that no other test of this machine is given while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // An abstract Unix socket named after the port: unlike a lock file it vanishes with its
    // process, and unlike the port itself it can be held while the server listens there.
    _claim: UnixListener,
}

impl Port {
    /// Claims a free port.
    pub fn claim() -> Result<Self, Error> {
        let start = RandomState::new().hash_one(std::process::id()) % u64::from(PORTS);
        let start = u16::try_from(start).unwrap_or_default();
        (0..PORTS)
            .map(|step| PORT_MIN + (start + step) % PORTS)
            .find_map(Self::claim_number)
            .ok_or_else(|| Error::new(format!("no free port from {PORT_MIN} to {}", PORT_MIN + PORTS - 1)))
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn claim_number(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("redis-wb-test-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _claim: claim })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::claim().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }
}
