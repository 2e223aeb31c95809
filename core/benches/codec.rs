//! Finding packets in a stream, reading and writing them: everything before cryptography.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, MAX_STATUSES, OVERHEAD};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Frame, Header, Op, Packet, Status, Statuses, Writer, deframe};

const PAYLOAD: usize = 400;
const PACKETS: usize = 64;

fn header() -> Header {
    Header {
        sender: UserId::new(7),
        recipient: UserId::new(8),
        timestamp: Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896)),
        op_code: Op::Letter.code(),
        payload_size: PAYLOAD as u16,
    }
}

/// What a busy connection's buffer holds.
fn stream() -> Vec<u8> {
    let mut packet = vec![0x5a; OVERHEAD + PAYLOAD];
    header().emit(&mut Writer::new(&mut packet)).unwrap();
    packet.repeat(PACKETS)
}

/// Takes all packets out of a stream, and says how many.
fn packets(mut stream: &[u8]) -> usize {
    let mut count = 0;
    while let Ok(Frame::Complete(header)) = deframe(stream) {
        let (packet, rest) = stream.split_at(header.packet_len());
        black_box(Packet::parse(packet).unwrap());
        (count, stream) = (count + 1, rest);
    }
    count
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();

    let mut codec = criterion.benchmark_group("codec");
    let stream = stream();
    assert_eq!(packets(&stream), PACKETS);
    codec.throughput(Throughput::Elements(PACKETS as u64));
    codec.bench_function("packets out of a stream", |bencher| {
        bencher.iter(|| packets(black_box(&stream)));
    });

    let header = header();
    codec.throughput(Throughput::Elements(1));
    codec.bench_function("a header written", |bencher| {
        let mut buffer = [0; HEADER_LEN];
        bencher.iter(|| black_box(&header).emit(&mut Writer::new(black_box(&mut buffer))));
    });

    let statuses = [(PacketId([0xc3; PacketId::LEN]), Status::Stored); MAX_STATUSES];
    let mut buffer = [0; 2 + 17 * MAX_STATUSES];
    codec.throughput(Throughput::Elements(MAX_STATUSES as u64));
    codec.bench_function("statuses written", |bencher| {
        bencher.iter(|| Statuses::emit(&mut Writer::new(black_box(&mut buffer)), &statuses));
    });
    codec.bench_function("statuses read", |bencher| {
        bencher.iter(|| Statuses::parse(black_box(&buffer)).unwrap().count());
    });
    codec.finish();
    criterion.final_summary();
}
