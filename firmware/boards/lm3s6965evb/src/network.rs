//! TCP/IP over the board's Ethernet, by smoltcp.

use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use smoltcp_stream::TcpStream;
use static_cell::{ConstStaticCell, StaticCell};
use waxwing_core::crypto::CryptoRng;

use crate::ethernet::{Ethernet, MAC};

/// The board's address and its gateway's, in the network that QEMU makes.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Bits of the network's part of the address.
pub(crate) const NETWORK: u8 = 24;

/// What may be on its way in each direction.
pub const WINDOW: usize = 2_048;

static SOCKETS: ConstStaticCell<[SocketStorage<'static>; 1]> =
    ConstStaticCell::new([SocketStorage::EMPTY]);
static RECEIVED: ConstStaticCell<[u8; WINDOW]> = ConstStaticCell::new([0; WINDOW]);
static SENT: ConstStaticCell<[u8; WINDOW]> = ConstStaticCell::new([0; WINDOW]);
static STREAM: StaticCell<Stream> = StaticCell::new();

/// The connection to the server.
pub type Stream = TcpStream<'static, Ethernet, fn() -> Instant>;

/// Brings up the network. Call it once.
#[inline(never)]
pub fn start(rng: &mut dyn CryptoRng) -> &'static mut Stream {
    let mut ethernet = Ethernet::start();
    let mut config = Config::new(EthernetAddress(MAC).into());
    config.random_seed = rng.next_u64();
    let mut interface = Interface::new(config, &mut ethernet, now());
    // There is room for one of each.
    interface.update_ip_addrs(|addresses| {
        let _ = addresses.push(IpCidr::new(ADDRESS.into(), NETWORK));
    });
    let _ = interface.routes_mut().add_default_ipv4_route(GATEWAY);
    let socket = Socket::new(
        SocketBuffer::new(&mut RECEIVED.take()[..]),
        SocketBuffer::new(&mut SENT.take()[..]),
    );
    let mut sockets = SocketSet::new(&mut SOCKETS.take()[..]);
    let handle = sockets.add(socket);
    let seed = rng.next_u32() as u16;
    STREAM.init(TcpStream::new(interface, ethernet, sockets, handle, now, seed))
}

fn now() -> Instant {
    Instant::from_millis(waxwing_systick::millis().cast_signed())
}
