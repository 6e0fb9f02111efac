//! The N-API binding of hostgw-rtnetlink: packed bytes in, packed bytes out (`hostgw_rtnetlink::record`).
//! Work runs on the runtime's thread pool, one call at a time; a panic rejects its promise instead of ending the process.

mod notify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hostgw_rtnetlink::batch::{Batches, Failure, Outcome, Request};
use hostgw_rtnetlink::dump::dump;
use hostgw_rtnetlink::listen::Listener;
use hostgw_rtnetlink::neighbour;
use hostgw_rtnetlink::record::{self, Filter};
use napi::bindgen_prelude::{AsyncTask, Function, Int32Array, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Error, Result, Task};
use napi_derive::napi;

/// The number of the layouts and functions; the loader refuses any other than its own.
#[napi(catch_unwind)]
pub fn abi() -> u32 {
    record::ABI
}

/// The marker by which scripts/native.mjs sees, in the file itself, which sources it was built from.
#[napi(catch_unwind)]
pub fn sources() -> &'static str {
    concat!("hostgw-sources:", env!("HOSTGW_SOURCES"))
}

/// Sends a line of sd_notify's protocol to the socket that NOTIFY_SOCKET names.
#[napi(catch_unwind)]
pub fn notify(socket: String, text: String) -> Result<()> {
    notify::send(&socket, &text)
        .map_err(|error| Error::from_reason(format!("cannot notify {socket}: {error}")))
}

/// One socket for batches and at most one listener.
#[napi]
pub struct Netlink {
    /// None once closed; a batch in flight keeps its own share.
    batches: Option<Arc<Mutex<Batches>>>,
    /// The port of the batches' socket.
    own: Arc<AtomicU32>,
    listener: Option<Listener>,
}

#[napi]
impl Netlink {
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Result<Self> {
        let batches = Batches::open().map_err(sentence)?;
        let own = batches.port();
        Ok(Self { batches: Some(Arc::new(Mutex::new(batches))), own, listener: None })
    }

    /// Applies packed operations in order. The bytes are copied: JavaScript may go on with its own.
    #[napi(catch_unwind)]
    pub fn apply(&self, records: &[u8]) -> Result<AsyncTask<Apply>> {
        self.batch(records, record::read_ops)
    }

    /// The same for packed operations on neighbour entries.
    #[napi(catch_unwind)]
    pub fn apply_neighbours(&self, records: &[u8]) -> Result<AsyncTask<Apply>> {
        self.batch(records, neighbour::read_ops)
    }

    /// The routes of a packed filter as packed records.
    #[napi(catch_unwind)]
    pub fn dump(&self, filter: &[u8]) -> Result<AsyncTask<Dump>> {
        Ok(AsyncTask::new(Dump { filter: read_filter(filter)? }))
    }

    /// The neighbour entries of the devices, and those of the protocol wherever they are.
    #[napi(catch_unwind)]
    pub fn dump_neighbours(&self, protocol: u32, devices: Vec<u32>) -> Result<AsyncTask<DumpNeighbours>> {
        let protocol = u8::try_from(protocol)
            .map_err(|_| Error::from_reason(format!("{protocol} is no protocol number")))?;
        Ok(AsyncTask::new(DumpNeighbours { protocol, devices }))
    }

    /// Calls back with the bits of what may have changed (`hostgw_rtnetlink::listen`), instead of an earlier listener.
    /// Routes that `apply` changed are not told of.
    /// Does not keep the process alive.
    #[napi(catch_unwind)]
    pub fn listen(&mut self, filter: &[u8], callback: Function<'_, (u32,), ()>) -> Result<()> {
        let filter = read_filter(filter)?;
        let pending = Arc::new(AtomicU32::new(0));
        let taken = Arc::clone(&pending);
        let call = callback
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |_| Ok((taken.swap(0, Ordering::AcqRel),)))?;
        let listener = Listener::start(filter, Arc::clone(&self.own), move |bits| {
            // A call that is already queued will take these bits along: nothing piles up.
            if pending.fetch_or(bits, Ordering::AcqRel) == 0 {
                call.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
        });
        // The new one hears before the old one ends: nothing falls between them.
        self.listener = Some(listener.map_err(sentence)?);
        Ok(())
    }

    /// Ends listening, waits for its thread and closes all descriptors. Calling it twice is harmless.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.listener = None;
        self.batches = None;
    }
}

/// Hears nftables change.
#[napi]
pub struct Firewall {
    listener: Option<Listener>,
}

#[napi]
impl Firewall {
    /// Calls back after a change, several merged into one call. Does not keep the process alive.
    #[napi(constructor, catch_unwind)]
    pub fn new(callback: Function<'_, (), ()>) -> Result<Self> {
        let pending = Arc::new(AtomicBool::new(false));
        let taken = Arc::clone(&pending);
        let call = callback.build_threadsafe_function::<()>().weak::<true>().build_callback(move |_| {
            taken.store(false, Ordering::Release);
            Ok(())
        })?;
        let listener = Listener::firewall(move || {
            if !pending.swap(true, Ordering::AcqRel) {
                call.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }
        });
        Ok(Self { listener: Some(listener.map_err(sentence)?) })
    }

    /// Ends listening and waits for its thread. Calling it twice is harmless.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.listener = None;
    }
}

impl Netlink {
    /// `read` runs on the thread pool, too: the runtime's own thread only copies the bytes.
    fn batch<R: Request + 'static>(
        &self,
        records: &[u8],
        read: fn(&[u8]) -> std::result::Result<Vec<R>, usize>,
    ) -> Result<AsyncTask<Apply>> {
        let batches = self.batches.clone().ok_or_else(|| Error::from_reason("closed"))?;
        let records = records.to_vec();
        let work = move |batches: &mut Batches| {
            let ops = read(&records)
                .map_err(|index| Error::from_reason(format!("record {index} is no operation")))?;
            batches.apply(&ops).map_err(sentence)
        };
        Ok(AsyncTask::new(Apply { batches, work: Box::new(work) }))
    }
}

/// What became of a batch. `unknown` is there exactly if operations may or may not have been done.
#[napi(object)]
pub struct Applied {
    /// Index, errno and message number (-1 for none) of each failure, in order.
    pub failures: Int32Array,
    /// The kernel's sentences, each once.
    pub messages: Vec<String>,
    pub unknown: Option<String>,
}

type Work = dyn FnMut(&mut Batches) -> Result<Outcome> + Send;

pub struct Apply {
    batches: Arc<Mutex<Batches>>,
    work: Box<Work>,
}

impl Task for Apply {
    type Output = Outcome;
    type JsValue = Applied;

    fn compute(&mut self) -> Result<Outcome> {
        guarded(|| {
            // A batch that panicked took its socket with it: the next one opens another.
            let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
            (self.work)(&mut batches)
        })
    }

    fn resolve(&mut self, _: Env, outcome: Outcome) -> Result<Applied> {
        Ok(match outcome {
            Outcome::Complete { failures, sentences } => Applied {
                failures: Int32Array::new(failures.iter().flat_map(triple).collect()),
                messages: sentences,
                unknown: None,
            },
            Outcome::Unknown { reason } => {
                Applied { failures: Int32Array::new(Vec::new()), messages: Vec::new(), unknown: Some(reason) }
            }
        })
    }
}

/// Indexes fit: a batch of 2^31 records would be 146 GB.
fn triple(failure: &Failure) -> [i32; 3] {
    [failure.index as i32, failure.errno, failure.sentence.map_or(-1, |number| number as i32)]
}

pub struct Dump {
    filter: Filter,
}

impl Task for Dump {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> Result<Vec<u8>> {
        guarded(|| dump(&self.filter, |route, records| record::write_route(records, route)).map_err(sentence))
    }

    fn resolve(&mut self, _: Env, records: Vec<u8>) -> Result<Uint8Array> {
        Ok(Uint8Array::new(records))
    }
}

/// What a dump of neighbours shows.
#[napi(object)]
pub struct Neighbours {
    /// Packed as `hostgw_rtnetlink::neighbour` says.
    pub records: Uint8Array,
    /// Those of the devices asked for that are up and have a carrier.
    pub live: Vec<u32>,
}

pub struct DumpNeighbours {
    protocol: u8,
    devices: Vec<u32>,
}

impl Task for DumpNeighbours {
    type Output = neighbour::View;
    type JsValue = Neighbours;

    fn compute(&mut self) -> Result<neighbour::View> {
        guarded(|| neighbour::dump(self.protocol, &self.devices).map_err(sentence))
    }

    fn resolve(&mut self, _: Env, view: neighbour::View) -> Result<Neighbours> {
        let mut records = Vec::with_capacity(view.neighbours.len() * neighbour::RECORD);
        view.neighbours.iter().for_each(|entry| neighbour::write(&mut records, entry));
        Ok(Neighbours { records: Uint8Array::new(records), live: view.live })
    }
}

fn read_filter(bytes: &[u8]) -> Result<Filter> {
    Filter::read(bytes).ok_or_else(|| Error::from_reason("the filter's bytes are none"))
}

fn sentence(error: hostgw_rtnetlink::Error) -> Error {
    Error::from_reason(error.to_string())
}

/// A panic on the thread pool would unwind into C and abort the process.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Err(Error::from_reason(format!("the addon panicked: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let result = guarded::<()>(|| panic!("at {}", 7));
        assert!(result.is_err_and(|error| error.reason.contains("the addon panicked: at 7")));
    }
}
