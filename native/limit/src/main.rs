//! Adds and deletes routes in the namespace it is run in, as fast as the kernel can take them, and prints the times
//! as one line of JSON. Every message is encoded before the clock starts; only the last of a send is acknowledged.
//! It shares no code with the driver that is compared with it.

mod messages;
mod options;
#[allow(unsafe_code)]
mod socket;

use std::process::ExitCode;
use std::time::Instant;

use messages::{Action, Sends};
use options::{Options, USAGE};
use socket::Socket;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match measure(&options) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("hostgw-limit: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<String, String> {
    let socket = Socket::open().map_err(|error| format!("cannot open a netlink socket: {error}"))?;
    let adds = Sends::encode(options, Action::Add);
    let deletes = Sends::encode(options, Action::Delete);
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let before = prefixes()?;
        let add = timed(&socket, &adds)?;
        let added = prefixes()? - before;
        let delete = timed(&socket, &deletes)?;
        let left = prefixes()? - before;
        rounds.push(format!(r#"{{"addMs":{add:.3},"deleteMs":{delete:.3},"added":{added},"left":{left}}}"#));
    }
    let Options { routes, gateways, metrics, chunk, .. } = options;
    Ok(format!(
        r#"{{"routes":{routes},"gateways":{gateways},"metrics":{metrics},"chunk":{chunk},"rounds":[{}]}}"#,
        rounds.join(",")
    ))
}

/// Milliseconds from the first send to the last acknowledgement.
fn timed(socket: &Socket, sends: &Sends) -> Result<f64, String> {
    let mut reply = [0; 4096];
    let start = Instant::now();
    for (message, last) in sends.iter() {
        socket.send(message).map_err(|error| format!("send: {error}"))?;
        let length = socket.receive(&mut reply).map_err(|error| format!("receive: {error}"))?;
        messages::check_ack(&reply[..length], last)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// How many IPv4 prefixes the namespace's routing table holds, from the kernel's own count.
fn prefixes() -> Result<i64, String> {
    let text = std::fs::read_to_string("/proc/net/fib_triestat").map_err(|error| error.to_string())?;
    let count = text.lines().find_map(|line| line.trim().strip_prefix("Prefixes:"));
    count
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| "/proc/net/fib_triestat names no count".to_owned())
}
