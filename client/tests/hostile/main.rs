//! Hostile people against the real server, over TCP: floods, half-sent packets, guesses, and bytes
//! that are none. Every packet is made by hand, so that it can be made wrong; the answers are
//! those that PROTOCOL.md names. Meanwhile an honest pair goes on writing letters.
//!
//! What is printed (`--nocapture`) are figures; nothing fails because the machine is slow.

mod bans;
mod codes;
mod corpus;
mod descriptors;
mod floods;
mod half_sent;
mod injected;
mod line;
mod mirror;
mod pair;
mod peer;
mod probing;
mod readers;
mod swarm;

#[path = "../end_to_end/binaries.rs"]
mod binaries;
#[path = "../end_to_end/process.rs"]
#[expect(dead_code, reason = "each target has its own use for processes")]
mod process;
#[path = "../end_to_end/sent_codes.rs"]
mod sent_codes;
#[path = "../end_to_end/test_server.rs"]
#[expect(dead_code, reason = "each target has its own use for a server")]
mod test_server;
