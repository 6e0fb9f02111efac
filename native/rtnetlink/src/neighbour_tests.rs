#![allow(clippy::unwrap_used)]
use super::*;
use crate::batch::{Batches, Outcome};
use crate::testing::{PROTOCOL, Random, in_namespace, ip, until, v4, v6};

const NUD_FAILED: u8 = 0x20;
const NUD_PERMANENT: u8 = 0x80;

fn neighbour(text: &str, device: u32) -> Neighbour {
    let (family, address) = if text.contains(':') { (Family::V6, v6(text)) } else { (Family::V4, v4(text)) };
    Neighbour { family, address, device, protocol: PROTOCOL, ..Neighbour::default() }
}

fn op(kind: Kind, text: &str, device: u32) -> Op {
    Op { kind, neighbour: neighbour(text, device) }
}

fn errnos(batches: &mut Batches, ops: &[Op]) -> Vec<(usize, i32)> {
    match batches.apply(ops).unwrap() {
        Outcome::Complete { failures, .. } => failures.iter().map(|f| (f.index, f.errno)).collect(),
        Outcome::Unknown { reason } => panic!("unknown: {reason}"),
    }
}

fn of(device: u32, text: &str) -> Option<Neighbour> {
    let wanted = neighbour(text, device);
    dump(PROTOCOL, &[device])
        .unwrap()
        .neighbours
        .into_iter()
        .find(|entry| entry.address == wanted.address && entry.device == device)
}

#[test]
fn added_entries_are_learned_managed_and_ours_in_both_families() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        for text in ["10.0.0.9", "fd00::9"] {
            let add = op(Kind::Add, text, device);
            assert_eq!(errnos(&mut batches, std::slice::from_ref(&add)), []);
            assert_eq!(errnos(&mut batches, std::slice::from_ref(&add)), [(0, libc::EEXIST)]);
            let found = of(device, text).unwrap();
            assert!(found.learned && found.managed && found.protocol == PROTOCOL, "{found:?}");
            until("nobody answers", || of(device, text).is_some_and(|entry| entry.state == NUD_FAILED));
            assert_eq!(errnos(&mut batches, &[op(Kind::Delete, text, device)]), []);
            assert_eq!(errnos(&mut batches, &[op(Kind::Delete, text, device)]), [(0, libc::ENOENT)]);
            assert_eq!(of(device, text), None);
        }
    });
}

#[test]
fn adoption_takes_only_what_is_there() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        ip("neigh add 10.0.0.9 dev v0 lladdr 02:00:00:00:00:01 nud stale");
        let ops = [op(Kind::Adopt, "10.0.0.9", device), op(Kind::Adopt, "10.0.0.10", device)];
        assert_eq!(errnos(&mut batches, &ops), [(1, libc::ENOENT)]);
        let found = of(device, "10.0.0.9").unwrap();
        assert!(found.learned && found.managed && found.protocol == PROTOCOL, "{found:?}");
        assert!(ip("neigh show 10.0.0.9").contains("02:00:00:00:00:01"), "it keeps its MAC");
    });
}

#[test]
fn a_dump_shows_entries_of_the_devices_and_ours_everywhere_and_which_devices_are_live() {
    in_namespace(|device| {
        let other = device - 1;
        ip("neigh add 10.0.0.7 dev v0 lladdr 02:00:00:00:00:01");
        ip("neigh add 10.0.0.8 dev v1 lladdr 02:00:00:00:00:01");
        ip("neigh add 10.0.0.9 dev v1 extern_learn managed protocol 77");
        let view = dump(PROTOCOL, &[device, 9999]).unwrap();
        assert_eq!(view.live, [device]);
        let state = NUD_PERMANENT;
        let permanent = Neighbour { protocol: 0, state, ..neighbour("10.0.0.7", device) };
        assert!(view.neighbours.contains(&permanent), "{view:?}");
        assert!(view.neighbours.iter().all(|entry| entry.address != v4("10.0.0.8")));
        assert!(view.neighbours.iter().any(|entry| entry.address == v4("10.0.0.9") && entry.device == other));
        ip("link set v1 down");
        until("the carrier is lost", || dump(PROTOCOL, &[device]).unwrap().live.is_empty());
        assert_eq!(of(other, "10.0.0.9"), None, "the kernel flushes them with the link");
    });
}

#[test]
fn two_thousand_are_more_than_the_tables_limit_and_all_are_there() {
    in_namespace(|device| {
        let text = |number: u32| format!("10.0.{}.{}", 1 + number / 250, 1 + number % 250);
        let ops: Vec<_> = (0..2000).map(|number| op(Kind::Add, &text(number), device)).collect();
        let mut batches = Batches::open().unwrap();
        assert_eq!(errnos(&mut batches, &ops), []);
        assert_eq!(errnos(&mut batches, &ops).len(), 2000);
        let ours = dump(PROTOCOL, &[]).unwrap().neighbours;
        assert_eq!(ours.iter().filter(|entry| entry.managed && entry.learned).count(), 2000);
    });
}

#[test]
fn the_parser_survives_any_bytes_and_records_read_back() {
    let mut good = Vec::new();
    op(Kind::Add, "10.0.0.9", 7).encode(&mut good, 1, false);
    op(Kind::Adopt, "fd00::9", 0x0102_0304).encode(&mut good, 2, true);
    let read: Vec<_> = wire::messages(&good).filter_map(|message| parse(&message)).collect();
    let ours = |text, device| Neighbour { learned: true, managed: true, ..neighbour(text, device) };
    assert_eq!(read, [ours("10.0.0.9", 7), ours("fd00::9", 0x0102_0304)]);
    let mut random = Random(11);
    for _ in 0..200_000 {
        let mut datagram = good.clone();
        datagram.truncate(1 + random.below(good.len()));
        for _ in 0..=random.below(4) {
            let at = random.below(datagram.len());
            datagram[at] = random.next() as u8;
        }
        for message in wire::messages(&datagram) {
            has_carrier(&message);
            let Some(entry) = parse(&message) else { continue };
            let mut record = Vec::new();
            write(&mut record, &entry);
            assert_eq!(record.len(), RECORD);
        }
        let _ = read_ops(&datagram);
    }
}

#[test]
fn the_records_of_the_other_side_are_understood() {
    let text: String =
        include_str!("../golden/neighbours.hex").chars().filter(|c| !c.is_whitespace()).collect();
    let bytes: Vec<u8> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let with = |kind, text, device, protocol| {
        let neighbour = Neighbour { protocol, ..neighbour(text, device) };
        Op { kind, neighbour }
    };
    let expected = [
        with(Kind::Add, "10.10.10.101", 0x090a_0b0c, 104),
        with(Kind::Adopt, "fe80::1:2", 0x7fff_ffff, 255),
        with(Kind::Delete, "192.168.0.1", 1, 104),
    ];
    assert_eq!(read_ops(&bytes).unwrap(), expected);
    assert_eq!(read_ops(&bytes[..30]), Err(1), "a record cut short");
    assert_eq!(read_ops(&[0; RECORD]), Err(0), "no operation");
}
