//! For tests: a thread in a network namespace of its own, with a veth pair; seeded random numbers.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::record::{Family, Filter, Gateway, Kind, Op, Prefix, Route};

pub const PROTOCOL: u8 = 77;
pub const TABLE: u32 = 254;

/// Runs `test` in a new namespace: 10.0.0.1/8 and fd00::1/64 on v0. Says so and passes where that is not allowed.
pub fn in_namespace(test: impl FnOnce(u32) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: unshare takes no pointers; it changes this thread alone, which ends with the test.
        #[allow(unsafe_code)]
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            eprintln!("skipped: needs root for a network namespace");
            return;
        }
        for line in [
            "link set lo up",
            "link add v0 type veth peer name v1",
            "addr add 10.0.0.1/8 dev v0",
            "addr add fd00::1/64 dev v0 nodad",
            "link set v0 up",
            "link set v1 up",
        ] {
            ip(line);
        }
        test(index_of("v0"));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs ip(8) in the thread's namespace: a child inherits that of the thread that starts it.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip starts");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ip prints UTF-8")
}

fn index_of(name: &str) -> u32 {
    let text = ip(&format!("-o link show {name}"));
    text.split(':').next().and_then(|number| number.parse().ok()).expect("an interface index")
}

pub fn v4(text: &str) -> [u8; 16] {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&text.parse::<std::net::Ipv4Addr>().expect("an address").octets());
    address
}

pub fn v6(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().expect("an address").octets()
}

/// A route `prefix/24 via gateway`, or `/64` where the prefix is IPv6.
pub fn route(prefix: &str, gateway: &str, device: u32) -> Route {
    let (family, length, parse): (_, _, fn(&str) -> [u8; 16]) =
        if prefix.contains(':') { (Family::V6, 64, v6) } else { (Family::V4, 24, v4) };
    Route {
        family,
        length,
        protocol: PROTOCOL,
        kind: 1,
        table: TABLE,
        metric: if family == Family::V6 { 1024 } else { 0 },
        device,
        prefix: parse(prefix),
        gateway: Some(Gateway { family, address: parse(gateway) }),
        ..Route::default()
    }
}

pub fn op(kind: Kind, route: &Route) -> Op {
    Op { kind, route: route.clone() }
}

pub fn filter(within: &[(&str, u8)]) -> Filter {
    let prefix = |&(text, length): &(&str, u8)| match text.contains(':') {
        true => Prefix { family: Family::V6, length, address: v6(text) },
        false => Prefix { family: Family::V4, length, address: v4(text) },
    };
    Filter { table: TABLE, protocol: PROTOCOL, within: within.iter().map(prefix).collect() }
}

/// Waits for a condition, with a deadline.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 30 s");
        std::thread::yield_now();
    }
}

/// xorshift64*: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }
}
