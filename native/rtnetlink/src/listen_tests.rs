#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::*;
use crate::batch::{Batches, Outcome};
use crate::record::Kind;
use crate::testing::{filter, in_namespace, ip, op, route, until};

/// A listener whose bits pile up in the number beside it.
fn listening(filter: Filter) -> (Listener, Arc<AtomicU32>) {
    let heard = Arc::new(AtomicU32::new(0));
    let bits = Arc::clone(&heard);
    let listener = Listener::start(filter, Arc::new(AtomicU32::new(0)), move |new| {
        bits.fetch_or(new, Ordering::SeqCst);
    });
    (listener.unwrap(), heard)
}

#[test]
fn routes_of_ours_and_inside_the_prefixes_are_heard_and_no_others() {
    in_namespace(|_| {
        let (mut listener, heard) = listening(filter(&[("10.100.0.0", 16)]));
        let take = || heard.swap(0, Ordering::SeqCst);
        ip("route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto boot");
        until("a rival's route inside", || take() == ROUTES);
        ip("route del 10.100.1.0/24");
        until("its end", || take() == ROUTES);
        ip("route add fd01:1::/64 via fd00::9 dev v0 proto 77");
        until("ours, in IPv6", || take() == ROUTES);
        ip("route add 10.101.1.0/24 via 10.0.0.9 dev v0 proto boot");
        ip("route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto boot table 100");
        ip("addr add 192.0.2.1/32 dev v1");
        until("the address", || heard.load(Ordering::SeqCst) != 0);
        // Events come in order: had the two routes been heard, their bit would be here.
        assert_eq!(take(), ADDRESSES);
        listener.close();
        listener.close();
    });
}

fn ears() -> Ears {
    Ears::Network { filter: filter(&[]), own: Arc::new(AtomicU32::new(0)) }
}

#[test]
fn changes_of_our_own_batches_are_no_news_and_the_same_by_others_are() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        let heard = Arc::new(AtomicU32::new(0));
        let bits = Arc::clone(&heard);
        let _listener = Listener::start(filter(&[("10.100.0.0", 16)]), batches.port(), move |new| {
            bits.fetch_or(new, Ordering::SeqCst);
        });
        let ours = [route("10.100.1.0", "10.0.0.9", device), route("fd01:1::", "fd00::9", device)];
        for kind in [Kind::Add, Kind::Delete] {
            let ops = ours.iter().map(|route| op(kind, route)).collect::<Vec<_>>();
            let done = Outcome::Complete { failures: Vec::new(), sentences: Vec::new() };
            assert_eq!(batches.apply(&ops).unwrap(), done);
        }
        ip("addr add 192.0.2.1/32 dev v1");
        until("the address", || heard.load(Ordering::SeqCst) & ADDRESSES != 0);
        // Events come in order: had our own been heard, their bit would be here.
        assert_eq!(heard.swap(0, Ordering::SeqCst), ADDRESSES);
        ip("route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto 77");
        until("another's", || heard.load(Ordering::SeqCst) == ROUTES);
    });
}

#[test]
fn default_routes_and_connected_prefixes_are_heard_as_addresses_are_and_other_routes_are_not() {
    in_namespace(|_| {
        let (_listener, heard) = listening(filter(&[("10.100.0.0", 16)]));
        for route in [
            "default via 10.0.0.9",
            "192.0.2.0/24 dev v0",
            "-6 default via fd00::9",
            "-6 2001:db8::/64 dev v0",
        ] {
            let (family, route) = route.strip_prefix("-6 ").map_or(("-4", route), |rest| ("-6", rest));
            for change in ["add", "del"] {
                heard.store(0, Ordering::SeqCst);
                ip(&format!("{family} route {change} {route}"));
                until(route, || heard.load(Ordering::SeqCst) == ADDRESSES);
            }
        }
        heard.store(0, Ordering::SeqCst);
        ip("route add 198.51.100.0/24 via 10.0.0.9");
        ip("route add 10.100.1.0/24 via 10.0.0.9");
        until("the last one", || heard.load(Ordering::SeqCst) & ROUTES != 0);
        // Events come in order: the bits of the one before it would be here.
        assert_eq!(heard.load(Ordering::SeqCst), ROUTES);
    });
}

#[test]
fn links_are_heard() {
    in_namespace(|_| {
        let (_listener, heard) = listening(filter(&[]));
        ip("link set v1 mtu 1400");
        until("the link", || heard.load(Ordering::SeqCst) & LINKS != 0);
    });
}

#[test]
fn an_overflow_counts_as_a_change_of_everything() {
    in_namespace(|_| {
        let socket = ears().open().unwrap();
        socket.shrink();
        for number in 0..100 {
            ip(&format!("addr add 192.0.2.{number}/32 dev v1"));
        }
        let mut buffer = vec![0; BUFFER];
        assert_eq!(drain(&socket, &mut buffer, &ears()).unwrap(), ALL);
        assert_eq!(drain(&socket, &mut buffer, &ears()).unwrap(), 0, "and is over");
    });
}

#[test]
fn more_events_than_one_reading_takes_are_left_for_the_next() {
    in_namespace(|device| {
        let socket = ears().open().unwrap();
        let adds = (0..DRAIN_MAX + 100)
            .map(|n| format!("10.{}.{}.0", 100 + (n >> 8), n & 255))
            .map(|prefix| op(Kind::Add, &route(&prefix, "10.0.0.9", device)))
            .collect::<Vec<_>>();
        Batches::open().unwrap().apply(&adds).unwrap();
        let mut buffer = vec![0; BUFFER];
        let mut read = || drain(&socket, &mut buffer, &ears()).unwrap();
        assert_eq!([read(), read(), read()], [ROUTES, ROUTES, 0]);
    });
}

#[test]
fn a_cut_event_counts_as_a_change_of_everything() {
    in_namespace(|_| {
        let socket = ears().open().unwrap();
        ip("addr add 192.0.2.1/32 dev v1");
        assert_eq!(drain(&socket, &mut [0; 20], &ears()).unwrap(), ALL);
    });
}

#[test]
fn a_closed_listener_calls_nothing_and_leaves_no_descriptor() {
    in_namespace(|_| {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let mut listener = Listener::start(filter(&[]), Arc::new(AtomicU32::new(0)), move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        listener.close();
        // The closure went with the thread: only then is the counter held once.
        assert_eq!(Arc::strong_count(&calls), 1);
        let before = calls.load(Ordering::SeqCst);
        ip("link set v1 down");
        assert_eq!(calls.load(Ordering::SeqCst), before);
    });
}

/// Runs nft(8) in the thread's namespace; false if there is none.
fn nft(line: &str) -> bool {
    match std::process::Command::new("nft").args(line.split(' ')).status() {
        Ok(status) => {
            assert!(status.success(), "nft {line}");
            true
        }
        Err(_) => false,
    }
}

#[test]
fn a_change_of_nftables_is_heard_and_one_of_routes_is_not() {
    in_namespace(|_| {
        let changes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&changes);
        let mut listener = Listener::firewall(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        let heard = || changes.swap(0, Ordering::SeqCst) != 0;
        ip("route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto boot");
        assert!(!heard());
        if !nft("add table inet other") {
            eprintln!("skipped: needs nft");
            return;
        }
        until("a new table", heard);
        nft("flush ruleset");
        until("its end", heard);
        listener.close();
        heard();
        nft("add table inet other");
        assert!(!heard());
    });
}
