//! Applies operations in order, many to a send, and says what became of each one; or, where replies were lost, that
//! only a dump can tell.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;
use crate::record::Op;
use crate::socket::{Replies, Socket};
use crate::wire;

/// Messages of one send. Gains flatten at 64 to 256, and 256 replies are what a default receive buffer holds.
pub const CHUNK: usize = 256;

/// An operation that can be sent: one message, which the kernel answers with one errno.
pub trait Request {
    /// Appends the message; only the last of a send asks for an acknowledgement.
    fn encode(&self, out: &mut Vec<u8>, seq: u32, ack: bool);
}

impl Request for Op {
    fn encode(&self, out: &mut Vec<u8>, seq: u32, ack: bool) {
        wire::encode_op(out, self, seq, ack);
    }
}

/// What one operation failed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index into the batch.
    pub index: usize,
    /// Positive errno.
    pub errno: i32,
    /// Index into the outcome's sentences, where the kernel gave one.
    pub sentence: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every operation is either in `failures`, in order, or done. Each sentence is there once.
    Complete { failures: Vec<Failure>, sentences: Vec<String> },
    /// Operations may or may not have been done.
    Unknown { reason: String },
}

/// A socket that batches go through, one at a time.
pub struct Batches {
    /// None before the first batch and after an unknown outcome: late replies go with their socket.
    socket: Option<Socket>,
    replies: Replies,
    seq: u32,
    port: Arc<AtomicU32>,
}

impl Batches {
    pub fn open() -> Result<Self, Error> {
        // Sequence numbers may start and wrap anywhere: replies are matched by their distance.
        let port = Arc::new(AtomicU32::new(0));
        let socket = Some(open_socket(&port)?);
        Ok(Self { socket, replies: Replies::new(), seq: u32::MAX - 1000, port })
    }

    /// The port of the socket in use, by which a listener knows changes of ours.
    pub fn port(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.port)
    }

    /// Applies `ops` in order; one that fails does not stop the rest. An error means that nothing was sent.
    pub fn apply<R: Request>(&mut self, ops: &[R]) -> Result<Outcome, Error> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open_socket(&self.port)?,
        };
        let mut found = Found::default();
        let mut message = Vec::with_capacity(CHUNK * 128);
        for (number, chunk) in ops.chunks(CHUNK).enumerate() {
            let base = self.seq;
            self.seq = base.wrapping_add(CHUNK as u32);
            message.clear();
            for (seq, op) in (0u32..).zip(chunk) {
                let last = seq as usize + 1 == chunk.len();
                op.encode(&mut message, base.wrapping_add(seq), last);
            }
            found.start(number * CHUNK, base, chunk.len());
            let answered = socket.send(&message).and_then(|()| self.collect(&socket, &mut found));
            if let Err(error) = answered {
                // The socket is dropped: what it would still give belongs to this batch.
                return Ok(Outcome::Unknown { reason: unknown(&error) });
            }
        }
        self.socket = Some(socket);
        Ok(found.into_outcome())
    }

    /// Takes replies until the chunk's last operation has its own. They are queued when a send returns: to find
    /// none left (EAGAIN) means that one was lost.
    fn collect(&mut self, socket: &Socket, found: &mut Found) -> io::Result<()> {
        while !found.complete {
            let count = socket.receive_many(&mut self.replies)?;
            for datagram in self.replies.datagrams(count) {
                wire::messages(datagram).for_each(|message| found.take(&message));
            }
        }
        Ok(())
    }
}

fn open_socket(port: &AtomicU32) -> Result<Socket, Error> {
    let socket = Socket::open(0).map_err(Error::system("open a netlink socket"))?;
    port.store(socket.port().unwrap_or(0), Ordering::Release);
    // Both make answers better, none is needed: kernels before 4.12 know neither or one.
    let _ = socket.enable(libc::NETLINK_CAP_ACK);
    let _ = socket.enable(libc::NETLINK_EXT_ACK);
    Ok(socket)
}

fn unknown(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOBUFS) => "the kernel's answers overflowed the receive buffer".to_owned(),
        Some(libc::EAGAIN) => "the kernel's last answer is missing".to_owned(),
        _ => format!("the exchange with the kernel broke off: {error}"),
    }
}

/// What has been learnt so far.
#[derive(Default)]
struct Found {
    failures: Vec<Failure>,
    sentences: Vec<String>,
    numbers: HashMap<Vec<u8>, usize>,
    /// Index of the chunk's first operation, its sequence number, how many there are.
    first: usize,
    base: u32,
    count: usize,
    /// The chunk's last operation has been answered.
    complete: bool,
}

impl Found {
    fn start(&mut self, first: usize, base: u32, count: usize) {
        (self.first, self.base, self.count, self.complete) = (first, base, count, false);
    }

    fn take(&mut self, message: &wire::Message<'_>) {
        let Some(reply) = wire::parse_reply(message) else { return };
        let offset = message.seq.wrapping_sub(self.base) as usize;
        if offset >= self.count {
            return;
        }
        if offset + 1 == self.count {
            self.complete = true;
        }
        if reply.errno != 0 {
            let sentence = reply.sentence.map(|text| self.number(text));
            self.failures.push(Failure { index: self.first + offset, errno: reply.errno, sentence });
        }
    }

    fn number(&mut self, text: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.sentences.len();
        self.sentences.push(String::from_utf8_lossy(text).into_owned());
        self.numbers.insert(text.to_vec(), number);
        number
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Complete { failures: self.failures, sentences: self.sentences }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
