//! The two machines of this crate talking to each other: what a person would notice.

mod letters;
mod lost_answers;
mod opening;
mod post_office;
