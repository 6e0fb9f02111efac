//! Hints that links, addresses or routes may have changed, or the firewall, heard by a thread of its own.
//! Lost events count as a change of everything; nothing that happens after `start` returns is missed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::Error;
use crate::record::{Filter, Route};
use crate::socket::{Bell, Socket, Woken, wait};
use crate::wire;

pub const LINKS: u32 = 1;
pub const ADDRESSES: u32 = 2;
pub const ROUTES: u32 = 4;
/// RT_TABLE_MAIN.
const MAIN: u32 = 254;
pub const ALL: u32 = LINKS | ADDRESSES | ROUTES;

/// RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// The group NFNLGRP_NFTABLES (7) of NETLINK_NETFILTER: every change of nftables, by nft and by iptables-nft.
const NFTABLES: u32 = 1 << (7 - 1);
/// Larger than any event; one that is cut counts as lost.
const BUFFER: usize = 64 << 10;
/// Before a broken socket is opened anew.
const PAUSE: Duration = Duration::from_secs(1);
const STACK: usize = 256 << 10;

/// Between two readings of the socket: a batch of thousands would else wake the thread, and slow the sender, for each of
/// its routes. The first event after a quiet time is heard at once. 4 MiB hold what comes in ten times as long.
const NAP: Duration = Duration::from_millis(1);
/// Read at one time: whoever changes routes faster than we read must not keep us from being told to end.
const DRAIN_MAX: usize = 4096;

/// What is listened for.
enum Ears {
    Network {
        filter: Filter,
        /// The port whose changes of routes are no news.
        own: Arc<AtomicU32>,
    },
    Firewall,
}

impl Ears {
    fn open(&self) -> io::Result<Socket> {
        match self {
            Self::Network { .. } => Socket::open(GROUPS),
            Self::Firewall => Socket::open_family(libc::NETLINK_NETFILTER, NFTABLES),
        }
    }
}

/// A running listener; dropping it ends the thread, too.
pub struct Listener {
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Calls `notify` with the bits of what may have changed, merged over all that was queued. Changes of routes that the
    /// socket with port `own` asked for are left out: its batches tell what became of them.
    pub fn start(
        filter: Filter,
        own: Arc<AtomicU32>,
        notify: impl Fn(u32) + Send + 'static,
    ) -> Result<Self, Error> {
        Self::spawn(Ears::Network { filter, own }, notify)
    }

    /// Calls `notify` after nftables may have changed. Needs CAP_NET_ADMIN.
    pub fn firewall(notify: impl Fn() + Send + 'static) -> Result<Self, Error> {
        Self::spawn(Ears::Firewall, move |_| notify())
    }

    fn spawn(ears: Ears, notify: impl Fn(u32) + Send + 'static) -> Result<Self, Error> {
        let socket = ears.open().map_err(Error::system("listen for changes"))?;
        let bell = Bell::new().map_err(Error::system("open an eventfd"))?;
        let heard = bell.try_clone().map_err(Error::system("open an eventfd"))?;
        let thread = std::thread::Builder::new()
            .name("hostgw-listen".to_owned())
            .stack_size(STACK)
            .spawn(move || listen(socket, &heard, &ears, notify))
            .map_err(Error::system("start a thread"))?;
        Ok(Self { bell, thread: Some(thread) })
    }

    /// Ends the thread and waits for it: afterwards `notify` is not called, and all descriptors are closed.
    pub fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Joining a thread that cannot be told to end would hang; an eventfd refuses only at 2^64 - 1.
        if self.bell.ring().is_ok() {
            let _ = thread.join();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

fn listen(first: Socket, bell: &Bell, ears: &Ears, notify: impl Fn(u32)) {
    let mut socket = Some(first);
    let mut buffer = vec![0; BUFFER];
    loop {
        let pause = socket.is_none().then_some(PAUSE);
        match wait(bell, socket.as_ref(), pause) {
            Ok(Woken::Bell) => return,
            Ok(_) => {}
            // poll fails only for want of memory (ENOMEM): begin anew after the pause, unless told to end.
            Err(_) => {
                std::thread::sleep(PAUSE);
                socket = None;
            }
        }
        let bits = match &socket {
            Some(open) => drain(open, &mut buffer, ears),
            None => {
                // While it cannot be opened each try counts as a change: whoever looks then hears what is the matter.
                socket = ears.open().ok();
                Ok(ALL)
            }
        };
        let bits = bits.unwrap_or_else(|_| {
            socket = None;
            ALL
        });
        if bits != 0 {
            notify(bits);
        }
        if let Ok(Woken::Bell) = wait(bell, None, Some(NAP)) {
            return;
        }
    }
}

/// Takes what is queued, so much at most; what is left wakes the next `wait` at once.
fn drain(socket: &Socket, buffer: &mut [u8], ears: &Ears) -> io::Result<u32> {
    let mut bits = 0;
    for _ in 0..DRAIN_MAX {
        match socket.receive(buffer, false) {
            Ok(length) => {
                wire::messages(&buffer[..length]).for_each(|message| bits |= concerns(&message, ears));
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(bits),
                // Events were lost, or one was cut. The queue is still good.
                Some(libc::ENOBUFS | libc::EMSGSIZE) => bits = ALL,
                _ => return Err(error),
            },
        }
    }
    Ok(bits)
}

/// What a message says may have changed.
fn concerns(message: &wire::Message<'_>, ears: &Ears) -> u32 {
    // Whatever is told there is a change of nftables.
    let Ears::Network { filter, own } = ears else { return ALL };
    match message.kind {
        wire::RTM_NEWLINK | wire::RTM_DELLINK => LINKS,
        wire::RTM_NEWADDR | wire::RTM_DELADDR => ADDRESSES,
        wire::RTM_NEWROUTE | wire::RTM_DELROUTE => {
            if message.port != 0 && message.port == own.load(Ordering::Acquire) {
                return 0;
            }
            let mut bits = 0;
            wire::parse_routes(message, |route| {
                if filter.matches(route) {
                    bits |= ROUTES;
                }
                if is_surrounding(route, filter) {
                    bits |= ADDRESSES;
                }
            });
            bits
        }
        _ => 0,
    }
}

/// Default routes and directly connected prefixes are facts of the host, as its addresses are.
fn is_surrounding(route: &Route, filter: &Filter) -> bool {
    (route.table == filter.table || route.table == MAIN) && (route.length == 0 || route.gateway.is_none())
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
