//! How much the simulator bears: 10,000 instances, one server thread, one pool of connections.
//! Run by hand with `cargo bench --bench simulator`; it prints figures and judges nothing.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark may fail like a test, and uses a part of the tests' caller"
)]

#[path = "../tests/simulation/caller.rs"]
mod caller;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use caller::Request;
use jiff::Timestamp;
use zenlayer_sim::{
    config::Config,
    http::{Shared, bind, serve},
};

const INSTANCES: usize = 10_000;
const CONNECTIONS: usize = 8;
const START: i64 = 1_767_225_600;

fn main() {
    let (address, thread_id) = start();
    let looks: Vec<_> = (0..20_000).map(|index| look(index).bytes()).collect();
    let zipped: Vec<_> =
        (0..5_000).map(|index| look(index).header("accept-encoding", "gzip").bytes()).collect();
    let changes: Vec<_> = (0..INSTANCES).map(|index| change(index).bytes()).collect();
    println!("{INSTANCES} instances, {CONNECTIONS} connections, one server thread");
    measure("DescribeInstances, 100 ids", address, &thread_id, looks);
    measure("DescribeInstances, 100 ids, gzip", address, &thread_id, zipped);
    measure("ModifyInstanceType", address, &thread_id, changes);
    let again: Vec<_> = (0..20_000).map(|index| look(index).bytes()).collect();
    measure("DescribeInstances with 10,000 plans", address, &thread_id, again);
}

fn id(index: usize) -> String {
    format!("vm-{:05}", index % INSTANCES)
}

/// A hundred ids from somewhere on.
fn look(index: usize) -> Request {
    let ids: Vec<String> =
        (0..100).map(|offset| format!("{:?}", id(index * 37 + offset))).collect();
    let body = format!("{{\"instanceIds\":[{}],\"pageSize\":100}}", ids.join(","));
    Request::new("DescribeInstances", body, START).with(|one| one.keep_alive = true)
}

fn change(index: usize) -> Request {
    let body = format!("{{\"instanceId\":\"{}\",\"instanceTypeId\":\"c.2c4g\"}}", id(index));
    Request::new("ModifyInstanceType", body, START).with(|one| one.keep_alive = true)
}

/// Starts the server on a thread of its own, and gives the kernel's name of that thread.
fn start() -> (SocketAddr, String) {
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = config();
            let shared =
                Arc::new(Shared::new(config.settings(), None, false, |now| config.world(now)));
            let listener = bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
            let this = std::fs::read_link("/proc/thread-self").unwrap();
            let name = this.file_name().unwrap().to_str().unwrap().to_owned();
            sender.send((listener.local_addr().unwrap(), name)).unwrap();
            serve(listener, None, shared).await.unwrap();
        });
    });
    started.recv().unwrap()
}

fn config() -> Config {
    let mut file = format!(
        "clock: {{ mode: stepped, start: {} }}\nprocessingTime: 1h\n\
         credentials:\n  - {{ accessKeyId: {}, accessKeyPassword: {} }}\ninstances:\n",
        Timestamp::from_second(START).unwrap(),
        harness::simulator::KEY_ID,
        harness::simulator::KEY_PASSWORD,
    );
    for index in 0..INSTANCES {
        let id = id(index);
        file.push_str(&format!("  - {{ id: {id}, type: c.1c2g, chargeType: POSTPAID }}\n"));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("simulator.yaml");
    std::fs::write(&path, file).unwrap();
    Config::load(&path).unwrap()
}

/// Sends all requests and prints how fast they were answered, by the wall and by the server's CPU.
fn measure(name: &str, address: SocketAddr, server: &str, requests: Vec<Vec<u8>>) {
    let count = requests.len();
    let queue = Arc::new(Mutex::new(requests.into_iter()));
    let (cpu, started) = (processor_time(server), Instant::now());
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || work(address, &queue))
        })
        .collect();
    let bytes: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    let (wall, cpu) = (started.elapsed(), processor_time(server) - cpu);
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "{name:36} {:8.0} requests/s by the wall, {:8.0} by one core, {:5.1} KiB each",
        rate(wall),
        rate(cpu),
        bytes as f64 / count as f64 / 1024.0,
    );
}

/// What a thread has run for.
fn processor_time(thread: &str) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// One connection: takes requests until none is left.
fn work(address: SocketAddr, queue: &Mutex<std::vec::IntoIter<Vec<u8>>>) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let next = queue.lock().unwrap().next();
        let Some(request) = next else { return total };
        stream.write_all(&request).unwrap();
        total += read_answer(&mut stream, &mut buffer);
    }
}

/// Reads one answer, which must be a success.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).unwrap();
        assert!(read > 0, "the connection was closed");
        filled += read;
        let seen = &buffer[..filled];
        let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&seen[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if filled == end + 4 + length.parse::<usize>().unwrap() {
            return filled;
        }
    }
}
