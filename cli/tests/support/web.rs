//! The other ends of HTTP: whoever asks a process for its metrics, and a collector for OpenTelemetry.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::Project;

/// The address that the last process which was started answers at.
pub(crate) fn address(project: &Project, count: usize) -> String {
    let find = |log: String| {
        let found: Vec<String> = log
            .lines()
            .filter_map(|line| Some(line.split_once("metrics at http://")?.1.split('/').next()?.to_owned()))
            .collect();
        (found.len() >= count).then(|| found.last().cloned()).flatten()
    };
    project.wait("the metrics are served", || find(project.log()).is_some());
    find(project.log()).unwrap()
}

/// The status and the body of an answer.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Requests: each path and body.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// The other end of OTLP: keeps what is sent to it.
pub(crate) fn collector() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&kept);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().to_lowercase().split_once(": ") {
                    Some(("content-length", count)) => length = count.parse().unwrap(),
                    Some(_) => {}
                    None => break,
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let path = first.split(' ').nth(1).unwrap().to_owned();
            all.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        }
    });
    (at, kept)
}
