//! Neighbour entries that the kernel keeps resolved by itself: learned elsewhere (NTF_EXT_LEARNED), so that gc_thresh3
//! does not count them, and managed (NTF_EXT_MANAGED, Linux 5.16), so that no address of the link layer is needed.
//! Numbers of the kernel's headers: include/uapi/linux/neighbour.h and if_link.h.
//!
//! One record is 24 bytes, little-endian, the address in network order; src/route/native/neighbours.ts is the other side.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | operation: 1 add, 2 adopt, 3 delete. In a dump: the entry's state (NUD_*) |
//! | 1 | 1 | flags: 1 IPv6, 2 learned, 4 managed |
//! | 2 | 1 | protocol |
//! | 3 | 1 | zero |
//! | 4 | 4 | interface index |
//! | 8 | 16 | address; IPv4 in the first 4 bytes |

use crate::batch::Request;
use crate::dump::{complete, open_socket};
use crate::error::Error;
use crate::record::{FLAG_V6, Family, read_records, u32_le};
use crate::wire::{self, Message};

/// Bytes of one record.
pub const RECORD: usize = 24;
const FLAG_LEARNED: u8 = 2;
const FLAG_MANAGED: u8 = 4;

const RTM_GETLINK: u16 = 18;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NDA_DST: u16 = 1;
const NDA_PROTOCOL: u16 = 12;
const NDA_FLAGS_EXT: u16 = 15;
const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_EXT_MANAGED: u32 = 1;
/// The lengths of struct ndmsg and ifinfomsg.
const NDMSG: usize = 12;
const IFINFOMSG: usize = 16;
/// Up, and with a carrier.
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
/// Larger than any description of a link.
const BUFFER: usize = 64 << 10;

/// A neighbour entry as the kernel shows it; an operation has no state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    pub family: Family,
    pub address: [u8; 16],
    pub device: u32,
    pub protocol: u8,
    /// NUD_*.
    pub state: u8,
    pub learned: bool,
    pub managed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CREATE|EXCL: EEXIST where there is an entry, whoever made it.
    Add,
    /// Makes an entry that is there, and only such a one, learned, managed and of our protocol.
    Adopt,
    /// By address and device alone: RTM_DELNEIGH looks at nothing else.
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub kind: Kind,
    pub neighbour: Neighbour,
}

impl Request for Op {
    fn encode(&self, out: &mut Vec<u8>, seq: u32, ack: bool) {
        let (kind, mode) = match self.kind {
            Kind::Add => (RTM_NEWNEIGH, wire::NLM_F_CREATE | wire::NLM_F_EXCL),
            Kind::Adopt => (RTM_NEWNEIGH, 0),
            Kind::Delete => (RTM_DELNEIGH, 0),
        };
        let ack = if ack { wire::NLM_F_ACK } else { 0 };
        let entry = &self.neighbour;
        let start = wire::begin(out, kind, wire::NLM_F_REQUEST | mode | ack, seq);
        let keep = self.kind != Kind::Delete;
        put_ndmsg(out, entry.family, entry.device, if keep { NTF_EXT_LEARNED } else { 0 });
        wire::put_bytes(out, NDA_DST, &entry.address[..entry.family.bytes()]);
        if keep {
            // One byte and three of padding, which is what attributes are aligned to.
            out.extend_from_slice(&5u16.to_ne_bytes());
            out.extend_from_slice(&NDA_PROTOCOL.to_ne_bytes());
            out.extend_from_slice(&[entry.protocol, 0, 0, 0]);
            wire::put_bytes(out, NDA_FLAGS_EXT, &NTF_EXT_MANAGED.to_ne_bytes());
        }
        wire::finish(out, start);
    }
}

/// State 0 (NUD_NONE): the kernel itself finds out what the state is.
fn put_ndmsg(out: &mut Vec<u8>, family: Family, device: u32, flags: u8) {
    out.extend_from_slice(&[family.number(), 0, 0, 0]);
    out.extend_from_slice(&device.to_ne_bytes());
    out.extend_from_slice(&[0, 0, flags, 0]);
}

/// Reads an RTM_NEWNEIGH; none for any other message, and for what is no IP neighbour.
fn parse(message: &Message<'_>) -> Option<Neighbour> {
    if message.kind != RTM_NEWNEIGH {
        return None;
    }
    let header: &[u8; NDMSG] = message.payload.first_chunk()?;
    let family = Family::of_number(header[0])?;
    let mut found = Neighbour {
        family,
        device: wire::u32_at(header, 4)?,
        state: header[8],
        learned: header[10] & NTF_EXT_LEARNED != 0,
        ..Neighbour::default()
    };
    let mut address = None;
    for (kind, value) in wire::attributes(message.payload.get(NDMSG..)?) {
        match kind {
            NDA_DST => address = Some(family.address(value)?),
            NDA_PROTOCOL => found.protocol = *value.first()?,
            NDA_FLAGS_EXT => found.managed = wire::u32_at(value, 0)? & NTF_EXT_MANAGED != 0,
            _ => {}
        }
    }
    Some(Neighbour { address: address?, ..found })
}

/// What a dump shows: which of the devices asked for can carry packets, and the entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    pub live: Vec<u32>,
    pub neighbours: Vec<Neighbour>,
}

/// Every entry of the devices, and those of the protocol wherever they are; both families.
pub fn dump(protocol: u8, devices: &[u32]) -> Result<View, Error> {
    let mut view = View::default();
    for &device in devices {
        if is_live(device)? {
            view.live.push(device);
        }
    }
    for family in [Family::V4, Family::V6] {
        let found = complete(
            "dump neighbours",
            |seq| encode_dump(family, seq),
            |message, all| {
                let Some(entry) = parse(message).filter(|entry| entry.family == family) else { return };
                if entry.protocol == protocol || devices.contains(&entry.device) {
                    all.push(entry);
                }
            },
        )?;
        view.neighbours.extend(found);
    }
    Ok(view)
}

fn encode_dump(family: Family, seq: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    let start = wire::begin(&mut out, RTM_GETNEIGH, wire::NLM_F_REQUEST | wire::NLM_F_DUMP, seq);
    put_ndmsg(&mut out, family, 0, 0);
    wire::finish(&mut out, start);
    out
}

/// Whether the device is there, up, and has a carrier.
fn is_live(device: u32) -> Result<bool, Error> {
    let doing = "read a link";
    let socket = open_socket().map_err(Error::system("open a netlink socket"))?;
    let mut request = Vec::with_capacity(32);
    let start = wire::begin(&mut request, RTM_GETLINK, wire::NLM_F_REQUEST, 1);
    request.extend_from_slice(&[0; 4]);
    request.extend_from_slice(&device.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    wire::finish(&mut request, start);
    socket.send(&request).map_err(Error::system(doing))?;
    let mut buffer = vec![0; BUFFER];
    let length = socket.receive(&mut buffer, true).map_err(Error::system(doing))?;
    Ok(wire::messages(&buffer[..length]).any(|message| has_carrier(&message)))
}

fn has_carrier(message: &Message<'_>) -> bool {
    let flags = message.payload.get(..IFINFOMSG).and_then(|header| wire::u32_at(header, 8));
    let both = IFF_UP | IFF_LOWER_UP;
    message.kind == wire::RTM_NEWLINK && flags.is_some_and(|flags| flags & both == both)
}

/// Reads a batch of operations; the error is the index of the first record that is none.
pub fn read_ops(bytes: &[u8]) -> Result<Vec<Op>, usize> {
    read_records(bytes, read_op)
}

fn read_op(record: &[u8; RECORD]) -> Option<Op> {
    let kind = match record[0] {
        1 => Kind::Add,
        2 => Kind::Adopt,
        3 => Kind::Delete,
        _ => return None,
    };
    let family = if record[1] & FLAG_V6 == 0 { Family::V4 } else { Family::V6 };
    let device = u32_le(record, 4);
    let neighbour = Neighbour {
        family,
        address: family.address(&record[8..])?,
        device,
        protocol: record[2],
        ..Neighbour::default()
    };
    // Protocol 0 is the kernel's own: such an entry could not be told from others.
    (device != 0 && neighbour.protocol != 0).then_some(Op { kind, neighbour })
}

/// Appends the record of an entry that a dump found.
pub fn write(out: &mut Vec<u8>, entry: &Neighbour) {
    let flag = |condition: bool, bit: u8| if condition { bit } else { 0 };
    let flags = flag(entry.family == Family::V6, FLAG_V6)
        | flag(entry.learned, FLAG_LEARNED)
        | flag(entry.managed, FLAG_MANAGED);
    out.extend_from_slice(&[entry.state, flags, entry.protocol, 0]);
    out.extend_from_slice(&entry.device.to_le_bytes());
    out.extend_from_slice(&entry.address);
}

#[cfg(test)]
#[path = "neighbour_tests.rs"]
mod tests;
