//! The routes inside the kernel's messages, and whether they say more than a record can.

use super::{
    Message, RT_SCOPE_UNIVERSE, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY,
    RTA_TABLE, RTA_VIA, RTM_DELROUTE, RTM_F_CLONED, RTM_NEWROUTE, RTMSG, align, attributes, u16_at, u32_at,
};
use crate::record::{Family, Gateway, Route};

const RTA_METRICS: u16 = 8;
const RTA_CACHEINFO: u16 = 12;
const RTA_PREF: u16 = 20;
const RTA_NH_ID: u16 = 30;
const RTNH_F_LINKDOWN: u32 = 16;
/// What the kernel says of the moment and nobody configured: dead, offload, linkdown, trap; then RTM_F_OFFLOAD,
/// RTM_F_TRAP and RTM_F_OFFLOAD_FAILED.
const FLAGS_OF_THE_MOMENT: u32 = 1 | 8 | RTNH_F_LINKDOWN | 64 | 0x4000 | 0x8000 | 0x2000_0000;
/// The length of struct rtnexthop.
const NEXTHOP: usize = 8;

/// The routes of an RTM_NEWROUTE or RTM_DELROUTE: one, or one per next hop where IPv6 packed siblings into one message.
pub fn parse_routes(message: &Message<'_>, mut found: impl FnMut(&Route)) {
    let Some(Found { route, hops, object }) = parse_route(message) else { return };
    // IPv6 siblings are routes of their own that a dump merges (rt6_fill_node), and each is deleted by its own gateway.
    // An IPv4 multipath route is one thing: no gateway of it stands for the whole.
    let hops = match route.family {
        Family::V6 => hops,
        Family::V4 => None,
    };
    let Some(mut rest) = hops else { return found(&route) };
    let mut more = route.more;
    while let Some(length) = u16_at(rest, 0).map(usize::from) {
        let Some(attrs) = rest.get(NEXTHOP..length) else { return };
        let mut sibling = route.clone();
        sibling.link_down = u32::from(rest[2]) & RTNH_F_LINKDOWN != 0;
        sibling.device = u32_at(rest, 4).unwrap_or(0);
        sibling.gateway = None;
        // The last byte before the index is the weight less one, which a dump shows of plain siblings as 0.
        sibling.more = more || rest[3] != 0 || u32::from(rest[2]) & !FLAGS_OF_THE_MOMENT != 0;
        for (kind, value) in attributes(attrs) {
            match kind {
                RTA_GATEWAY | RTA_VIA => sibling.gateway = gateway_of(kind, value, Family::V6),
                _ => sibling.more = true,
            }
        }
        found(&sibling);
        // Metrics and the like are those of the first sibling; a nexthop object is of all.
        more = object;
        rest = rest.get(align(length)..).unwrap_or_default();
    }
}

/// One message's route, its RTA_MULTIPATH, and whether it refers to a nexthop object.
struct Found<'a> {
    route: Route,
    hops: Option<&'a [u8]>,
    object: bool,
}

fn parse_route<'a>(message: &Message<'a>) -> Option<Found<'a>> {
    if message.kind != RTM_NEWROUTE && message.kind != RTM_DELROUTE {
        return None;
    }
    let header: &[u8; RTMSG] = message.payload.first_chunk()?;
    let family = Family::of_number(header[0])?;
    let flags = u32_at(header, 8)?;
    // Cached copies (IPv4 exceptions, IPv6 clones) are not routes that anybody configured.
    if flags & RTM_F_CLONED != 0 || header[1] > family.bits() {
        return None;
    }
    let mut route = Route {
        family,
        length: header[1],
        tos: header[3],
        table: u32::from(header[4]),
        protocol: header[5],
        kind: header[7],
        link_down: flags & RTNH_F_LINKDOWN != 0,
        more: flags & !FLAGS_OF_THE_MOMENT != 0 || header[2] != 0 || header[6] != RT_SCOPE_UNIVERSE,
        ..Route::default()
    };
    let mut hops = None;
    let mut object = false;
    for (kind, value) in attributes(message.payload.get(RTMSG..)?) {
        match kind {
            RTA_DST => route.prefix = family.address(value)?,
            RTA_PREFSRC => route.source = Some(family.address(value)?),
            RTA_GATEWAY | RTA_VIA => route.gateway = gateway_of(kind, value, family),
            RTA_OIF => route.device = u32_at(value, 0)?,
            RTA_PRIORITY => route.metric = u32_at(value, 0)?,
            RTA_TABLE => route.table = u32_at(value, 0)?,
            RTA_MULTIPATH => hops = Some(value),
            _ => {
                object |= kind == RTA_NH_ID;
                route.more |= !is_usual(kind, value);
            }
        }
    }
    Some(Found { route, hops, object })
}

/// Whether an attribute that no operation writes says nothing of interest, as the kernel puts it into plain routes too.
fn is_usual(kind: u16, value: &[u8]) -> bool {
    match kind {
        RTA_METRICS => value.is_empty(),
        // struct rta_cacheinfo: rta_expires and rta_error. The rest counts uses.
        RTA_CACHEINFO => value.get(8..16) == Some(&[0; 8]),
        // ICMPV6_ROUTER_PREF_MEDIUM.
        RTA_PREF => value == [0],
        _ => false,
    }
}

/// RTA_GATEWAY holds an address of the route's family, RTA_VIA one of another: a 16-bit family, then the address.
fn gateway_of(kind: u16, value: &[u8], family: Family) -> Option<Gateway> {
    let (family, bytes) = match kind {
        RTA_GATEWAY => (family, value),
        RTA_VIA => (Family::of_number(u8::try_from(u16_at(value, 0)?).ok()?)?, value.get(2..)?),
        _ => return None,
    };
    Some(Gateway { family, address: family.address(bytes)? })
}
