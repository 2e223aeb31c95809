//! What can happen in a step.

/// What happens in a step, to a person or to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A person writes a letter.
    Write,
    /// Somebody without an account asks for a code.
    AskForCode,
    /// A person's bytes move, and their messenger takes some turns.
    GoOn,
    /// A person connects.
    Connect,
    /// A person's connection is cut.
    HangUp,
    /// A person's process dies.
    Die,
    /// A person says goodbye.
    Leave,
    /// A person's disk has room for a few changes.
    FillDisk,
    /// Another process of a person's does something.
    UseAnotherProcess,
    /// Bytes arrive at the server.
    Travel,
    /// Mail between machines arrives.
    CarryMail,
    /// Storage carries out a request.
    Store,
    /// Storage tells how a batch has ended.
    TellOutcome,
    /// Storage answers a question.
    TellAnswer,
    /// Time passes.
    Wait,
    /// The server dies, and another starts from what is stored.
    Crash,
    /// A bit falls over on the network.
    Flip,
    /// Somebody hostile acts.
    Misbehave,
    /// From now on storage refuses writes, or takes them.
    RefuseWrites,
    /// From now on storage refuses questions, or takes them.
    RefuseQuestions,
    /// The operator ends a person's session, has the person's letters expire, or gives the person other
    /// limits.
    Operate,
}

impl Act {
    /// Everything that can happen, each with how often it does in a hundred steps.
    pub const ALL: [(Self, usize); 21] = [
        (Self::Write, 9),
        (Self::AskForCode, 2),
        (Self::GoOn, 11),
        (Self::Connect, 11),
        (Self::HangUp, 1),
        (Self::Die, 1),
        (Self::Leave, 1),
        (Self::FillDisk, 1),
        (Self::UseAnotherProcess, 2),
        (Self::Travel, 16),
        (Self::CarryMail, 7),
        (Self::Store, 11),
        (Self::TellOutcome, 8),
        (Self::TellAnswer, 8),
        (Self::Wait, 3),
        (Self::Crash, 1),
        (Self::Flip, 1),
        (Self::Misbehave, 3),
        (Self::RefuseWrites, 1),
        (Self::RefuseQuestions, 1),
        (Self::Operate, 1),
    ];

    /// What happens in the step with this number, of a hundred.
    pub(super) fn of_hundred(mut number: usize) -> Self {
        for (act, often) in Self::ALL {
            if number < often {
                return act;
            }
            number -= often;
        }
        Self::Operate
    }
}
