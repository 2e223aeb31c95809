//! The server machine in a world of virtual time, storage and peers.
#![expect(clippy::cloned_ref_to_slice_refs, reason = "what is heard is compared with a list")]

mod acknowledgments;
mod administration;
mod admission;
mod answers;

mod clocks;
mod codes;
mod configuration;
mod counters;
mod extremes;
mod forwarding;
mod framing;
mod full;
mod hostile;
mod letters;
mod limits;
mod mailboxes;
mod notices;
mod ops;
mod paddings;
mod quotas;
mod refusals;
mod registration;
mod restarts;
mod seeds;
mod sessions;
mod shards;
mod slow_lines;
mod storage_faults;
mod succession;
mod takeovers;
