//! The Ethernet controller of the LM3S6965 (its data sheet, chapter 16), as a device of smoltcp.
//!
//! A frame passes through a FIFO, a word after the other, with its length before it. The link is
//! taken to be up: QEMU's always is. On a board with a cable, ask the PHY over the MII registers.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// The board's address, of those that everybody may use.
pub const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

/// Bytes of the longest frame, without its checksum.
pub(crate) const FRAME: usize = 1_514;

/// The controller, and a frame in each direction. There is one.
pub struct Ethernet {
    received: [u8; FRAME],
    to_send: [u8; FRAME],
}

impl Ethernet {
    /// Switches the controller on.
    pub fn start() -> Self {
        registers::start(MAC);
        Self { received: [0; FRAME], to_send: [0; FRAME] }
    }

    /// A frame that has come, and the place for an answer.
    pub(crate) fn take(&mut self) -> Option<(Received<'_>, ToSend<'_>)> {
        let len = registers::take_frame(&mut self.received)?;
        Some((Received(&mut self.received[..len]), ToSend(&mut self.to_send)))
    }

    /// The place for a frame.
    pub(crate) const fn place(&mut self) -> ToSend<'_> {
        ToSend(&mut self.to_send)
    }
}

impl Device for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, ToSend<'_>)> {
        self.take()
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_>> {
        Some(self.place())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// A frame that has come.
pub struct Received<'a>(pub(crate) &'a mut [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// The place for a frame that is to be sent.
pub struct ToSend<'a>(&'a mut [u8; FRAME]);

impl ToSend<'_> {
    pub(crate) fn send<R>(self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let frame = &mut self.0[..len];
        let result = fill(frame);
        registers::send_frame(frame);
        result
    }
}

impl phy::TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        self.send(len, fill)
    }
}

/// The interrupt at a frame that has come, for whoever does not look by himself.
#[cfg(feature = "embassy")]
pub(crate) mod interrupt {
    use super::registers::{BASE, write};

    /// Writing forgets an interrupt.
    const IACK: usize = BASE;
    /// Which interrupts there are.
    const IM: usize = BASE + 0x04;
    const RECEIVED: u32 = 1 << 0;

    /// Its number.
    pub(crate) const NUMBER: u16 = 42;

    /// The interrupt as the processor knows it.
    #[derive(Clone, Copy)]
    struct Line;

    // SAFETY: the board wires the controller's interrupt to this number.
    unsafe impl cortex_m::interrupt::InterruptNumber for Line {
        fn number(self) -> u16 {
            NUMBER
        }
    }

    /// Lets the processor take it.
    pub(crate) fn unmask() {
        // SAFETY: the handler is there, and no critical section is disturbed before `main` runs.
        unsafe { cortex_m::peripheral::NVIC::unmask(Line) };
    }

    /// Forgets the frames that have come: they are looked for after this.
    pub(crate) fn forget() {
        write(IACK, RECEIVED);
    }

    /// Asks for one, at once if a frame has come since [`forget`].
    pub(crate) fn ask() {
        write(IM, RECEIVED);
    }

    /// Asks for none.
    pub(crate) fn ask_for_none() {
        write(IM, 0);
    }
}

mod registers {
    use core::ptr::{read_volatile, write_volatile};

    /// The clocks of the controller and of its PHY, which are off after a reset.
    const RCGC2: usize = 0x400f_e108;
    const RCGC2_EMAC0: u32 = 1 << 28;
    const RCGC2_EPHY0: u32 = 1 << 30;

    pub(super) const BASE: usize = 0x4004_8000;
    /// Receive control.
    const RCTL: usize = BASE + 0x08;
    const RCTL_ENABLE: u32 = 1 << 0;
    const RCTL_NO_BAD_CHECKSUM: u32 = 1 << 3;
    const RCTL_RESET: u32 = 1 << 4;
    /// Transmit control.
    const TCTL: usize = BASE + 0x0c;
    const TCTL_ENABLE: u32 = 1 << 0;
    const TCTL_PAD: u32 = 1 << 1;
    const TCTL_CHECKSUM: u32 = 1 << 2;
    const TCTL_DUPLEX: u32 = 1 << 4;
    /// The FIFOs: reading takes from one, writing gives to the other.
    const DATA: usize = BASE + 0x10;
    /// The address: its first four bytes, and its last two.
    const IA0: usize = BASE + 0x14;
    const IA1: usize = BASE + 0x18;
    /// Frames that have come.
    const NP: usize = BASE + 0x34;
    /// 1 from the moment when a frame is to be sent until it is.
    const TR: usize = BASE + 0x38;

    /// Before a frame in a FIFO: its length.
    const LENGTH: usize = 2;
    /// After a received one.
    const CHECKSUM: usize = 4;
    /// What the length of a frame to be sent does not count.
    const HEADER: usize = 14;

    pub(super) fn start(mac: [u8; 6]) {
        write(RCGC2, read(RCGC2) | RCGC2_EMAC0 | RCGC2_EPHY0);
        let [a, b, c, d, e, f] = mac;
        write(IA0, u32::from_le_bytes([a, b, c, d]));
        write(IA1, u32::from_le_bytes([e, f, 0, 0]));
        write(RCTL, RCTL_RESET);
        write(RCTL, RCTL_ENABLE | RCTL_NO_BAD_CHECKSUM);
        write(TCTL, TCTL_ENABLE | TCTL_PAD | TCTL_CHECKSUM | TCTL_DUPLEX);
    }

    /// Takes a frame from the FIFO: its length. `None` if there is none, or it was too long, and is
    /// gone.
    pub(super) fn take_frame(room: &mut [u8]) -> Option<usize> {
        if read(NP) == 0 {
            return None;
        }
        let first = read(DATA).to_le_bytes();
        let whole = usize::from(u16::from_le_bytes([first[0], first[1]]));
        let len = whole.saturating_sub(LENGTH + CHECKSUM);
        let mut put = |at: usize, bytes: &[u8]| {
            let end = (at + bytes.len()).min(len).min(room.len());
            if let Some(place) = room.get_mut(at..end) {
                place.copy_from_slice(&bytes[..place.len()]);
            }
        };
        put(0, &first[LENGTH..]);
        for at in (4..whole).step_by(4) {
            put(at - LENGTH, &read(DATA).to_le_bytes());
        }
        (len <= room.len()).then_some(len)
    }

    /// Puts a frame, which has a header, into the FIFO and sends it. Waits for the one before it, which
    /// takes an eighth of a millisecond at most.
    pub(super) fn send_frame(frame: &[u8]) {
        while read(TR) != 0 {}
        let len = (frame.len().saturating_sub(HEADER) as u16).to_le_bytes();
        let (first, rest) = frame.split_at(LENGTH.min(frame.len()));
        let mut word = [len[0], len[1], 0, 0];
        word[LENGTH..][..first.len()].copy_from_slice(first);
        write(DATA, u32::from_le_bytes(word));
        for piece in rest.chunks(4) {
            let mut word = [0; 4];
            word[..piece.len()].copy_from_slice(piece);
            write(DATA, u32::from_le_bytes(word));
        }
        write(TR, 1);
    }

    fn read(register: usize) -> u32 {
        // SAFETY: it is a register of the controller, and reading has no effect on memory.
        unsafe { read_volatile(register as *const u32) }
    }

    pub(super) fn write(register: usize, value: u32) {
        // SAFETY: it is a register of the controller, and writing has no effect on memory.
        unsafe { write_volatile(register as *mut u32, value) }
    }
}
