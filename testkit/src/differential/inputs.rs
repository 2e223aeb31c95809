//! Inputs for decoders: well-formed ones of every kind, at and beyond the bounds, and changed here and
//! there. The same generator gives the same inputs.

use super::verdict::Kind;
use super::{TIMESTAMP, conduct, packet};
use crate::backend::{Backend, Glass};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// An input, and what it is taken for.
pub type Input = (Kind, Vec<u8>);

/// Draws inputs.
pub struct Inputs {
    rng: ChaCha8Rng,
    kept: Vec<Input>,
    keys: Vec<Vec<u8>>,
}

impl Inputs {
    /// From `kept` ones, besides those that it makes itself.
    pub fn new(rng: ChaCha8Rng, kept: Vec<Input>) -> Self {
        Self { rng, kept, keys: (0..4).map(|at| Glass::key(at).0.as_bytes().to_vec()).collect() }
    }

    /// The next one.
    pub fn draw(&mut self) -> Input {
        let (kind, mut bytes) = match self.below(10) {
            0 if !self.kept.is_empty() => {
                let at = self.below(self.kept.len());
                self.kept[at].clone()
            }
            _ => {
                let kind = Kind::ALL[self.below(Kind::ALL.len())];
                (kind, self.sample(kind))
            }
        };
        let changes = [0, 1, 1, 1, 2, 3][self.below(6)];
        if kind.moment().is_none() {
            (0..changes).for_each(|_| self.change(kind, &mut bytes));
        } else if changes > 1 && bytes.len() > 26 {
            // It stays a packet.
            let at = [0, 2, 23, 26 + self.below(bytes.len() - 26)][self.below(4)];
            bytes[at] ^= 1 << self.below(8);
        }
        (kind, bytes)
    }

    /// Well-formed, or beyond a bound.
    fn sample(&mut self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::Packet => self.packet(),
            Kind::Phone => self.phone(),
            Kind::Code => self.code(),
            Kind::Timestamp => self.timestamp(),
            Kind::Moment => self.moment().to_le_bytes().into(),
            Kind::PublicKey => self.key(),
            Kind::RegistrationRequest => [self.bytes(32), self.counted_phone()].concat(),
            Kind::OtpProof => {
                [self.bytes(32), self.code(), self.bytes(48), self.counted_phone()].concat()
            }
            Kind::RegistrationRejected | Kind::CloseReason => vec![self.small(6)],
            Kind::OtpGrant => {
                let code = self.code();
                let otp = if self.chance(3) { vec![0] } else { counted(&code) };
                [self.bytes(5), otp].concat()
            }
            Kind::SessionGrant => self.bytes(48),
            Kind::KeyQuestion if self.chance(2) => [vec![1], self.user()].concat(),
            Kind::KeyQuestion => [vec![2], self.counted_phone()].concat(),
            Kind::KeyAnswer if self.chance(4) => {
                [vec![0, 0], b"2026-12-24 18:00:00".to_vec(), self.key()].concat()
            }
            Kind::KeyAnswer => [self.user(), self.counted_phone(), self.key()].concat(),
            Kind::ClientReport => match self.below(3) {
                0 => vec![0, self.near(&[1, 128])],
                1 => [vec![1], self.entries(&[0, 1, 112], |inputs| inputs.bytes(16))].concat(),
                _ => {
                    let query = |inputs: &mut Self| [inputs.user(), inputs.bytes(16)].concat();
                    [vec![2], self.entries(&[1, 110], query)].concat()
                }
            },
            Kind::Statuses => self.entries(&[1, 119], |inputs| {
                let status = if inputs.chance(200) { 4 } else { inputs.small(4) };
                [inputs.bytes(16), vec![status]].concat()
            }),
            Kind::BacklogSize => self.bytes(4),
            Kind::Refusal => {
                let head = self.bytes(5);
                let id = if self.chance(2) { vec![0] } else { [vec![1], self.bytes(16)].concat() };
                [head, id, self.text()].concat()
            }
            Kind::ToAsked
            | Kind::ToProving
            | Kind::ToReconnecting
            | Kind::ToConfirming
            | Kind::ToOnline => self.packet_for_client(kind),
        }
    }

    /// A small change of what stands there.
    fn change(&mut self, kind: Kind, bytes: &mut Vec<u8>) {
        const TELLING: &[u8] =
            b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x10\x11\x7f\x80\x81\xfe\xff /09:+-aT\n";
        // Near the front is what decides what the rest is.
        let (len, front) = (bytes.len(), self.chance(2));
        let at = self.below(if front { len.min(40) } else { len }.max(1)).min(len);
        match self.below(10) {
            0 if at < len => bytes[at] ^= 1 << self.below(8),
            1 if at < len => bytes[at] = TELLING[self.below(TELLING.len())],
            2 if at < len => bytes[at] = self.small(0),
            3 => bytes.truncate(len.saturating_sub(1 + self.below(20))),
            4 => {
                let more = 1 + self.below(20);
                let more = if self.chance(2) { vec![0; more] } else { self.bytes(more) };
                bytes.extend(more);
            }
            5 if at < len => drop(bytes.remove(at)),
            6 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
            7 if at + 1 < len => {
                let number = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
                let number =
                    if self.chance(2) { number.wrapping_add(1) } else { number.wrapping_sub(1) };
                bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
            }
            8 if at + 1 < len => bytes.swap(at, at + 1),
            _ => {
                let other = self.sample(kind);
                let rest = other.get(at..).unwrap_or_default();
                bytes.truncate(at);
                bytes.extend(rest);
            }
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        const OPS: [u8; 15] =
            [100, 101, 102, 105, 106, 150, 200, 201, 203, 204, 206, 222, 244, 255, 0];
        let size = match self.below(40) {
            0 => 65_535,
            1 => 256 * self.below(30),
            _ => self.below(64),
        };
        let (mut time, payload) = ([0; 19], self.bytes(size));
        let drawn = self.timestamp();
        time.copy_from_slice(&drawn[..19]);
        let (from, to) = (self.number(), self.number());
        packet(from, to, &time, OPS[self.below(OPS.len())], &payload)
    }

    /// A packet as a server of glass sends it to a client.
    fn packet_for_client(&mut self, kind: Kind) -> Vec<u8> {
        const OPS: [u8; 12] = [150, 200, 201, 206, 102, 203, 204, 222, 244, 255, 105, 99];
        let in_session = [102, 203, 204, 222, 244, 255];
        let op = match kind {
            _ if self.chance(10) => self.pick(&OPS),
            Kind::ToAsked => self.pick(&[150, 200, 244]),
            Kind::ToProving => self.pick(&[201, 244]),
            Kind::ToReconnecting => self.pick(&[206, 244]),
            _ => self.pick(&in_session),
        };
        let is_shared = match op {
            150 | 200 => true,
            244 if kind < Kind::ToConfirming => true,
            203 | 244 | 255 => self.chance(2),
            _ => false,
        };
        let mut payload = match op {
            102 => {
                let size = self.pick(&[0, 16, 306, 700]);
                self.bytes(size)
            }
            150 => conduct::padded(self.content(Kind::RegistrationRejected)),
            200 => conduct::padded(self.content(Kind::OtpGrant)),
            201 | 206 => {
                let nonce = if self.chance(10) { self.bytes(16) } else { vec![conduct::NONCE; 16] };
                conduct::wrapped(&[self.bytes(32), nonce].concat())
            }
            203 | 255 if is_shared => self.tokens(op),
            244 if is_shared => self.content(Kind::Refusal),
            _ => {
                let seq = u32::from(kind == Kind::ToOnline) + u32::from(self.chance(20));
                let content = match op {
                    203 => self.content(Kind::Statuses),
                    204 => self.content(Kind::KeyAnswer),
                    222 => self.content(Kind::CloseReason),
                    255 => self.content(Kind::BacklogSize),
                    _ => self.content(Kind::Refusal),
                };
                conduct::sealed(seq, &content)
            }
        };
        match self.below(16) {
            0 => payload.truncate(payload.len().saturating_sub(self.pick(&[1, 16]))),
            1 => payload.extend(vec![0; self.pick(&[1, 16, 2_048])]),
            _ => {}
        }
        let sender = if op == 102 { self.pick(&[2, 2, 2, 0, conduct::USER]) } else { 0 };
        let sender = if self.chance(20) { 2 } else { sender };
        let recipient = match self.below(20) {
            0 => 8,
            1 => conduct::USER * u16::from(is_shared),
            _ => conduct::USER * u16::from(!is_shared),
        };
        packet(sender, recipient, TIMESTAMP, op, &payload)
    }

    /// A sample, sometimes changed.
    fn content(&mut self, kind: Kind) -> Vec<u8> {
        let mut content = self.sample(kind);
        if kind == Kind::KeyAnswer && !self.chance(10) {
            content[..2].copy_from_slice(&conduct::ASKED_ABOUT.to_le_bytes());
        }
        if self.chance(4) {
            self.change(kind, &mut content);
        }
        content.truncate(2_027);
        content
    }

    /// A shared packet: an IV, and tokens of which most are noise.
    fn tokens(&mut self, op: u8) -> Vec<u8> {
        let count = if self.chance(4) { self.near(&[1, 127]) } else { self.small(5) };
        let mut payload = self.bytes(16);
        for _ in 0..count {
            let token = match (op, self.below(3)) {
                (255, 0) => [vec![conduct::NONCE; 12], self.bytes(4)].concat(),
                (203, 0) => [self.bytes(15), vec![self.small(5)]].concat(),
                _ => self.bytes(16),
            };
            payload.extend(token);
        }
        payload
    }

    /// 19 bytes.
    fn timestamp(&mut self) -> Vec<u8> {
        let year = self.pick(&[0, 1, 4, 99, 100, 400, 1900, 1970, 2000, 2026, 2028, 2100, 9999]);
        let month = self.pick(&[1, 2, 2, 2, 3, 4, 6, 9, 11, 12]);
        let day = self.pick(&[1, 15, 28, 28, 29, 30, 31]);
        let hour = self.pick(&[0, 9, 12, 23]);
        let (minute, second) = (self.pick(&[0, 7, 59]), self.pick(&[0, 7, 59]));
        // Now and then one number is beyond what it can be.
        let [month, day, hour, minute, second] = match self.below(24) {
            0 => [self.pick(&[0, 13]), day, hour, minute, second],
            1 => [month, self.pick(&[0, 31, 32]), hour, minute, second],
            2 => [month, day, 24, minute, second],
            3 => [month, day, hour, 60, second],
            4 => [month, day, hour, minute, self.pick(&[60, 61])],
            _ => [month, day, hour, minute, second],
        };
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").into()
    }

    fn moment(&mut self) -> i64 {
        let edge = self.pick(&[0, 951_782_400, -62_167_219_200, 253_402_300_799]);
        match self.below(4) {
            0 => edge + self.pick(&[-86_401, -86_400, -1, 0, 1, 86_399, 86_400]),
            1 => self.rng.next_u64().cast_signed(),
            2 => i64::from(self.rng.next_u32()),
            _ => -62_167_219_200 + i64::from(self.rng.next_u32()) * 74,
        }
    }

    fn phone(&mut self) -> Vec<u8> {
        let digits = self.pick(&[6, 7, 8, 11, 14, 15, 16]);
        let first = if self.chance(12) { b'0' } else { b'1' + self.small(9) };
        let mut phone = vec![b'+', first];
        phone.extend((1..digits).map(|_| b'0' + self.small(10)));
        phone
    }

    fn counted_phone(&mut self) -> Vec<u8> {
        counted(&self.phone())
    }

    fn code(&mut self) -> Vec<u8> {
        let len = if self.chance(20) { 5 + self.below(3) } else { 6 };
        let other = self.chance(20);
        (0..len).map(|_| if other { self.small(0) } else { b'0' + self.small(10) }).collect()
    }

    fn key(&mut self) -> Vec<u8> {
        let at = self.below(self.keys.len());
        let mut key = self.keys[at].clone();
        if self.chance(8) {
            // Most of these have a small factor.
            let at = 33 + self.below(256);
            key[at] = self.small(0);
        }
        key
    }

    /// Pieces of UTF-8, now and then of what is none, around the 128 bytes that a text may have.
    fn text(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 8] = [
            b"no",
            b" ",
            b"\n\x1b",
            "ü".as_bytes(),
            "€".as_bytes(),
            "🦆".as_bytes(),
            b"\0",
            b"retry",
        ];
        const WRONG: [&[u8]; 7] = [
            b"\x80",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
            b"\xf0\x9f",
            b"\xff",
        ];
        let len = self.pick(&[0, 5, 126, 127, 128, 129, 130]);
        let mut text = Vec::new();
        while text.len() < len {
            text.extend(PIECES[self.below(PIECES.len())]);
        }
        if self.chance(2) {
            text.resize(len, b'.');
        }
        if self.chance(5) {
            let (at, wrong) = (self.below(text.len() + 1), WRONG[self.below(WRONG.len())]);
            text.splice(at..at, wrong.iter().copied());
        }
        text
    }

    /// A count and so many entries: a few, or about as many as one of the bounds.
    fn entries(&mut self, bounds: &[u8], entry: impl Fn(&mut Self) -> Vec<u8>) -> Vec<u8> {
        let count = if self.chance(3) { self.near(bounds) } else { self.small(4) };
        let entries: Vec<u8> = (0..count).flat_map(|_| entry(self)).collect();
        [&u16::from(count).to_le_bytes()[..], &entries].concat()
    }

    fn near(&mut self, bounds: &[u8]) -> u8 {
        let bound = bounds[self.below(bounds.len())];
        bound.wrapping_add(self.small(3)).wrapping_sub(1)
    }

    fn user(&mut self) -> Vec<u8> {
        self.number().to_le_bytes().into()
    }

    fn number(&mut self) -> u16 {
        match self.below(8) {
            0 => 0,
            1 => 0xffff,
            2 => 256,
            _ => self.rng.next_u32() as u16,
        }
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// One time in `n`.
    fn chance(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A byte below `n`; any byte for 0.
    fn small(&mut self, n: u8) -> u8 {
        let drawn = self.rng.next_u32() as u8;
        drawn.checked_rem(n).unwrap_or(drawn)
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.next_u32() as usize % n
    }
}

fn counted(text: &[u8]) -> Vec<u8> {
    [&[text.len() as u8][..], text].concat()
}
