//! Links the core into a program that has no allocator.
#![no_std]

pub use waxwing_core::{client, envelope, wire};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
