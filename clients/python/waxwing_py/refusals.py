"""What the server says, in the words in which the terminal client says it."""

from .bodies import Code, Reason

NOT_UNDERSTOOD = "the server does not understand this client"
NO_CODE = (
    "the server has no code for this phone and this home that is still good: none was asked for here,"
    " it is too old, or wrong ones were tried too often; run `register` again, without --otp, for a"
    " new one"
)

_WORDS = {
    Code.MALFORMED: NOT_UNDERSTOOD,
    Code.UNKNOWN_OP: NOT_UNDERSTOOD,
    Code.UNEXPECTED_OP: NOT_UNDERSTOOD,
    Code.BAD_SEQUENCE: NOT_UNDERSTOOD,
    Code.BAD_SIGNATURE: (
        "account unknown or key refused: the operator of the server has removed the account, or somebody"
        " has registered the phone from another home. Nothing was deleted. `register --server-key FILE"
        " PHONE` finds out which, and registers again under the same key if it can"
    ),
    Code.STALE_TIMESTAMP: (
        "the server says that this machine's clock is wrong; set it, and try again"
    ),
    Code.UNKNOWN_RECIPIENT: (
        "the server knows nobody with this phone; check the number, and ask whether its owner has"
        " registered with the same server"
    ),
    Code.OTP_WRONG: "the code is wrong; run `register` again with --otp CODE",
    Code.OTP_EXPIRED: NO_CODE,
    Code.OTP_ATTEMPTS_SPENT: NO_CODE,
    Code.RATE_LIMITED: (
        "the server takes no more of this at the moment, or its operator has suspended the account and"
        " can say why"
    ),
    Code.MAILBOX_FULL: (
        "the recipient's mailbox is full until they fetch their letters, or too many of yours wait to be"
        " fetched"
    ),
    Code.WEAK_KEY: (
        "the server does not take this home's key; register with a new one, in an empty directory:"
        " --home DIR"
    ),
    Code.SERVER_FULL: "the server takes no more accounts; ask its operator",
    Code.TOO_LARGE: "the letter is larger than the server allows; send it in parts",
    Code.STORAGE_UNAVAILABLE: (
        "the server cannot store anything now; try again later, and tell its operator if that does not"
        " end"
    ),
    Code.BAD_PHONE: "the server does not take this phone number; check it",
    Code.BUSY: "the server is busy; try again in a moment",
}
_WORDS[Code.UNKNOWN_USER] = _WORDS[Code.UNKNOWN_RECIPIENT]
_WORDS[Code.SESSION_UNKNOWN] = _WORDS[Code.BAD_SIGNATURE]

_REASONS = {
    Reason.LEAVING: "it has said goodbye",
    Reason.STOPPING: "it stops",
    Reason.TAKEN_OVER: "another session of this account took over",
    Reason.NO_PROGRESS: "letters were handed over, and none was acknowledged",
}


def words(code: int) -> str:
    """Why the server refuses, and what to do, with the code in digits."""
    sentence = _WORDS.get(code)
    if sentence is None:
        return (
            "the server refuses, for a reason that this version does not know"
            f" (code {int(code)})"
        )
    if sentence is NOT_UNDERSTOOD:
        return f"{sentence} (code {int(code)}); are both of the same version?"
    return f"{sentence} (code {int(code)})"


def kept_words(reason: str) -> str:
    """The same of what a home keeps about a letter: the name of a code, or a sentence already."""
    return words(Code[reason]) if reason in Code.__members__ else reason


def closing_words(reason: Reason) -> str:
    """Why the server has ended a session."""
    return _REASONS[reason]
