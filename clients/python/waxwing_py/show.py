"""Letters and contacts, for people and for programs.

A letter is a stranger's bytes: for a person, nothing in it may act on the terminal, stay unseen, or
pass for another line of ours. A program gets it as it is.
"""

import json
import shutil
import sys
import time
import unicodedata

from . import envelope, refusals
from .bodies import Code, Status
from .home import LETTER, Contact


def is_receipt(row: dict) -> bool:
    return row["kind"] == envelope.READ_RECEIPT and row["fate"] == LETTER


def text_line(row: dict) -> str | None:
    if is_receipt(row):
        return None
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row["sent_at"]))
    sender = row["phone"] or f"user {row['sender_id']}"
    if row["fate"] != LETTER:
        return f"{when} {sender}: [{row['fate']}]"
    return f"{when} {sender}: {shown(row['body'].decode())}"


# Characters that count as letters, marks or symbols and show as nothing at all.
BLANK = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159",
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def is_blank(text: str) -> bool:
    """Whether there is nothing to see in a text."""
    return all(each.isspace() or not each.isprintable() or each in BLANK for each in text)


MARKS_MAX = 8
INDENT = "    "


def shown(text: str) -> str:
    """A text that can imitate nothing but its own words: no terminal escapes, no invisible or
    reordering characters, no line that begins where another letter's would."""
    shown, marks = [], 0
    for at, each in enumerate(text):
        category = unicodedata.category(each)
        marks = marks + 1 if category[0] == "M" else 0
        is_seen = each.isprintable() and each not in BLANK or _asks_for_emoji(text, at)
        if each in "\n\t" or (is_seen and marks <= MARKS_MAX):
            shown.append(each)
        elif marks <= MARKS_MAX:
            shown.append("\ufffd")
    lines = "".join(shown).split("\n")
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns - len(INDENT), 10)
        first = len("2000-01-01 00:00 +123456789012345: ")
        lines = [part for at, line in enumerate(lines)
                 for part in wrapped(line, width, 0 if at else first)]  # fmt: skip
    return ("\n" + INDENT).join(lines)


def _asks_for_emoji(text: str, at: int) -> bool:
    """Whether the selector for emoji stands where it changes something: behind a symbol, or between
    a digit and its key."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if text[at] != "\ufe0f" or not before:
        return False
    return unicodedata.category(before) == "So" or (before in "0123456789#*" and after == "\u20e3")


def wrapped(line: str, width: int, taken: int) -> list[str]:
    """A line cut where the terminal would go on in the first column, the only one of a sender."""
    parts, part = [], ""
    for each in line:
        cells = 8 if each == "\t" else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        if taken + cells > width and part:
            parts.append(part)
            part, taken = "", 0
        part += each
        taken += cells
    return [*parts, part]


def json_line(row: dict) -> str:
    known = {"from": row["phone"], "uid": row["uid"] and row["uid"].hex()}
    if row["fate"] != LETTER:
        known |= {"kind": "unreadable", "sender_id": row["sender_id"], "reason": row["fate"]}
    elif is_receipt(row):
        known |= {"kind": "read", "of": row["body"].hex()}
    else:
        known |= {"kind": "text", "text": row["body"].decode()}
    known |= {"sent_at": _stamp(row["sent_at"]), "received_at": _stamp(row["received_at"])}
    return json.dumps(known)


def _stamp(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _status(entry: dict) -> str:
    """What became of a letter of ours, in the words of the terminal client."""
    if entry["read_at"] is not None:
        return "delivered"
    if entry["refused"]:
        return "refused"
    words = {Status.STORED: "stored", Status.DELIVERED: "delivered", Status.EXPIRED: "expired"}
    return words.get(entry["status"], "sent" if entry["tried"] else "queued")


def entry_text(entry: dict) -> str:
    """An entry of a history, for people."""
    if not entry["ours"]:
        return text_line(entry)
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["created_at"]))
    became = _status(entry)
    if entry["read_at"] is not None:
        became += ", read"
    if became == "refused":
        became += f": {refusals.kept_words(entry['refused'])}"
    return f"{when} me: {shown(entry['body'].decode())} [{became}]"


def entry_json(entry: dict) -> str:
    """An entry of a history, for programs, as the terminal client has it."""
    ours = entry["ours"]
    known = {
        "id": entry["number"],
        "direction": "out" if ours else "in",
        "to" if ours else "from": entry["phone"],
        "uid": entry["uid"].hex(),
    }
    if ours:
        known |= {"kind": "text", "text": entry["body"].decode(),
                  "created_at": _stamp(entry["created_at"])}  # fmt: skip
        if entry["read_at"] is not None:
            known["read_at"] = _stamp(entry["read_at"])
        known["status"] = _status(entry)
        if known["status"] == "refused" and entry["refused"] in Code.__members__:
            known["refusal"] = Code[entry["refused"]].value
        return json.dumps(known)
    if entry["fate"] == LETTER:
        known |= {"kind": "text", "text": entry["body"].decode()}
    else:
        known |= {"kind": "unknown", "text": None, "error": entry["fate"]}
    known |= {"sent_at": _stamp(entry["sent_at"]), "received_at": _stamp(entry["received_at"])}
    return json.dumps(known | {"status": "received"})


def contact_text(contact: Contact) -> str:
    number = "-" if contact.user_id is None else contact.user_id
    since = "-" if contact.since is None else _stamp(contact.since)[:10]
    if contact.offered:
        trust = "key changed; letters are held back until `verify` accepts it"
    else:
        trust = "verified" if contact.verified else "not verified"
    return f"{contact.phone:<16}  id {number:<5}  since {since}  {trust}"


def contact_json(contact: Contact) -> str:
    return json.dumps({
        "phone": contact.phone,
        "id": contact.user_id,
        "since": _stamp(contact.since),
        "verified": contact.verified and contact.offered is None,
        "key_changed": contact.offered is not None,
    })  # fmt: skip
