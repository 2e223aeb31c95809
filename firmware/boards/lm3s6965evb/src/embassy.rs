//! The Ethernet as a driver of embassy-net: its interrupt wakes whoever waits for a frame.

use core::task::Context;

use cortex_m_rt::exception;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::StaticCell;
use waxwing_core::crypto::CryptoRng;

use crate::ethernet::{Ethernet, FRAME, MAC, Received, ToSend, interrupt};
use crate::network::{ADDRESS, GATEWAY, NETWORK};

/// The connection to the server.
const SOCKETS: usize = 1;

static WAKER: AtomicWaker = AtomicWaker::new();
static ETHERNET: StaticCell<Ethernet> = StaticCell::new();
static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

/// What makes the network work, as long as it runs.
pub type Network = Runner<'static, &'static mut Ethernet>;

/// Brings up the network. Call it once.
pub fn start(rng: &mut dyn CryptoRng) -> (Stack<'static>, Network) {
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ADDRESS, NETWORK),
        gateway: Some(GATEWAY),
        dns_servers: Default::default(),
    });
    let ethernet = ETHERNET.init_with(Ethernet::start);
    interrupt::unmask();
    embassy_net::new(ethernet, config, RESOURCES.init(StackResources::new()), rng.next_u64())
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_>)> {
        WAKER.register(context.waker());
        interrupt::forget();
        let tokens = self.take();
        if tokens.is_none() {
            // If one came meanwhile, at once.
            interrupt::ask();
        }
        tokens
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<ToSend<'_>> {
        Some(self.place())
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(MAC)
    }
}

impl embassy_net_driver::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl embassy_net_driver::TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        self.send(len, fill)
    }
}

/// Every interrupt of the board.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == interrupt::NUMBER as i16 {
        interrupt::ask_for_none();
        WAKER.wake();
    }
}
