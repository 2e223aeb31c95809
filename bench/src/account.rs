//! What the server takes while something is measured, and how fast the machine is meanwhile.
//!
//! A virtual machine has neighbours, and a processor slows down with its load: for seconds the same
//! signature takes a third longer, and so does everything else. So a thread signs now and then on
//! the server's cores while something is measured, and RSA is counted as it goes at that time.

use std::slice;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use waxwing_core::crypto::Digest;

use crate::cores::{cores_of, stay_on};
use crate::floor::{Key, thread_time};
use crate::process::Server;

/// Between two looks at the pace, each of which takes as long as a few signatures: first so long,
/// and twice as long each time, for what is soon over.
const FIRST_GAP: Duration = Duration::from_millis(50);
const LONGEST_GAP: Duration = Duration::from_millis(400);
/// Looks at the idle machine, and signatures behind each to compare it with.
const IDLE_LOOKS: usize = 21;
const HOT: u32 = 16;
/// Signatures that are timed, after as many that warm the processor up.
const TIMED: u32 = 2;

/// What tells the pace of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Yardstick {
    key: Key,
    /// Microseconds of a signature while nothing else goes on.
    alone: f64,
}

impl Yardstick {
    /// Of a machine that has nothing else to do, where each signature of many takes `one`, in
    /// microseconds. One of the few of a look takes a little longer, which is not the fault of what
    /// is measured.
    pub(crate) fn on_idle_machine(key: Key, one: f64) -> Result<Self> {
        let compare = |_| {
            thread::sleep(FIRST_GAP);
            Ok(look(key)? / signatures(key, HOT)?)
        };
        let mut longer = (0..IDLE_LOOKS).map(compare).collect::<Result<Vec<f64>>>()?;
        longer.sort_by(f64::total_cmp);
        Ok(Self { key, alone: one * longer[IDLE_LOOKS / 2] })
    }
}

/// What was spent between opening and closing an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) span: Duration,
    /// The server's processor time.
    pub(crate) processor: Duration,
    /// How many times as long as on the idle machine a signature took, if anybody looked.
    pub(crate) slowness: Option<f64>,
}

/// An account of the server's time that is open.
pub(crate) struct Account<'a> {
    /// Nothing for a server that somebody else has started, whose time is not known.
    server: Option<&'a Server>,
    begun: Instant,
    busy: Duration,
    watch: Option<Watch>,
}

impl<'a> Account<'a> {
    /// Without a yardstick nobody disturbs what is measured.
    pub(crate) fn open(server: Option<&'a Server>, yardstick: Option<Yardstick>) -> Result<Self> {
        let watch =
            server.zip(yardstick).map(|(server, yardstick)| Watch::begin(yardstick, server));
        let watch = watch.transpose()?;
        Ok(Self { server, begun: Instant::now(), busy: processor_time(server)?, watch })
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) fn close(self) -> Result<Spent> {
        let span = self.begun.elapsed();
        let processor = processor_time(self.server)?.saturating_sub(self.busy);
        let slowness = self.watch.map(Watch::end).transpose()?;
        Ok(Spent { span, processor, slowness })
    }
}

fn processor_time(server: Option<&Server>) -> Result<Duration> {
    server.map_or(Ok(Duration::ZERO), Server::processor_time)
}

/// A thread that signs now and then.
struct Watch {
    alone: f64,
    over: Sender<()>,
    thread: JoinHandle<Result<f64>>,
}

impl Watch {
    fn begin(Yardstick { key, alone }: Yardstick, server: &Server) -> Result<Self> {
        let cores = cores_of(server.id())?;
        let (over, is_over) = channel();
        let thread = thread::spawn(move || {
            let (mut looks, mut speeds, mut gap) = (0.0, 0.0, FIRST_GAP);
            for core in cores.iter().cycle() {
                stay_on(slice::from_ref(core))?;
                looks += 1.0;
                speeds += 1.0 / look(key)?;
                if is_over.recv_timeout(gap) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                gap = LONGEST_GAP.min(2 * gap);
            }
            // Whoever is slow for a part of the time does less in it.
            Ok(looks / speeds)
        });
        Ok(Self { alone, over, thread })
    }

    fn end(self) -> Result<f64> {
        drop(self.over);
        let signature = self.thread.join().map_err(|_| anyhow!("a panic"))??;
        Ok(signature / self.alone)
    }
}

/// Microseconds of processor time that a signature takes now.
fn look(key: Key) -> Result<f64> {
    signatures(key, TIMED)?;
    signatures(key, TIMED)
}

/// Microseconds that each of `count` signatures takes.
fn signatures(key: Key, count: u32) -> Result<f64> {
    let rng = &mut waxwing_server::backend::random();
    let begun = thread_time();
    for _ in 0..count {
        let signed = key.sign(rng, &Digest([7; _]));
        signed.map_err(|_| anyhow!("the backend does not sign"))?;
    }
    let took = thread_time().saturating_sub(begun);
    Ok(took.as_secs_f64() * 1e6 / f64::from(count))
}
