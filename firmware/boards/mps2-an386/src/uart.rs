//! The line to the server: the first CMSDK UART of the board.
//!
//! Bytes that arrive are taken by interrupt into a ring, because the UART itself holds one. When
//! the ring is full they stay in the UART, and a line with flow control stops the sender; on one
//! without, the next byte is lost, the UART says so, and the stream is over.

use core::cell::RefCell;
use core::time::Duration;

use cortex_m_rt::exception;
use critical_section::Mutex;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use heapless::Deque;
use waxwing_device::board::Board as _;

/// How long the other end of the line, which is QEMU, takes to connect anew; what is said meanwhile
/// is lost.
const RECONNECTING: Duration = Duration::from_secs(2);
/// What the ring holds.
const RING: usize = 512;

static RECEIVED: Mutex<RefCell<Received>> =
    Mutex::new(RefCell::new(Received { bytes: Deque::new(), overrun: false }));

struct Received {
    bytes: Deque<u8, RING>,
    overrun: bool,
}

/// The line. There is one.
#[derive(Debug)]
pub struct Uart {
    has_connected: bool,
}

/// A byte came and there was no place for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl core::fmt::Display for Overrun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("receive overrun")
    }
}

impl core::error::Error for Overrun {}

impl embedded_io::Error for Overrun {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl Uart {
    /// Switches it on.
    pub fn start() -> Self {
        registers::start();
        Self { has_connected: false }
    }

    /// Begins a connection: forgets what has arrived, which belongs to one that is over.
    pub fn connect(&mut self) {
        if !core::mem::replace(&mut self.has_connected, true) {
            return;
        }
        let until = crate::BOARD.now().instant.after(RECONNECTING);
        while crate::BOARD.now().instant < until {
            cortex_m::asm::wfi();
        }
        critical_section::with(|section| {
            let mut received = RECEIVED.borrow_ref_mut(section);
            received.bytes.clear();
            received.overrun = false;
        });
        registers::listen();
    }
}

/// Every interrupt of the board.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == registers::RECEIVE_IRQ as i16 {
        received();
    }
}

/// Takes what there is room for.
fn received() {
    critical_section::with(|section| {
        let mut received = RECEIVED.borrow_ref_mut(section);
        received.overrun |= registers::take_overrun();
        while !received.bytes.is_full() {
            let Some(byte) = registers::take_byte() else {
                registers::acknowledge();
                return;
            };
            let _ = received.bytes.push_back(byte);
        }
        // The rest waits in the UART until somebody reads.
        registers::stop_listening();
    });
}

impl ErrorType for Uart {
    type Error = Overrun;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Overrun> {
        critical_section::with(|section| {
            let received = RECEIVED.borrow_ref(section);
            if received.overrun { Err(Overrun) } else { Ok(!received.bytes.is_empty()) }
        })
    }
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Overrun> {
        while !buffer.is_empty() && !self.read_ready()? {
            cortex_m::asm::wfi();
        }
        let count = critical_section::with(|section| {
            let mut received = RECEIVED.borrow_ref_mut(section);
            let mut count = 0;
            for place in buffer.iter_mut() {
                let Some(byte) = received.bytes.pop_front() else { break };
                *place = byte;
                count += 1;
            }
            count
        });
        registers::listen();
        Ok(count)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Overrun> {
        Ok(registers::can_send())
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Overrun> {
        let Some(byte) = bytes.first() else { return Ok(0) };
        while !registers::can_send() {}
        registers::send(*byte);
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Overrun> {
        while !registers::can_send() {}
        Ok(())
    }
}

/// CMSDK APB UART (Arm DDI 0479, section 4.3), at 0x4000_4000.
mod registers {
    use core::ptr::{read_volatile, write_volatile};

    const BASE: usize = 0x4000_4000;
    const DATA: usize = BASE;
    const STATE: usize = BASE + 0x04;
    const CTRL: usize = BASE + 0x08;
    const INTERRUPT: usize = BASE + 0x0c;
    const DIVIDER: usize = BASE + 0x10;

    const STATE_SENDING: u32 = 1 << 0;
    const STATE_RECEIVED: u32 = 1 << 1;
    const STATE_OVERRUN: u32 = 1 << 3;
    const CTRL_SEND: u32 = 1 << 0;
    const CTRL_RECEIVE: u32 = 1 << 1;
    const CTRL_RECEIVE_INTERRUPT: u32 = 1 << 3;
    const INTERRUPT_RECEIVED: u32 = 1 << 1;

    /// Number of the interrupt for a byte that has arrived.
    pub(super) const RECEIVE_IRQ: u16 = 0;

    /// The interrupt as the controller knows it.
    #[derive(Clone, Copy)]
    struct Line;

    // SAFETY: the board wires the UART's receive interrupt to this number.
    unsafe impl cortex_m::interrupt::InterruptNumber for Line {
        fn number(self) -> u16 {
            RECEIVE_IRQ
        }
    }

    fn read(register: usize) -> u32 {
        // SAFETY: it is a register of the UART, and reading has no effect on memory.
        unsafe { read_volatile(register as *const u32) }
    }

    fn write(register: usize, value: u32) {
        // SAFETY: it is a register of the UART, and writing has no effect on memory.
        unsafe { write_volatile(register as *mut u32, value) }
    }

    pub(super) fn start() {
        // 25 MHz / 16, the fastest that it goes.
        write(DIVIDER, 16);
        listen();
        // SAFETY: the handler is there, and no critical section is disturbed before `main` runs.
        unsafe { cortex_m::peripheral::NVIC::unmask(Line) };
    }

    pub(super) fn listen() {
        write(CTRL, CTRL_SEND | CTRL_RECEIVE | CTRL_RECEIVE_INTERRUPT);
        // A byte that came while nobody listened has had its interrupt.
        if read(STATE) & STATE_RECEIVED != 0 {
            cortex_m::peripheral::NVIC::pend(Line);
        }
    }

    pub(super) fn stop_listening() {
        write(CTRL, CTRL_SEND | CTRL_RECEIVE);
        acknowledge();
    }

    pub(super) fn acknowledge() {
        write(INTERRUPT, INTERRUPT_RECEIVED);
    }

    pub(super) fn take_overrun() -> bool {
        let overrun = read(STATE) & STATE_OVERRUN != 0;
        if overrun {
            write(STATE, STATE_OVERRUN);
        }
        overrun
    }

    pub(super) fn take_byte() -> Option<u8> {
        (read(STATE) & STATE_RECEIVED != 0).then(|| read(DATA) as u8)
    }

    pub(super) fn can_send() -> bool {
        read(STATE) & STATE_SENDING == 0
    }

    pub(super) fn send(byte: u8) {
        write(DATA, u32::from(byte));
    }
}
