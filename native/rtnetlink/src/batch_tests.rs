#![allow(clippy::unwrap_used)]
use super::*;
use crate::record::{Kind, Route};
use crate::testing::{filter, in_namespace, ip, op, route};

fn dumped() -> Vec<Route> {
    crate::dump::dump(&filter(&[]), |route, found| found.push(route.clone())).unwrap()
}

fn done(outcome: Outcome) -> Vec<(usize, i32, Option<String>)> {
    match outcome {
        Outcome::Complete { failures, sentences } => failures
            .iter()
            .map(|failure| {
                (failure.index, failure.errno, failure.sentence.map(|number| sentences[number].clone()))
            })
            .collect(),
        Outcome::Unknown { reason } => panic!("unknown: {reason}"),
    }
}

fn many(device: u32, count: u32) -> Vec<Route> {
    (0..count)
        .map(|number| {
            let prefix = format!("172.{}.{}.0", 16 + number / 256, number % 256);
            let mut wanted = route(&prefix, "10.0.0.9", device);
            wanted.metric = number % 64;
            wanted
        })
        .collect()
}

fn ops(kind: Kind, routes: &[Route]) -> Vec<Op> {
    routes.iter().map(|route| op(kind, route)).collect()
}

#[test]
fn batches_of_every_size_about_a_send_are_done_whole() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        for count in [0, 1, 255, 256, 257, 512, 1000] {
            let routes = many(device, count);
            assert_eq!(done(batches.apply(&ops(Kind::Add, &routes)).unwrap()), []);
            assert_eq!(dumped().len(), count as usize);
            let again = done(batches.apply(&ops(Kind::Add, &routes)).unwrap());
            assert!(again.iter().map(|failure| failure.1).all(|errno| errno == libc::EEXIST));
            assert!(again.iter().map(|failure| failure.0).eq(0..count as usize), "each one, in order");
            assert_eq!(done(batches.apply(&ops(Kind::Delete, &routes)).unwrap()), []);
            assert_eq!(dumped(), []);
        }
    });
}

#[test]
fn sequence_numbers_may_wrap_inside_a_batch() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        batches.seq = u32::MAX - 5;
        let routes = many(device, 20);
        assert_eq!(done(batches.apply(&ops(Kind::Add, &routes)).unwrap()), []);
        batches.seq = u32::MAX - 5;
        assert_eq!(done(batches.apply(&ops(Kind::Add, &routes)).unwrap()).len(), 20);
    });
}

#[test]
fn a_failure_carries_its_index_and_the_kernels_sentence_and_stops_nothing() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        let good = route("172.16.1.0", "10.0.0.9", device);
        let off_link = route("172.16.2.0", "192.0.2.1", device);
        let last = route("172.16.3.0", "10.0.0.9", device);
        let batch =
            [op(Kind::Add, &good), op(Kind::Add, &off_link), op(Kind::Add, &off_link), op(Kind::Add, &last)];
        let outcome = batches.apply(&batch).unwrap();
        let sentence = Some("Nexthop has invalid gateway".to_owned());
        assert!(
            matches!(&outcome, Outcome::Complete { sentences, .. } if sentences.len() == 1),
            "each sentence once"
        );
        assert_eq!(
            done(outcome),
            [(1, libc::ENETUNREACH, sentence.clone()), (2, libc::ENETUNREACH, sentence)]
        );
        assert_eq!(dumped().len(), 2);
    });
}

#[test]
fn a_delete_takes_only_what_matches_in_everything() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        ip("route add 172.16.1.0/24 via 10.0.0.9 dev v0 proto boot");
        ip("route add 172.16.1.0/24 via 10.0.0.8 dev v0 proto 77 metric 5");
        let ours = route("172.16.1.0", "10.0.0.8", device);
        for wrong in [
            Route { protocol: 78, metric: 5, ..ours.clone() },
            Route { metric: 6, ..ours.clone() },
            Route { gateway: route("172.16.1.0", "10.0.0.7", device).gateway, metric: 5, ..ours.clone() },
            Route { device: 1, metric: 5, ..ours.clone() },
            Route { table: 100, metric: 5, ..ours.clone() },
            Route { length: 25, metric: 5, ..ours.clone() },
        ] {
            let failures = done(batches.apply(&[op(Kind::Delete, &wrong)]).unwrap());
            assert_eq!(failures.first().map(|failure| failure.1), Some(libc::ESRCH), "{wrong:?}");
        }
        let exact = Route { metric: 5, ..ours };
        assert_eq!(done(batches.apply(&[op(Kind::Delete, &exact)]).unwrap()), []);
        assert!(ip("route show 172.16.1.0/24").contains("via 10.0.0.9"), "the rival's stays");
    });
}

#[test]
fn an_appended_route_comes_after_a_rivals_and_leaves_it_alone() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        ip("route add 172.16.1.0/24 via 10.0.0.9 dev v0 proto boot");
        let ours = route("172.16.1.0", "10.0.0.8", device);
        assert_eq!(done(batches.apply(&[op(Kind::Append, &ours)]).unwrap()), []);
        let shown = ip("route show 172.16.1.0/24");
        let lines: Vec<_> = shown.lines().map(|line| line.split(' ').nth(2)).collect();
        assert_eq!(lines, [Some("10.0.0.9"), Some("10.0.0.8")]);
    });
}

#[test]
fn ipv6_routes_are_added_and_deleted() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        let wanted = route("fd01:1::", "fd00::9", device);
        assert_eq!(done(batches.apply(&[op(Kind::Add, &wanted)]).unwrap()), []);
        assert_eq!(dumped(), std::slice::from_ref(&wanted));
        let zero = Route { metric: 0, ..wanted };
        assert_eq!(done(batches.apply(&[op(Kind::Delete, &zero)]).unwrap()), []);
        assert_eq!(dumped(), []);
    });
}

#[test]
fn lost_answers_make_the_outcome_unknown_and_the_next_batch_is_good_again() {
    in_namespace(|device| {
        let mut batches = Batches::open().unwrap();
        let routes = many(device, 256);
        assert_eq!(done(batches.apply(&ops(Kind::Add, &routes)).unwrap()), []);
        // A buffer that holds a few answers only: 256 failures overflow it.
        batches.socket.as_ref().unwrap().shrink();
        let outcome = batches.apply(&ops(Kind::Add, &routes)).unwrap();
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        assert_eq!(done(batches.apply(&ops(Kind::Add, &routes)).unwrap()).len(), 256);
    });
}
