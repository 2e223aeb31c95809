//! The device as a task of embassy's executor, over embassy's network.
#![no_std]
#![no_main]

use core::net::SocketAddrV4;

use cortex_m_rt::entry;
use embassy_executor::{Executor, SpawnError, SpawnToken, Spawner, task};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Instant, Timer};
use static_cell::{ConstStaticCell, StaticCell};
use waxwing_core::time;
use waxwing_device::board::Board;
use waxwing_device::device::Device;
use waxwing_device::talk::{Machines, Next};
use waxwing_lm3s6965evb::embassy::Network;
use waxwing_lm3s6965evb::network::WINDOW;
use waxwing_lm3s6965evb::{BOARD, embassy};

static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static RECEIVED: ConstStaticCell<[u8; WINDOW]> = ConstStaticCell::new([0; WINDOW]);
static SENT: ConstStaticCell<[u8; WINDOW]> = ConstStaticCell::new([0; WINDOW]);

#[entry]
fn main() -> ! {
    BOARD.start();
    let mut device = Device::new(&BOARD);
    let Some(server) = device.plan().server else { BOARD.fail("there is no server=ADDRESS:PORT") };
    let (stack, runner) = embassy::start(device.rng());
    EXECUTOR.init(Executor::new()).run(|spawner| {
        spawn(spawner, network(runner));
        spawn(spawner, talk(device, stack, server));
    })
}

fn spawn<S>(spawner: Spawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(task) => spawner.spawn(task),
        Err(_) => BOARD.fail("the task is running already"),
    }
}

#[task]
async fn network(mut runner: Network) -> ! {
    runner.run().await
}

#[task]
async fn talk(mut device: Device, stack: Stack<'static>, server: SocketAddrV4) -> ! {
    let mut machines = Machines::take();
    let (received, sent) = (RECEIVED.take(), SENT.take());
    loop {
        let mut socket = TcpSocket::new(stack, &mut received[..], &mut sent[..]);
        // Without a connection reading and writing fail.
        let _ = socket.connect(server).await;
        let (mut reader, mut writer) = socket.split();
        let next = device.converse_async(&mut machines, (&mut reader, &mut writer), timer).await;
        match next {
            Next::Again(at) => timer(at).await,
            Next::Done => device.end(true),
            Next::GiveUp => device.end(false),
        }
    }
}

fn timer(at: time::Instant) -> Timer {
    Timer::at(Instant::from_micros(at.as_micros()))
}
