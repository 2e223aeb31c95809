//! What happens to a screen, and what a screen wants done. The state knows nothing else of the world.

use waxwing_core::crypto::Spki;
use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use super::input::Input;
use super::state::Listing;
use crate::courier::{Connection, KeyWord};
use crate::home::{Entry, ItemId, Quota, Window};
use crate::name::Name;

/// Something has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A person has done something.
    Input(Input),
    /// The window has another size.
    Resized {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// What [`Model::due`](super::state::Model::due) said has come.
    Time,
    /// Something in the home is not as it was.
    Changed,
    /// The answer to [`Act::List`].
    Listed {
        /// The conversations that have changed.
        changed: Vec<Listing>,
        /// What to ask for next time.
        change: i64,
        /// Letters that the server has not answered for.
        waiting: u32,
    },
    /// The answer to [`Act::Open`].
    Opened {
        /// Whose conversation it is.
        with: Phone,
        /// What was begun to be written.
        draft: String,
    },
    /// The answer to [`Act::Page`].
    Page {
        /// Whose conversation it is.
        with: Phone,
        /// Which part of it.
        window: Window,
        /// How many letters were wanted.
        limit: usize,
        /// The letters.
        entries: Vec<Entry>,
    },
    /// The answer to [`Act::Search`].
    Found(Vec<Entry>),
    /// The answer to [`Act::Number`].
    Number {
        /// Whose it is.
        with: Phone,
        /// What there is to compare; `None` when no key is known.
        number: Option<Box<Number>>,
    },
    /// The answer to [`Errand::AskKey`].
    Key(Phone, KeyWord),
    /// There is another state of the connection.
    Connection(Connection),
    /// What a person may want to know.
    Remark(String),
    /// An errand is done, and there is something to say about it.
    Done(String),
    /// An errand could not be done, for this reason.
    Failed(String),
    /// So many letters were discarded, for each reason.
    Discarded(Vec<(Quota, u32)>),
    /// Somebody has the name that was given, or none any more; or could not have it.
    Named {
        /// Who.
        with: Phone,
        /// Why not.
        refused: Option<String>,
    },
    /// A letter could not be stored, for this reason.
    NotSent {
        /// To whom it was written.
        to: Phone,
        /// What it says.
        text: String,
        /// Why.
        why: String,
    },
    /// What is begun could not be stored.
    DraftNotKept {
        /// In which conversation.
        with: Phone,
        /// The text.
        text: String,
        /// Why.
        why: String,
    },
    /// What the editor has left, or why it has left nothing.
    Edited(Result<String, String>),
    /// The program is back on its terminal.
    Back,
}

/// A safety number, and which key it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// In groups of digits.
    pub text: String,
    /// The other's key.
    pub key: Spki,
    /// The key waits for being accepted, in place of another one.
    pub is_changed: bool,
    /// Two people have compared it before.
    pub is_compared: bool,
}

/// There are new letters in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom it is with.
    pub with: Phone,
    /// The name that the owner of the home has given them.
    pub name: Option<String>,
    /// How many letters nobody has read.
    pub unread: u32,
}

impl Notice {
    pub(super) fn of(one: &Listing) -> Self {
        let conversation = &one.conversation;
        Self {
            with: conversation.phone,
            name: conversation.name.clone(),
            unread: conversation.unread,
        }
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read the conversations that have changed.
    List {
        /// Since when.
        since: i64,
    },
    /// Read what was begun to be written.
    Open(Phone),
    /// Read a part of a conversation.
    Page {
        /// Whose.
        with: Phone,
        /// Which part.
        window: Window,
        /// How many letters.
        limit: usize,
    },
    /// Look for letters.
    Search {
        /// What they say.
        text: String,
        /// In one conversation, or in all.
        with: Option<Phone>,
    },
    /// Read what there is to compare.
    Number(Phone),
    /// Have the courier carry something.
    Carry(Errand),
    /// Tell somebody who does not look what is new.
    Notify(Vec<Notice>),
    /// Put a text where pasting takes it from.
    Copy(String),
    /// Let a person write in their editor.
    Edit(String),
    /// Draw everything anew.
    Redraw,
    /// Stop, until the shell goes on with this program.
    Suspend,
    /// End.
    Quit,
}

/// Something that changes the home, or asks the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Send a letter. Nothing is begun in this conversation any more.
    Send {
        /// To whom.
        to: Phone,
        /// What it says.
        text: String,
    },
    /// Keep what is begun.
    Draft {
        /// In which conversation.
        with: Phone,
        /// The text.
        text: String,
    },
    /// What the other says was read up to here.
    Read {
        /// In which conversation.
        with: Phone,
        /// The last letter.
        to: ItemId,
    },
    /// Say for which letters there was no room, if there were any.
    TellDiscarded,
    /// Delete a letter from or to somebody.
    Delete(Phone, Uid),
    /// Take the request of a stranger.
    Accept(Phone),
    /// Discard what somebody sends, or take it again.
    Block(Phone, bool),
    /// Put a conversation away, or back.
    Archive(Phone, bool),
    /// Be quiet about what is new in a conversation, or not.
    Mute(Phone, bool),
    /// Keep a conversation at the top, or not.
    Pin(Phone, bool),
    /// Let the last letter of the other count as unread.
    Unread(Phone),
    /// Give somebody a name, or none.
    Name(Phone, Option<Name>),
    /// Ask the server for somebody's key.
    AskKey(Phone),
    /// Connect now, and try what was put off.
    Hurry,
    /// The number of this key was compared, and is the same on both sides.
    Compared(Phone, Box<Number>),
    /// Use this key from now on, although nobody has compared it.
    AcceptKey(Phone, Box<Number>),
}
