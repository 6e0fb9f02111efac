//! Routes, operations and filters as values, and the packed records in which they cross from and to JavaScript.
//!
//! One record is 68 bytes, little-endian, addresses in network order; src/route/native/records.ts is the other side.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | operation: 1 add, 2 append, 3 delete. In a dump: the route's type (RTN_*) |
//! | 1 | 1 | flags: 1 prefix is IPv6, 2 has a gateway, 4 gateway is IPv6, 8 has a source, 16 link down,
//! | | | 32 more than this record can say (`Route::more`) |
//! | 2 | 1 | prefix length |
//! | 3 | 1 | protocol |
//! | 4 | 1 | tos |
//! | 5 | 3 | zero |
//! | 8 | 4 | table |
//! | 12 | 4 | metric |
//! | 16 | 4 | interface index, 0 for none |
//! | 20 | 16 | prefix address; IPv4 in the first 4 bytes |
//! | 36 | 16 | gateway |
//! | 52 | 16 | source |
//!
//! A filter is 8 bytes, table (4), protocol (1), zero (3), and then 20 for each prefix: flags (1, as above),
//! length (1), zero (2), address (16).

/// Changes with the layouts above or with the addon's functions; the loader refuses another number.
pub const ABI: u32 = 4;
/// Bytes of one record.
pub const RECORD: usize = 68;
const FILTER: usize = 8;
const FILTER_PREFIX: usize = 20;

pub(crate) const FLAG_V6: u8 = 1;
const FLAG_GATEWAY: u8 = 2;
const FLAG_GATEWAY_V6: u8 = 4;
const FLAG_SOURCE: u8 = 8;
const FLAG_LINK_DOWN: u8 = 16;
const FLAG_MORE: u8 = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    #[default]
    V4,
    V6,
}

impl Family {
    pub fn bytes(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// AF_INET or AF_INET6.
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    pub fn of_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V4),
            10 => Some(Self::V6),
            _ => None,
        }
    }

    /// The address in the first bytes of `value`.
    pub fn address(self, value: &[u8]) -> Option<[u8; 16]> {
        let mut address = [0; 16];
        address[..self.bytes()].copy_from_slice(value.get(..self.bytes())?);
        Some(address)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub family: Family,
    pub address: [u8; 16],
}

/// A route as the kernel shows it, or as an operation writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    pub family: Family,
    pub length: u8,
    pub protocol: u8,
    /// RTN_*.
    pub kind: u8,
    pub tos: u8,
    pub link_down: bool,
    /// In a dump: it carries what no operation names, such as an mtu, an encapsulation, a nexthop object.
    pub more: bool,
    pub table: u32,
    pub metric: u32,
    pub device: u32,
    pub prefix: [u8; 16],
    pub gateway: Option<Gateway>,
    pub source: Option<[u8; 16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Add,
    Append,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub kind: Kind,
    pub route: Route,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub family: Family,
    pub length: u8,
    pub address: [u8; 16],
}

impl Prefix {
    /// Whether the route's whole prefix lies inside this one.
    pub fn contains(&self, route: &Route) -> bool {
        if route.family != self.family || route.length < self.length {
            return false;
        }
        let difference = u128::from_be_bytes(self.address) ^ u128::from_be_bytes(route.prefix);
        self.length == 0 || difference >> (128 - u32::from(self.length)) == 0
    }
}

/// Which routes matter: those of `protocol` anywhere in `table`, and of any owner inside `within`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub table: u32,
    pub protocol: u8,
    pub within: Vec<Prefix>,
}

impl Filter {
    pub fn matches(&self, route: &Route) -> bool {
        route.table == self.table
            && (route.protocol == self.protocol || self.within.iter().any(|outer| outer.contains(route)))
    }

    /// Reads a filter; none if the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (head, prefixes) = bytes.split_at_checked(FILTER)?;
        let (prefixes, rest) = prefixes.as_chunks::<FILTER_PREFIX>();
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            table: u32_le(head, 0),
            protocol: head[4],
            within: prefixes.iter().map(read_prefix).collect::<Option<_>>()?,
        })
    }
}

fn read_prefix(bytes: &[u8; FILTER_PREFIX]) -> Option<Prefix> {
    let family = if bytes[0] & FLAG_V6 == 0 { Family::V4 } else { Family::V6 };
    let length = bytes[1];
    (length <= family.bits()).then_some(())?;
    Some(Prefix { family, length, address: family.address(&bytes[4..])? })
}

/// Reads a batch of operations; the error is the index of the first record that is none.
pub fn read_ops(bytes: &[u8]) -> Result<Vec<Op>, usize> {
    read_records(bytes, read_op)
}

/// Reads records of `SIZE` bytes; the error is the index of the first that `read` refuses, or that is cut short.
pub(crate) fn read_records<const SIZE: usize, T>(
    bytes: &[u8],
    read: impl Fn(&[u8; SIZE]) -> Option<T>,
) -> Result<Vec<T>, usize> {
    let (records, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        return Err(records.len());
    }
    records.iter().enumerate().map(|(index, record)| read(record).ok_or(index)).collect()
}

fn read_op(record: &[u8; RECORD]) -> Option<Op> {
    let kind = match record[0] {
        1 => Kind::Add,
        2 => Kind::Append,
        3 => Kind::Delete,
        _ => return None,
    };
    let mut route = read_route(record)?;
    route.kind = 1;
    // An exact delete needs a gateway and a device, and an add without them would be a connected route.
    let complete = route.gateway.is_some_and(|gateway| gateway.family == route.family) && route.device != 0;
    // Protocol 0 in a delete stands for any owner, table 0 for main.
    let exact = route.protocol != 0 && route.table != 0 && has_no_host_bits(&route);
    (complete && exact).then_some(Op { kind, route })
}

/// Whether the prefix's length fits its family and every bit beyond it is 0.
fn has_no_host_bits(route: &Route) -> bool {
    let beyond = u128::from_be_bytes(route.prefix).checked_shl(u32::from(route.length)).unwrap_or(0);
    route.length <= route.family.bits() && beyond == 0
}

/// Reads a record of either direction.
pub fn read_route(record: &[u8; RECORD]) -> Option<Route> {
    let flags = record[1];
    let family = |flag: u8| if flags & flag == 0 { Family::V4 } else { Family::V6 };
    let gateway_family = family(FLAG_GATEWAY_V6);
    let gateway = Gateway { family: gateway_family, address: gateway_family.address(&record[36..])? };
    let family = family(FLAG_V6);
    Some(Route {
        family,
        length: record[2],
        protocol: record[3],
        kind: record[0],
        tos: record[4],
        link_down: flags & FLAG_LINK_DOWN != 0,
        more: flags & FLAG_MORE != 0,
        table: u32_le(record, 8),
        metric: u32_le(record, 12),
        device: u32_le(record, 16),
        prefix: family.address(&record[20..])?,
        gateway: (flags & FLAG_GATEWAY != 0).then_some(gateway),
        source: if flags & FLAG_SOURCE == 0 { None } else { Some(family.address(&record[52..])?) },
    })
}

/// Appends the record of a route that a dump found.
pub fn write_route(out: &mut Vec<u8>, route: &Route) {
    let flag = |condition: bool, bit: u8| if condition { bit } else { 0 };
    let gateway_v6 = route.gateway.is_some_and(|gateway| gateway.family == Family::V6);
    let flags = flag(route.family == Family::V6, FLAG_V6)
        | flag(route.gateway.is_some(), FLAG_GATEWAY)
        | flag(gateway_v6, FLAG_GATEWAY_V6)
        | flag(route.source.is_some(), FLAG_SOURCE)
        | flag(route.link_down, FLAG_LINK_DOWN)
        | flag(route.more, FLAG_MORE);
    out.extend_from_slice(&[route.kind, flags, route.length, route.protocol, route.tos, 0, 0, 0]);
    for number in [route.table, route.metric, route.device] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&route.prefix);
    out.extend_from_slice(&route.gateway.map_or([0; 16], |gateway| gateway.address));
    out.extend_from_slice(&route.source.unwrap_or_default());
}

/// The caller has checked the length.
pub(crate) fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
