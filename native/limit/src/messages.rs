//! The bytes of all requests, ready to be sent, and the check of what the kernel answers.

use crate::options::Options;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE_EXCL: u16 = 0x600;
const NLMSG_ERROR: u16 = 2;
const AF_INET: u8 = 2;
const TABLE_MAIN: u8 = 254;
const PROTOCOL: u8 = 98;
const RTN_UNICAST: u8 = 1;
const RT_SCOPE_NOWHERE: u8 = 255;
/// Header, rtmsg and four attributes of four bytes.
const MESSAGE: u32 = 16 + 12 + 4 * 8;
const FIRST_PREFIX: u32 = 0x0a00_0000;
const FIRST_GATEWAY: u32 = 0xac10_0100;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Add,
    Delete,
}

/// The datagrams of a whole run.
pub struct Sends {
    bytes: Vec<u8>,
    /// Messages in all, and in one datagram.
    count: u32,
    chunk: u32,
}

impl Sends {
    pub fn encode(options: &Options, action: Action) -> Self {
        let &Options { routes: count, chunk, .. } = options;
        let mut bytes = Vec::with_capacity((count * MESSAGE) as usize);
        for index in 0..count {
            let last = (index + 1) % chunk == 0 || index + 1 == count;
            put_message(&mut bytes, options, action, index, last);
        }
        Self { bytes, count, chunk }
    }

    /// The datagrams, each with the sequence number that its acknowledgement will bear.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let ends = (1..=self.count.div_ceil(self.chunk)).map(|n| (n * self.chunk).min(self.count));
        self.bytes.chunks((self.chunk * MESSAGE) as usize).zip(ends.map(|end| end - 1))
    }
}

fn put_message(out: &mut Vec<u8>, options: &Options, action: Action, index: u32, last: bool) {
    let (kind, mode, scope) = match action {
        Action::Add => (RTM_NEWROUTE, NLM_F_CREATE_EXCL, 0),
        Action::Delete => (RTM_DELROUTE, 0, RT_SCOPE_NOWHERE),
    };
    let flags = NLM_F_REQUEST | mode | if last { NLM_F_ACK } else { 0 };
    out.extend_from_slice(&MESSAGE.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&index.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[AF_INET, 24, 0, 0, TABLE_MAIN, PROTOCOL, scope, RTN_UNICAST, 0, 0, 0, 0]);
    let gateway = index % options.gateways;
    put_attribute(out, libc::RTA_DST, (FIRST_PREFIX + (index << 8)).to_be_bytes());
    put_attribute(out, libc::RTA_GATEWAY, (FIRST_GATEWAY + gateway).to_be_bytes());
    put_attribute(out, libc::RTA_OIF, options.device.to_ne_bytes());
    put_attribute(out, libc::RTA_PRIORITY, (gateway % options.metrics).to_ne_bytes());
}

fn put_attribute(out: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    out.extend_from_slice(&8u16.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&value);
}

/// An acknowledgement of the last message, or what went wrong: a failure of any message comes before it.
pub fn check_ack(reply: &[u8], last: u32) -> Result<(), String> {
    let word = |at: usize| Some(u32::from_ne_bytes(*reply.get(at..)?.first_chunk()?));
    let kind = reply.get(4..6).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    match (kind, word(8), word(16)) {
        (Some(NLMSG_ERROR), Some(seq), Some(0)) if seq == last => Ok(()),
        (Some(NLMSG_ERROR), Some(seq), Some(errno)) => {
            Err(format!("route {seq}: {}", std::io::Error::from_raw_os_error((errno as i32).wrapping_neg())))
        }
        _ => Err("the kernel's answer cannot be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(routes: u32) -> Options {
        Options { device: 7, routes, gateways: 2, metrics: 2, chunk: 4, rounds: 1 }
    }

    #[test]
    fn a_run_is_cut_into_datagrams_and_only_the_last_message_of_each_asks_for_an_answer() {
        let sends = Sends::encode(&options(10), Action::Add);
        let cut: Vec<_> = sends.iter().map(|(bytes, last)| (bytes.len() / MESSAGE as usize, last)).collect();
        assert_eq!(cut, [(4, 3), (4, 7), (2, 9)]);
        let asking: Vec<_> = sends
            .bytes
            .chunks(MESSAGE as usize)
            .map(|message| u16::from_ne_bytes([message[6], message[7]]) & NLM_F_ACK != 0)
            .collect();
        let expected: Vec<_> = (0..10).map(|index| [3, 7, 9].contains(&index)).collect();
        assert_eq!(asking, expected);
    }

    #[test]
    fn an_answer_counts_only_if_it_is_the_last_ones_and_good() {
        let reply = |seq: u32, errno: i32| {
            let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0];
            bytes.extend_from_slice(&seq.to_ne_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&errno.to_ne_bytes());
            bytes
        };
        assert_eq!(check_ack(&reply(9, 0), 9), Ok(()));
        assert!(check_ack(&reply(8, 0), 9).is_err());
        assert!(check_ack(&reply(9, -17), 9).is_err_and(|text| text.contains("File exists")));
        assert!(check_ack(&[], 9).is_err());
    }
}
