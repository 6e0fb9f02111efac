//! A complete view of the routes that matter, or an error: never half a view.

use std::io;
use std::time::Duration;

use crate::error::Error;
use crate::record::{Family, Filter, Route};
use crate::socket::Socket;
use crate::wire;

/// A dump that changes overtook (NLM_F_DUMP_INTR) is begun anew this often.
const ATTEMPTS: u32 = 5;
/// The kernel fills up to 32 KiB a datagram if the reader offers that much.
const BUFFER: usize = 64 << 10;
/// Only a lost end makes a dump wait at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How one attempt ended, when no system call failed.
enum End {
    Complete,
    Interrupted,
    Refused { errno: i32, sentence: Option<String> },
}

/// What `keep` keeps of every route of the filter, in the kernel's order per prefix: IPv4, then IPv6.
pub fn dump<T>(filter: &Filter, keep: impl Fn(&Route, &mut Vec<T>)) -> Result<Vec<T>, Error> {
    let mut all = dump_family(filter, Family::V4, &keep)?;
    all.append(&mut dump_family(filter, Family::V6, &keep)?);
    Ok(all)
}

fn dump_family<T>(
    filter: &Filter,
    family: Family,
    keep: impl Fn(&Route, &mut Vec<T>),
) -> Result<Vec<T>, Error> {
    // Outside `within` only our own count, and the kernel can leave the others out.
    let watched = filter.within.iter().any(|prefix| prefix.family == family);
    let protocol = if watched { 0 } else { filter.protocol };
    complete(
        "dump routes",
        |seq| wire::encode_dump(family, filter.table, protocol, seq),
        |message, kept| {
            wire::parse_routes(message, |route| {
                // Kernels without IPv6 answer its dump with another family's routes.
                if route.family == family && filter.matches(route) {
                    keep(route, kept);
                }
            });
        },
    )
}

/// Everything that `take` keeps of the answers to a strict dump request, from one attempt that nothing interrupted.
pub(crate) fn complete<T>(
    doing: &'static str,
    request: impl Fn(u32) -> Vec<u8>,
    take: impl Fn(&wire::Message<'_>, &mut Vec<T>),
) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    for attempt in 1..=ATTEMPTS {
        // A socket of its own: what an attempt left unread goes with it.
        let socket = open_socket().map_err(Error::system("open a netlink socket"))?;
        socket.send(&request(attempt)).map_err(Error::system(doing))?;
        all.clear();
        let end = collect(&socket, attempt, |message| take(message, &mut all));
        match end.map_err(Error::system(doing))? {
            End::Complete => return Ok(all),
            End::Interrupted => {}
            // A table that does not exist holds no routes; a kernel without the family has none either.
            End::Refused { errno: libc::ENOENT | libc::EAFNOSUPPORT, .. } => return Ok(Vec::new()),
            End::Refused { errno, sentence } => return Err(Error::Refused { doing, errno, sentence }),
        }
    }
    Err(Error::Interrupted { doing, attempts: ATTEMPTS })
}

pub(crate) fn open_socket() -> io::Result<Socket> {
    let socket = Socket::open(0)?;
    prepare(&socket)?;
    Ok(socket)
}

fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_timeout(TIMEOUT)?;
    let _ = socket.enable(libc::NETLINK_EXT_ACK);
    // Kernels before 4.20 do not know it, and send every table: the filter in `matches` holds all the same.
    let _ = socket.enable(libc::NETLINK_GET_STRICT_CHK);
    Ok(())
}

fn collect(socket: &Socket, seq: u32, mut found: impl FnMut(&wire::Message<'_>)) -> io::Result<End> {
    let mut buffer = vec![0; BUFFER];
    let mut interrupted = false;
    loop {
        let length = socket.receive(&mut buffer, true)?;
        for message in wire::messages(&buffer[..length]).filter(|message| message.seq == seq) {
            interrupted |= message.flags & wire::NLM_F_DUMP_INTR != 0;
            let reply = match message.kind {
                wire::NLMSG_DONE => Some(wire::parse_done(&message)),
                wire::NLMSG_ERROR => wire::parse_reply(&message),
                _ => None,
            };
            match reply {
                None => found(&message),
                Some(reply) if reply.errno != 0 => {
                    let sentence = reply.sentence.map(|text| String::from_utf8_lossy(text).into_owned());
                    return Ok(End::Refused { errno: reply.errno, sentence });
                }
                Some(_) if interrupted => return Ok(End::Interrupted),
                Some(_) => return Ok(End::Complete),
            }
        }
    }
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
