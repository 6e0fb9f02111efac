//! System calls: the only module with unsafe code. A netlink socket, an eventfd, poll.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use libc::{c_int, c_void, socklen_t};

/// Room for one reply: an error that repeats our largest request, and the kernel's sentence.
const REPLY: usize = 1024;
/// Replies taken by one system call.
const REPLIES: usize = 64;
/// Fits what 256 messages a send may answer many times over; the default holds exactly 256 replies.
const RECEIVE_BUFFER: c_int = 4 << 20;

/// A netlink socket, bound to a port of its own.
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a NETLINK_ROUTE socket that hears `groups` (RTMGRP_*, a mask; 0 for none).
    pub fn open(groups: u32) -> io::Result<Self> {
        Self::open_family(libc::NETLINK_ROUTE, groups)
    }

    /// Opens a socket of a netlink family (NETLINK_*) that hears `groups`, a mask.
    pub fn open_family(family: c_int, groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, family) };
        checked(fd as isize)?;
        // SAFETY: fd is a descriptor that was just opened, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_nl is plain numbers, for which zero is valid.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = groups;
        // SAFETY: the pointer is to a sockaddr_nl that outlives the call, with its size.
        let bound = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_nl>() as socklen_t,
            )
        };
        checked(bound as isize)?;
        let socket = Self { fd };
        // Needs CAP_NET_ADMIN. Without it the default buffer stays, and an overflow is seen as ENOBUFS.
        let _ = socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER);
        Ok(socket)
    }

    /// The port that the kernel gave the socket: what changes it asks for bear it in the events of others.
    pub fn port(&self) -> io::Result<u32> {
        // SAFETY: sockaddr_nl is plain numbers, for which zero is valid.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::sockaddr_nl>() as socklen_t;
        // SAFETY: the pointers are to a sockaddr_nl and its size, and both outlive the call.
        let done =
            unsafe { libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
        checked(done as isize).map(|_| address.nl_pid)
    }

    /// Turns on an option of netlink's own (NETLINK_*).
    pub fn enable(&self, option: c_int) -> io::Result<()> {
        self.set(libc::SOL_NETLINK, option, &1)
    }

    /// Makes a blocking receive end with EAGAIN after `timeout`.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let value = libc::timeval { tv_sec: timeout.as_secs() as libc::time_t, tv_usec: 0 };
        // SAFETY: the pointer is to a timeval that outlives the call, with its size.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const value).cast(),
                size_of::<libc::timeval>() as socklen_t,
            )
        };
        checked(done as isize).map(drop)
    }

    /// For tests: the smallest receive buffer there is.
    #[cfg(test)]
    pub fn shrink(&self) {
        let _ = self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &1);
    }

    fn set(&self, level: c_int, option: c_int, value: &c_int) -> io::Result<()> {
        // SAFETY: the pointer is to a c_int that outlives the call, with its size.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<c_int>() as socklen_t,
            )
        };
        checked(done as isize).map(drop)
    }

    /// Sends one datagram to the kernel. It has been worked off when this returns, and the replies are queued.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        uninterrupted(|| {
            // SAFETY: pointer and length are those of a live slice; an unconnected netlink socket sends to the kernel.
            unsafe { libc::send(self.fd.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), 0) }
        })
        .map(drop)
    }

    /// Receives one datagram; EMSGSIZE if it did not fit, and was cut.
    pub fn receive(&self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        let flags = libc::MSG_TRUNC | if wait { 0 } else { libc::MSG_DONTWAIT };
        let length = uninterrupted(|| {
            // SAFETY: pointer and length are those of a live, exclusively borrowed slice.
            unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) }
        })?;
        // With MSG_TRUNC the real length comes back, also where it is larger than the buffer.
        if length > buffer.len() { Err(cut()) } else { Ok(length) }
    }

    /// Takes queued datagrams, up to 64 by one system call; never waits (EAGAIN if there is none).
    pub fn receive_many(&self, replies: &mut Replies) -> io::Result<usize> {
        let mut vectors = [const { libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } }; REPLIES];
        // SAFETY: mmsghdr is plain numbers and pointers, for which zero and null are valid.
        let mut headers: [libc::mmsghdr; REPLIES] = unsafe { std::mem::zeroed() };
        for ((header, vector), buffer) in headers.iter_mut().zip(&mut vectors).zip(replies.buffers.iter_mut())
        {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: REPLY };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let count = uninterrupted(|| {
            // SAFETY: `headers` has REPLIES entries; each points to one iovec, and that to REPLY bytes of its own
            // buffer. Vectors and buffers outlive the call and are not touched meanwhile. The flags' type differs
            // between C libraries.
            let count = unsafe {
                libc::recvmmsg(
                    self.fd.as_raw_fd(),
                    headers.as_mut_ptr(),
                    REPLIES as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            count as isize
        })?;
        for (length, header) in replies.lengths.iter_mut().zip(&headers).take(count) {
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return Err(cut());
            }
            *length = header.msg_len as usize;
        }
        Ok(count)
    }
}

/// Buffers for `Socket::receive_many`, used again and again.
pub struct Replies {
    buffers: Box<[[u8; REPLY]]>,
    lengths: [usize; REPLIES],
}

impl Replies {
    pub fn new() -> Self {
        Self { buffers: vec![[0; REPLY]; REPLIES].into_boxed_slice(), lengths: [0; REPLIES] }
    }

    /// The first `count` datagrams of the last `receive_many`.
    pub fn datagrams(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.buffers.iter().zip(self.lengths).take(count).map(|(buffer, length)| &buffer[..length.min(REPLY)])
    }
}

/// An eventfd: a flag that one thread sets and another polls for.
pub struct Bell(File);

impl Bell {
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        checked(fd as isize)?;
        // SAFETY: fd is a descriptor that was just opened, and nobody else owns it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Rings for good: nothing takes the count away again.
    pub fn ring(&self) -> io::Result<()> {
        (&self.0).write_all(&1u64.to_ne_bytes())
    }
}

/// What `wait` found.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    Bell,
    Socket,
    Timeout,
}

/// Waits until the bell rings or, where given, the socket has something (an overflow counts), or the time is over.
pub fn wait(bell: &Bell, socket: Option<&Socket>, timeout: Option<Duration>) -> io::Result<Woken> {
    let watch = |fd: c_int| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // poll skips negative descriptors.
    let mut fds = [watch(bell.0.as_raw_fd()), watch(socket.map_or(-1, |socket| socket.fd.as_raw_fd()))];
    let timeout = timeout.map_or(-1, |time| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX));
    uninterrupted(|| {
        // SAFETY: the pointer is to two pollfds that outlive the call.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, timeout) as isize }
    })?;
    Ok(match fds.map(|fd| fd.revents != 0) {
        [true, _] => Woken::Bell,
        [_, true] => Woken::Socket,
        _ => Woken::Timeout,
    })
}

fn cut() -> io::Error {
    io::Error::from_raw_os_error(libc::EMSGSIZE)
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn uninterrupted(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match checked(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
