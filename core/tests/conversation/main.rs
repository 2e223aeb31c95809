//! The two machines of this crate talking to each other: what a person would notice.

mod disk;
mod letters;
mod lost_answers;
mod opening;
mod person;
mod post_office;
mod replays;
