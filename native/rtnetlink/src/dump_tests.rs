#![allow(clippy::unwrap_used)]
use super::*;
use crate::record::Gateway;
use crate::testing::{PROTOCOL, filter, in_namespace, ip, route, until, v4, v6};

fn dumped(filter: &Filter) -> Vec<Route> {
    dump(filter, |route, found| found.push(route.clone())).unwrap()
}

#[test]
fn ours_are_found_anywhere_and_others_only_inside_the_prefixes() {
    in_namespace(|device| {
        for line in [
            "route add 172.16.1.0/24 via 10.0.0.9 dev v0 proto 77",
            "route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto boot",
            "route add 10.101.1.0/24 via 10.0.0.9 dev v0 proto boot",
            "route add 172.16.2.0/24 via 10.0.0.9 dev v0 proto 77 table 100",
            "route add fd01:1::/64 via fd00::9 dev v0 proto 77",
            "route add fd02:1::/64 via fd00::9 dev v0 proto boot",
            "route add blackhole 10.100.2.0/24 tos 4 metric 9",
        ] {
            ip(line);
        }
        let boot = Route { protocol: 3, ..route("10.100.1.0", "10.0.0.9", device) };
        let hole = Route {
            kind: 6,
            protocol: 3,
            tos: 4,
            metric: 9,
            device: 0,
            gateway: None,
            ..route("10.100.2.0", "10.0.0.9", 0)
        };
        let ours = route("172.16.1.0", "10.0.0.9", device);
        let ours_v6 = route("fd01:1::", "fd00::9", device);
        assert_eq!(dumped(&filter(&[])), [ours.clone(), ours_v6.clone()]);
        assert_eq!(dumped(&filter(&[("10.100.0.0", 16)])), [boot, hole, ours, ours_v6]);
        let wide = dumped(&filter(&[("::", 0)]));
        assert!(wide.iter().any(|route| route.prefix == v6("fd02:1::") && route.protocol == 3));
        assert!(
            wide.iter().any(|route| route.prefix == v6("fd00::") && route.gateway.is_none()),
            "connected"
        );
    });
}

#[test]
fn a_table_that_does_not_exist_holds_no_routes_and_large_table_numbers_work() {
    in_namespace(|device| {
        let far = Filter { table: 70_000, ..filter(&[("0.0.0.0", 0), ("::", 0)]) };
        assert_eq!(dumped(&far), []);
        ip("route add 172.16.1.0/24 via 10.0.0.9 dev v0 proto 77 table 70000");
        assert_eq!(dumped(&far), [Route { table: 70_000, ..route("172.16.1.0", "10.0.0.9", device) }]);
    });
}

#[test]
fn an_ipv4_multipath_route_has_no_gateway_and_ipv6_siblings_are_routes_of_their_own() {
    in_namespace(|device| {
        ip("route add 10.100.1.0/24 proto 77 nexthop via 10.0.0.8 dev v0 nexthop via 10.0.0.9 dev v0");
        ip("route add fd01:1::/64 via fd00::8 dev v0 proto 77");
        ip("route append fd01:1::/64 via fd00::9 dev v0 proto 77");
        let many = Route { gateway: None, device: 0, ..route("10.100.1.0", "10.0.0.9", 0) };
        let one = |gateway| route("fd01:1::", gateway, device);
        assert_eq!(dumped(&filter(&[])), [many, one("fd00::8"), one("fd00::9")]);
    });
}

#[test]
fn lost_carrier_source_addresses_and_foreign_gateways_are_seen() {
    in_namespace(|device| {
        ip("route add 10.100.1.0/24 via 10.0.0.9 dev v0 proto 77 src 10.0.0.1");
        ip("route add 10.100.2.0/24 via inet6 fd00::9 dev v0 proto 77");
        ip("link set v1 down");
        // The kernel notes a lost carrier in a work queue, in its own time.
        until("the carrier is lost", || dumped(&filter(&[])).iter().all(|route| route.link_down));
        let found = dumped(&filter(&[]));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|route| route.device == device && route.protocol == PROTOCOL));
        assert_eq!(found[0].source, Some(v4("10.0.0.1")));
        assert_eq!(found[1].gateway, Some(Gateway { family: Family::V6, address: v6("fd00::9") }));
    });
}

#[test]
fn what_no_operation_names_is_told_of_a_route_and_of_every_sibling_that_it_is_known_of() {
    in_namespace(|_| {
        ip("nexthop add id 7 via 10.0.0.9 dev v0");
        ip("nexthop add id 8 via fd00::9 dev v0");
        for line in [
            "10.100.1.0/24 via 10.0.0.9 dev v0 mtu lock 1400",
            "10.100.2.0/24 via 10.0.0.9 dev v0 onlink",
            "10.100.3.0/24 via 10.0.0.9 dev v0 scope site",
            "10.100.4.0/24 nhid 7",
            "fd01:1::/64 via fd00::9 dev v0 expires 600",
            "fd01:2::/64 via fd00::9 dev v0 pref high",
            "fd01:3::/64 from fd00::/64 via fd00::9 dev v0",
            "fd01:4::/64 nhid 8",
            "fd01:5::/64 via fd00::9 dev v0 advmss 1300",
        ] {
            ip(&format!("route add proto 77 {line}"));
        }
        let found = dumped(&filter(&[]));
        assert_eq!(found.len(), 9);
        found.iter().for_each(|route| assert!(route.more, "{route:?}"));
        for line in [
            "add fd02:1::/64 proto 77 nexthop via fd00::8 dev v0 weight 3 nexthop via fd00::9 dev v0",
            "add fd02:2::/64 proto 77 via fd00::8 dev v0 mtu 1400",
            "append fd02:2::/64 proto 77 via fd00::9 dev v0",
        ] {
            ip(&format!("route {line}"));
        }
        let siblings: Vec<_> = dumped(&filter(&[]))[9..].iter().map(|route| route.more).collect();
        assert_eq!(siblings, [true, false, true, false]);
    });
}

#[test]
fn a_dump_during_changes_is_complete_for_what_does_not_change() {
    in_namespace(|_| {
        let mut batch = String::new();
        for number in 0..2000 {
            batch += &format!(
                "route add 172.{}.{}.0/24 via 10.0.0.9 dev v0 proto 77 metric {}\n",
                16 + number / 256,
                number % 256,
                number % 64
            );
        }
        let path = std::env::temp_dir().join(format!("hostgw-dump-{}", std::process::id()));
        std::fs::write(&path, batch).unwrap();
        ip(&format!("-batch {}", path.display()));
        std::fs::remove_file(&path).unwrap();
        // A child inherits this thread's namespace, and changes a route all the while.
        let script = "while :; do ip route add 10.200.0.0/24 via 10.0.0.9 dev v0 proto 77; ip route del 10.200.0.0/24; done";
        let mut changer = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        for _ in 0..50 {
            let found = dumped(&filter(&[]));
            assert!((2000..=2001).contains(&found.len()), "{}", found.len());
        }
        changer.kill().unwrap();
        changer.wait().unwrap();
    });
}
