//! Faults of ours that can be put in by hand, so that it is seen that the simulation finds them.

/// Something that a driver or its statements could do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A group asks neither for the row nor for the mark before its own.
    NoFence,
    /// A group asks for the row alone, not for the mark before its own.
    OnlyTheRow,
    /// A group asks for the mark before its own alone, not for the row.
    OnlyTheMark,
    /// A group whose answer is lost is told as done.
    UnclearAsDone,
    /// A group whose answer is lost is told as one that has not happened.
    UnclearAsUnavailable,
    /// A group that only waits for the other machine is told as done, because its rows have come.
    RowsAsDone,
    /// The warning that a wait for the other machine was cancelled is not seen.
    WarningIgnored,
    /// The settings of a role let a commit be told before it is on the other machine.
    NoWait,
    /// The newest mark is read in the statement that has waited for the row.
    OneStatement,
    /// What was confirmed is not witnessed.
    NoWitness,
    /// A server that stands by witnesses the last mark and not the one before it.
    LastMarkWitnessed,
}

impl Fault {
    pub(crate) const ALL: [Self; 11] = [
        Self::NoFence,
        Self::OnlyTheRow,
        Self::OnlyTheMark,
        Self::UnclearAsDone,
        Self::UnclearAsUnavailable,
        Self::RowsAsDone,
        Self::WarningIgnored,
        Self::NoWait,
        Self::OneStatement,
        Self::NoWitness,
        Self::LastMarkWitnessed,
    ];
}
