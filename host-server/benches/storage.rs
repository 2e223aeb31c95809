//! Transactions on the database, on the disk that the target directory is on: most of the time of
//! a small one is its fsync.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use support::{apply, create, delete, insert, page};
use waxwing_server::store::{SqliteOptions, SqliteStorage};

const PAYLOAD: usize = 400;
const RECIPIENT: u16 = 2;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let database = directory.path().join("bench.db");
    let mut storage = SqliteStorage::open(&database, &SqliteOptions::default()).unwrap();
    apply(&mut storage, [create(1), create(RECIPIENT)]).unwrap();
    let mut last = 0;

    let mut transactions = criterion.benchmark_group("letters in a transaction");
    for letters in [1, 32, 512] {
        transactions.throughput(Throughput::Elements(letters));
        transactions.bench_function(BenchmarkId::new("inserted", letters), |bencher| {
            bencher.iter_batched(
                || {
                    let new = last + 1..=last + letters;
                    last += letters;
                    new.map(|id| insert(id, 1, RECIPIENT, PAYLOAD)).collect::<Vec<_>>()
                },
                |writes| apply(&mut storage, writes).unwrap(),
                BatchSize::PerIteration,
            );
        });
        let mut first = 0;
        transactions.bench_function(BenchmarkId::new("replaced", letters), |bencher| {
            bencher.iter_batched(
                || {
                    let old = first + 1..=first + letters;
                    let new = last + 1..=last + letters;
                    (first, last) = (first + letters, last + letters);
                    let new = new.map(|id| insert(id, 1, RECIPIENT, PAYLOAD));
                    [delete(RECIPIENT, old)].into_iter().chain(new).collect::<Vec<_>>()
                },
                |writes| apply(&mut storage, writes).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    transactions.finish();

    let mut pages = criterion.benchmark_group("letters read");
    pages.throughput(Throughput::Elements(128));
    pages.bench_function("a window of them", |bencher| {
        bencher.iter(|| page(&mut storage, RECIPIENT, last / 2, 128, usize::MAX));
    });
    pages.finish();
    criterion.final_summary();
}
