#![allow(clippy::unwrap_used)]
use super::*;
use crate::record::{Gateway, RECORD, Route, read_ops, read_route, write_route};
use crate::testing::{Random, filter, op, route, v4, v6};

/// An answer of the kernel, made by hand.
fn message(kind: u16, flags: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin(&mut out, kind, flags, seq);
    out.extend_from_slice(payload);
    finish(&mut out, start);
    out.resize(align(out.len()), 0);
    out
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(align(out.len()), 0);
    out
}

fn routes_of(datagram: &[u8]) -> Vec<Route> {
    let mut found = Vec::new();
    messages(datagram).for_each(|message| parse_routes(&message, |route| found.push(route.clone())));
    found
}

fn walk(datagram: &[u8]) {
    for message in messages(datagram) {
        parse_reply(&message);
        parse_done(&message);
        parse_routes(&message, |route| {
            let mut record = Vec::new();
            write_route(&mut record, route);
            assert_eq!(record.len(), RECORD);
        });
    }
}

#[test]
fn what_an_operation_encodes_reads_back_as_its_route() {
    for (prefix, gateway) in [("10.1.2.0", "10.0.0.9"), ("fd01:2::", "fd00::9")] {
        let mut wanted = route(prefix, gateway, 7);
        wanted.metric = 4_000_000_000;
        wanted.table = 70_000;
        wanted.source = Some(if prefix.contains(':') { v6("fd00::1") } else { v4("10.0.0.1") });
        let mut datagram = Vec::new();
        encode_op(&mut datagram, &op(Kind::Add, &wanted), 3, false);
        encode_op(&mut datagram, &op(Kind::Delete, &wanted), 4, true);
        let flags: Vec<_> =
            messages(&datagram).map(|message| (message.kind, message.flags, message.seq)).collect();
        assert_eq!(flags, [(RTM_NEWROUTE, 0x601, 3), (RTM_DELROUTE, 0x5, 4)]);
        // A delete's scope of "nowhere" is none that a dump shows of a plain route.
        let deleted = Route { more: true, ..wanted.clone() };
        assert_eq!(routes_of(&datagram), [wanted, deleted]);
    }
}

#[test]
fn no_operation_replaces() {
    const NLM_F_REPLACE: u16 = 0x100;
    for kind in [Kind::Add, Kind::Append, Kind::Delete] {
        let mut datagram = Vec::new();
        encode_op(&mut datagram, &op(kind, &route("10.1.2.0", "10.0.0.9", 7)), 1, true);
        assert!(messages(&datagram).all(|message| message.flags & NLM_F_REPLACE == 0));
    }
}

#[test]
fn a_delete_of_metric_0_in_ipv6_names_the_metric_that_the_kernel_stored() {
    let mut wanted = route("fd01::", "fd00::9", 7);
    wanted.metric = 0;
    let mut datagram = Vec::new();
    encode_op(&mut datagram, &op(Kind::Delete, &wanted), 1, true);
    assert_eq!(routes_of(&datagram)[0].metric, 1024);
}

#[test]
fn an_error_gives_its_errno_and_sentence_with_and_without_the_request_repeated() {
    let sentence = attribute(NLMSGERR_ATTR_MSG, b"Nexthop has invalid gateway.\0");
    let header = message(RTM_NEWROUTE, 0, 9, &[7; 28]);
    let errno = (-101i32).to_ne_bytes();
    let capped = [&errno[..], &header[..16], &sentence].concat();
    let whole = [&errno[..], &header, &sentence].concat();
    for (flags, payload) in [(NLM_F_CAPPED | NLM_F_ACK_TLVS, capped), (NLM_F_ACK_TLVS, whole)] {
        let datagram = message(NLMSG_ERROR, flags, 9, &payload);
        let reply = messages(&datagram).next().and_then(|message| {
            let reply = parse_reply(&message)?;
            Some((reply.errno, reply.sentence?.to_vec()))
        });
        assert_eq!(reply, Some((101, b"Nexthop has invalid gateway.".to_vec())));
    }
}

#[test]
fn an_acknowledgement_is_errno_0() {
    let datagram = message(NLMSG_ERROR, NLM_F_CAPPED, 9, &[0; 20]);
    let reply = messages(&datagram).next().and_then(|message| parse_reply(&message).map(|reply| reply.errno));
    assert_eq!(reply, Some(0));
}

#[test]
fn a_gateway_of_the_other_family_is_read() {
    let via = [&10u16.to_ne_bytes()[..], &v6("fe80::1")].concat();
    let header = [2, 24, 0, 0, 254, 77, 0, 1, 0, 0, 0, 0];
    let payload = [&header[..], &attribute(RTA_DST, &[10, 1, 2, 0]), &attribute(RTA_VIA, &via)].concat();
    let found = routes_of(&message(RTM_NEWROUTE, 0, 1, &payload));
    assert_eq!(found[0].gateway, Some(Gateway { family: Family::V6, address: v6("fe80::1") }));
}

#[test]
fn cached_copies_and_other_families_are_no_routes() {
    let cloned = RTM_F_CLONED.to_ne_bytes();
    let head = |family: u8| [&[family, 24, 0, 0, 254, 77, 0, 1][..], &cloned].concat();
    assert!(routes_of(&message(RTM_NEWROUTE, 0, 1, &head(2))).is_empty());
    let mpls = [28, 20, 0, 0, 254, 77, 0, 1, 0, 0, 0, 0];
    assert!(routes_of(&message(RTM_NEWROUTE, 0, 1, &mpls)).is_empty());
    let too_long = [2, 33, 0, 0, 254, 77, 0, 1, 0, 0, 0, 0];
    assert!(routes_of(&message(RTM_NEWROUTE, 0, 1, &too_long)).is_empty());
}

#[test]
fn a_route_with_a_short_address_is_skipped_whole() {
    let header = [2, 24, 0, 0, 254, 77, 0, 1, 0, 0, 0, 0];
    let payload = [&header[..], &attribute(RTA_DST, &[10, 1, 2])].concat();
    assert!(routes_of(&message(RTM_NEWROUTE, 0, 1, &payload)).is_empty());
}

#[test]
fn a_million_random_and_mutated_datagrams_do_no_harm() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let multipath = {
        let hop = [&[0u8, 0, 16, 0, 7, 0, 0, 0][..], &attribute(RTA_GATEWAY, &v6("fd00::9"))].concat();
        let hop = [&(hop.len() as u16).to_ne_bytes()[..], &hop[2..]].concat();
        let header = [10, 64, 0, 0, 254, 77, 0, 1, 0, 0, 0, 0];
        let hops = attribute(RTA_MULTIPATH, &[&hop[..], &hop].concat());
        message(RTM_NEWROUTE, 0, 1, &[&header[..], &attribute(RTA_DST, &v6("fd01::")), &hops].concat())
    };
    assert_eq!(routes_of(&multipath).len(), 2);
    assert!(routes_of(&multipath).iter().all(|route| route.link_down && route.device == 7));
    let mut good = multipath;
    for (prefix, gateway) in [("10.1.2.0", "10.0.0.9"), ("fd01:2::", "fd00::9")] {
        encode_op(&mut good, &op(Kind::Add, &route(prefix, gateway, 7)), 3, true);
    }
    let sentence = attribute(NLMSGERR_ATTR_MSG, b"No.\0");
    good.extend(message(NLMSG_ERROR, NLM_F_ACK_TLVS, 9, &[&[0xff; 20][..], &sentence].concat()));
    for round in 0..1_000_000 {
        let mut datagram = good.clone();
        if round % 4 == 0 {
            datagram.truncate(random.below(good.len()));
            datagram.iter_mut().for_each(|byte| *byte = random.next() as u8);
            if round % 8 == 0 && datagram.len() >= 8 {
                // A believable header, so that the payload is reached.
                let length = datagram.len() as u32;
                datagram[..4].copy_from_slice(&length.to_ne_bytes());
                datagram[4..6].copy_from_slice(&[RTM_NEWROUTE as u8, 0]);
            }
        } else {
            for _ in 0..=random.below(4) {
                let at = random.below(datagram.len());
                datagram[at] = random.next() as u8;
            }
        }
        walk(&datagram);
    }
}

#[test]
fn records_read_back_as_what_was_written() {
    let mut random = Random(7);
    for _ in 0..10_000 {
        let family = if random.next() & 1 == 0 { Family::V4 } else { Family::V6 };
        let mut some = |family: Family| {
            let mut address = [0; 16];
            address[..family.bytes()].iter_mut().for_each(|byte| *byte = random.next() as u8);
            address
        };
        let (prefix, gateway, source) = (some(family), some(Family::V6), some(family));
        let bits = random.next();
        let wanted = Route {
            family,
            length: random.below(129) as u8,
            protocol: random.next() as u8,
            kind: random.next() as u8,
            tos: random.next() as u8,
            link_down: bits & 1 == 0,
            more: bits & 8 == 0,
            table: random.next() as u32,
            metric: random.next() as u32,
            device: random.next() as u32,
            prefix,
            gateway: (bits & 2 == 0).then_some(Gateway { family: Family::V6, address: gateway }),
            source: (bits & 4 == 0).then_some(source),
        };
        let mut record = Vec::new();
        write_route(&mut record, &wanted);
        assert_eq!(read_route(record.first_chunk().unwrap()), Some(wanted));
    }
}

#[test]
fn a_batch_names_the_record_that_is_no_operation() {
    let mut bytes = Vec::new();
    for index in 0..3 {
        let mut wanted = route("10.1.2.0", "10.0.0.9", 7);
        wanted.kind = [1, 3, 9][index];
        write_route(&mut bytes, &wanted);
    }
    assert_eq!(read_ops(&bytes), Err(2));
    assert_eq!(read_ops(&bytes[..RECORD * 2]).map(|ops| ops.len()), Ok(2));
    assert_eq!(read_ops(&bytes[..RECORD + 1]), Err(1));
    let mut incomplete = route("10.1.2.0", "10.0.0.9", 0);
    let mut record = Vec::new();
    write_route(&mut record, &incomplete);
    assert_eq!(read_ops(&record), Err(0), "without a device");
    incomplete.device = 7;
    incomplete.gateway = None;
    record.clear();
    write_route(&mut record, &incomplete);
    assert_eq!(read_ops(&record), Err(0), "without a gateway");
    let whole = route("10.1.2.0", "10.0.0.9", 7);
    for (bad, what) in [
        (Route { protocol: 0, ..whole.clone() }, "of any owner"),
        (Route { table: 0, ..whole.clone() }, "of no table"),
        (Route { length: 33, ..whole.clone() }, "longer than an address"),
        (Route { length: 22, ..whole.clone() }, "with host bits"),
        (Route { prefix: v6("fd01::1"), ..route("fd01::", "fd00::9", 7) }, "with IPv6 host bits"),
    ] {
        for kind in [1, 2, 3] {
            record.clear();
            write_route(&mut record, &Route { kind, ..bad.clone() });
            assert_eq!(read_ops(&record), Err(0), "{what}");
        }
    }
}

#[test]
fn a_filter_holds_its_protocol_anywhere_and_everybody_inside_its_prefixes() {
    let filter = filter(&[("10.100.0.0", 16), ("fd01::", 32)]);
    let mut other = route("10.100.255.0", "10.0.0.9", 7);
    other.protocol = 3;
    assert!(filter.matches(&other));
    other.table = 100;
    assert!(!filter.matches(&other), "another table");
    other = route("10.101.0.0", "10.0.0.9", 7);
    assert!(filter.matches(&other), "our protocol");
    other.protocol = 3;
    assert!(!filter.matches(&other), "outside");
    other = route("10.100.0.0", "10.0.0.9", 7);
    (other.protocol, other.length) = (3, 15);
    assert!(!filter.matches(&other), "larger than the prefix");
    other = route("fd01::", "fd00::9", 7);
    other.protocol = 3;
    assert!(filter.matches(&other));
}

/// The same files are what src/route/native/records.ts is tested against.
fn golden(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|char| char.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn a_batch_and_a_filter_read_as_the_typescript_side_packs_them() {
    let ops = read_ops(&golden(include_str!("../golden/ops.hex"))).unwrap();
    let first = Route {
        length: 24,
        protocol: 77,
        kind: 1,
        table: 0x090a_0b0c,
        metric: 0x0506_0708,
        device: 0x0102_0304,
        source: Some(v4("10.10.10.104")),
        ..route("10.100.20.0", "10.10.10.101", 0)
    };
    let second = Route {
        length: 48,
        protocol: 255,
        metric: u32::MAX,
        device: 7,
        ..route("fd01:203:405::", "fe80::1:2", 0)
    };
    assert_eq!(ops, [op(Kind::Delete, &first), op(Kind::Append, &second)]);
    let read = crate::record::Filter::read(&golden(include_str!("../golden/filter.hex")));
    let mut wanted = filter(&[("10.100.0.0", 16), ("fd01:200::", 24)]);
    wanted.table = 0x090a_0b0c;
    assert_eq!(read, Some(wanted));
}
