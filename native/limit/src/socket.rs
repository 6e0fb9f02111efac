//! System calls: the only module with unsafe code. One netlink socket.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub struct Socket(OwnedFd);

impl Socket {
    pub fn open() -> io::Result<Self> {
        // SAFETY: socket takes no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd is a descriptor that was just opened, and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The kernel has worked the datagram off when this returns, and its answer is queued.
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        // SAFETY: pointer and length are those of a live slice.
        checked(unsafe { libc::send(self.0.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), 0) })
    }

    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length are those of a live, exclusively borrowed slice.
        checked(unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) })
    }
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
