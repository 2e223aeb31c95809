//! Changes to a script that keep its meaning: steps come, go and change places as a whole, a packet
//! keeps a header that fits it, and what is sealed keeps its padding and its sequence number. Without
//! them most changes only end the first session of a script.

use libfuzzer_sys::fuzzer_mutate;
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::wire::{Header, Op, Packet};
use waxwing_testkit::simulation::{Dice, Seeded};

use crate::script::{Other, Step, Steps, encode};

/// Where the op code is in a header, and where the size of the payload.
const OP: usize = 23;
const SIZE: usize = 24;
/// IV and sequence number, which stand before what is sealed.
const SEAL: usize = 20;
const SEQ: usize = 16;
const BLOCK: usize = 16;

/// Changes some bytes, which may become so many.
pub type ChangeBytes<'a> = &'a mut dyn FnMut(&mut Vec<u8>, usize);

/// Changes an input of so many bytes where it lies: a script behind a beginning of so many bytes. Gives
/// the new size. One change in four is the fuzzer's own, which knows nothing of scripts.
pub fn mutate_input<O: Other>(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    beginning: usize,
) -> usize {
    if seed.is_multiple_of(4) || size < beginning {
        return fuzzer_mutate(data, size, max_size);
    }
    let max_len = max_size.saturating_sub(beginning);
    let script = mutate::<O>(&data[beginning..size], max_len, seed, &mut |bytes, max_len| {
        let len = bytes.len();
        bytes.resize(max_len.max(len), 0);
        let len = fuzzer_mutate(bytes, len, max_len);
        bytes.truncate(len);
    });
    let end = (beginning + script.len()).min(max_size);
    data[beginning..end].copy_from_slice(&script[..end - beginning]);
    end
}

/// Changes a script.
pub fn mutate<O: Other>(
    script: &[u8],
    max_len: usize,
    seed: u32,
    bytes: ChangeBytes<'_>,
) -> Vec<u8> {
    let dice = &mut Seeded::new(seed.into());
    let mut steps: Vec<Vec<u8>> = Steps::<O>::new(script).map(|step| encode(&[step])).collect();
    let at = dice.roll(steps.len().max(1));
    match dice.roll(8) {
        0 if !steps.is_empty() => drop(steps.remove(at)),
        1 if !steps.is_empty() => {
            let to = dice.roll(steps.len() + 1);
            steps.insert(to, steps[at].clone());
        }
        2 if !steps.is_empty() => {
            let other = dice.roll(steps.len());
            steps.swap(at, other);
        }
        3 => {
            let step = match dice.roll(3) {
                0 => Step::Wait(dice.roll(256) as u8),
                _ => Step::Other(O::ALL[dice.roll(8)]),
            };
            steps.insert(at, encode(&[step]));
        }
        _ => {
            let with_bytes = steps.iter_mut().filter_map(|step| {
                let Some(Step::Bytes(conn, bytes)) = Steps::<O>::new(step).next() else {
                    return None;
                };
                let bytes = bytes.to_vec();
                Some((step, conn, bytes))
            });
            let mut with_bytes: Vec<_> = with_bytes.collect();
            if !with_bytes.is_empty() {
                let at = dice.roll(with_bytes.len());
                let (step, conn, packet) = &mut with_bytes[at];
                change(dice, packet, bytes);
                packet.truncate(usize::from(u16::MAX));
                **step = encode::<O>(&[Step::Bytes(*conn, packet)]);
            }
        }
    }
    if dice.roll(8) > 0 {
        renumber::<O>(&mut steps);
    }
    let mut script = steps.concat();
    script.truncate(max_len);
    script
}

/// Changes the packet at the front, or the bytes if there is none.
fn change(dice: &mut dyn Dice, stream: &mut Vec<u8>, bytes: ChangeBytes<'_>) {
    let Some(len) = whole(stream) else {
        let max_len = 2 * stream.len() + HEADER_LEN;
        return bytes(stream, max_len);
    };
    let behind = stream.split_off(len);
    match dice.roll(8) {
        0 => stream[OP] = Op::ALL[dice.roll(Op::ALL.len())].code(),
        // The low byte of the sender's id, or of the recipient's.
        1 => stream[2 * dice.roll(2)] = dice.roll(4) as u8,
        2 => bytes(stream, len),
        _ => {
            let signature = stream.split_off(len - SIGNATURE_LEN);
            let mut payload = stream.split_off(HEADER_LEN);
            if is_sealed(stream, &payload) {
                let padding = payload.last().copied().unwrap_or_default();
                let end = payload.len().saturating_sub(padding.into()).max(SEAL);
                let mut content = payload[SEAL..end].to_vec();
                let max_len = 2 * content.len() + BLOCK;
                bytes(&mut content, max_len);
                payload.truncate(SEAL);
                payload.extend(content);
                let padding = BLOCK - payload.len() % BLOCK;
                payload.resize(payload.len() + padding, padding as u8);
            } else {
                let max_len = 2 * payload.len() + BLOCK;
                bytes(&mut payload, max_len);
            }
            payload.truncate(usize::from(u16::MAX));
            stream[SIZE..HEADER_LEN].copy_from_slice(&(payload.len() as u16).to_le_bytes());
            stream.extend(payload);
            stream.extend(signature);
        }
    }
    stream.extend(behind);
}

/// Numbers what is sealed on each connection, from the packet that asks for a session, or gives one.
fn renumber<O: Other>(steps: &mut [Vec<u8>]) {
    let mut next = [0_u32; 4];
    for step in steps {
        let Some(Step::Bytes(conn, bytes)) = Steps::<O>::new(step).next() else { continue };
        let (mut stream, mut at) = (bytes.to_vec(), 0);
        while let Some(len) = whole(&stream[at..]) {
            let (head, payload) = stream[at..at + len - SIGNATURE_LEN].split_at_mut(HEADER_LEN);
            let next = &mut next[usize::from(conn)];
            if [Op::OtpProof, Op::ReconnectRequest, Op::SessionIssued, Op::SessionRenewed]
                .iter()
                .any(|op| head[OP] == op.code())
            {
                *next = 0;
            } else if is_sealed(head, payload) {
                payload[SEQ..SEAL].copy_from_slice(&next.to_le_bytes());
                *next += 1;
            }
            at += len;
        }
        *step = encode::<O>(&[Step::Bytes(conn, &stream)]);
    }
}

/// The length of the packet at the front, if there is a whole one.
fn whole(stream: &[u8]) -> Option<usize> {
    let len = Header::parse(stream.first_chunk()?).ok()?.packet_len();
    Packet::parse(stream.get(..len)?).ok().map(|_| len)
}

/// Whether a payload under this header is sealed, from one to one.
fn is_sealed(head: &[u8], payload: &[u8]) -> bool {
    let is_of_one = (head[..2] == [0, 0]) != (head[2..4] == [0, 0]);
    let sealed = [
        Op::KeyQuestion,
        Op::Acknowledgment,
        Op::KeyAnswer,
        Op::Close,
        Op::Refusal,
        Op::BacklogEnd,
    ];
    is_of_one
        && sealed.iter().any(|op| head[OP] == op.code())
        && payload.len() > SEAL
        && payload.len().is_multiple_of(BLOCK)
}
