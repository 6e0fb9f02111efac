//! Bytes: encodes rtnetlink requests in place and reads what the kernel answers. No system call.
//! Every reader survives any bytes: what is cut short or makes no sense ends the walk or is skipped.
//! Numbers of the kernel's headers: include/uapi/linux/netlink.h and rtnetlink.h.

use crate::record::{Family, Kind, Op, Route};

mod routes;
pub use routes::parse_routes;

pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_DELLINK: u16 = 17;
pub const RTM_NEWADDR: u16 = 20;
pub const RTM_DELADDR: u16 = 21;
pub const RTM_NEWROUTE: u16 = 24;
pub const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;

pub const NLM_F_REQUEST: u16 = 0x1;
pub const NLM_F_ACK: u16 = 0x4;
pub const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
pub const NLM_F_DUMP: u16 = 0x300;
pub const NLM_F_EXCL: u16 = 0x200;
pub const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// The two top bits of an attribute's type are NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_NOWHERE: u8 = 255;
const RTN_UNICAST: u8 = 1;
const RTM_F_CLONED: u32 = 0x200;
/// The lengths of struct nlmsghdr, rtmsg and nlmsgerr.
const HEADER: usize = 16;
const RTMSG: usize = 12;
const NLMSGERR: usize = 20;

pub fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Appends the request of one operation; only the last of a send asks for an acknowledgement.
pub fn encode_op(out: &mut Vec<u8>, op: &Op, seq: u32, ack: bool) {
    let (kind, mode) = match op.kind {
        Kind::Add => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL),
        Kind::Append => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND),
        Kind::Delete => (RTM_DELROUTE, 0),
    };
    let ack = if ack { NLM_F_ACK } else { 0 };
    let start = begin(out, kind, NLM_F_REQUEST | mode | ack, seq);
    let route = &op.route;
    let size = route.family.bytes();
    // A scope of "nowhere" lets a delete match any scope; type unicast keeps it from other kinds.
    let scope = if op.kind == Kind::Delete { RT_SCOPE_NOWHERE } else { RT_SCOPE_UNIVERSE };
    put_rtmsg(out, route.family, route.length, route.table, route.protocol, scope, RTN_UNICAST);
    put_bytes(out, RTA_DST, &route.prefix[..size]);
    if let Some(gateway) = &route.gateway {
        // RTA_GATEWAY has the prefix's own family; the record reader refuses any other in an operation.
        put_bytes(out, RTA_GATEWAY, &gateway.address[..size]);
    }
    if let Some(source) = &route.source {
        put_bytes(out, RTA_PREFSRC, &source[..size]);
    }
    put_bytes(out, RTA_OIF, &route.device.to_ne_bytes());
    put_bytes(out, RTA_PRIORITY, &metric_of(route).to_ne_bytes());
    // rtm_table has 8 bits; where they hold the number, the attribute would say the same again.
    if route.table > 255 {
        put_bytes(out, RTA_TABLE, &route.table.to_ne_bytes());
    }
    finish(out, start);
}

/// IPv6 stores metric 0 as 1024 (IP6_RT_PRIO_USER), but a delete with 0 would match any metric.
fn metric_of(route: &Route) -> u32 {
    match (route.family, route.metric) {
        (Family::V6, 0) => 1024,
        (_, metric) => metric,
    }
}

/// A strict dump request (NETLINK_GET_STRICT_CHK): the kernel filters by table and, unless 0, by protocol.
pub fn encode_dump(family: Family, table: u32, protocol: u8, seq: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let start = begin(&mut out, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, seq);
    put_rtmsg(&mut out, family, 0, table, protocol, 0, 0);
    put_bytes(&mut out, RTA_TABLE, &table.to_ne_bytes());
    finish(&mut out, start);
    out
}

pub fn begin(out: &mut Vec<u8>, kind: u16, flags: u16, seq: u32) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&seq.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    start
}

pub fn finish(out: &mut [u8], start: usize) {
    // A message of ours is below 200 bytes.
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

fn put_rtmsg(out: &mut Vec<u8>, family: Family, length: u8, table: u32, protocol: u8, scope: u8, kind: u8) {
    // rtm_table has 8 bits; RTA_TABLE carries the number, and wins where both are there.
    let table = u8::try_from(table).unwrap_or(0);
    out.extend_from_slice(&[family.number(), length, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]);
}

/// Every payload of ours is a multiple of four bytes: no padding.
pub fn put_bytes(out: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    out.extend_from_slice(&((payload.len() + 4) as u16).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(payload);
}

/// One netlink message of a datagram.
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    /// In an event the port of the socket that asked for the change; 0 for the kernel's own doing.
    pub port: u32,
    pub payload: &'a [u8],
}

/// The messages of a datagram, up to the first that cannot be one.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let message = Message {
            kind: u16_at(rest, 4)?,
            flags: u16_at(rest, 6)?,
            seq: u32_at(rest, 8)?,
            port: u32_at(rest, 12)?,
            payload: rest.get(HEADER..length)?,
        };
        rest = rest.get(align(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes of a payload, type and value, up to the first that cannot be one.
pub fn attributes(payload: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE;
        let value = rest.get(4..length)?;
        rest = rest.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// What the kernel answered to a request: errno 0 for an acknowledgement, else positive, with its own sentence if any.
pub struct Reply<'a> {
    pub errno: i32,
    pub sentence: Option<&'a [u8]>,
}

/// Reads an NLMSG_ERROR; none for any other message.
pub fn parse_reply<'a>(message: &Message<'a>) -> Option<Reply<'a>> {
    if message.kind != NLMSG_ERROR {
        return None;
    }
    let errno = negated(u32_at(message.payload, 0)?);
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return Some(Reply { errno, sentence: None });
    }
    // Without NETLINK_CAP_ACK an error repeats the whole request before its attributes.
    let request = match message.flags & NLM_F_CAPPED {
        0 if errno != 0 => align(u32_at(message.payload, 4)? as usize).max(HEADER) - HEADER,
        _ => 0,
    };
    let extra = message.payload.get(NLMSGERR.saturating_add(request)..).unwrap_or_default();
    Some(Reply { errno, sentence: sentence_of(extra) })
}

/// The errno and sentence inside NLMSG_DONE: a strict dump reports its errors there, 0 is a clean end.
pub fn parse_done<'a>(message: &Message<'a>) -> Reply<'a> {
    let errno = u32_at(message.payload, 0).map_or(0, negated);
    let extra = match message.flags & NLM_F_ACK_TLVS {
        0 => &[],
        _ => message.payload.get(4..).unwrap_or_default(),
    };
    Reply { errno, sentence: sentence_of(extra) }
}

fn negated(value: u32) -> i32 {
    (value as i32).saturating_neg()
}

fn sentence_of(extra: &[u8]) -> Option<&[u8]> {
    let (_, text) = attributes(extra).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?;
    Some(text.strip_suffix(&[0]).unwrap_or(text))
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
