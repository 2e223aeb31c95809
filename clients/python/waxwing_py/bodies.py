"""What stands inside the payloads, in clear. PROTOCOL.md sections 6 to 14, in their order.

Every layout goes both ways, so that a test can be the server.
"""

import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from .crypto import SPKI_LEN, PublicKey, WeakKey
from .packet import SERVER, TIMESTAMP_LEN, Malformed, parse_timestamp

WINDOW_MAX = 128
ACK_IDS_MAX = 112
STATUS_ENTRIES_MAX = 110
STATUSES_MAX = 119
REFUSAL_TEXT_MAX = 128

_PHONE = re.compile(rb"\+[1-9][0-9]{6,14}")
_CODE = re.compile(rb"[0-9]{6}")


class Reader:
    """Bytes of a peer, taken from the front. Too few are Malformed, and so are some left over."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise Malformed("too short")
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self):
        if self._at != len(self._data):
            raise Malformed("too long")


def is_phone(text: str) -> bool:
    return text.isascii() and _PHONE.fullmatch(text.encode()) is not None


def emit_phone(phone: str) -> bytes:
    text = phone.encode("ascii")
    return bytes([len(text)]) + text


def read_phone(reader: Reader) -> str:
    text = reader.take(reader.number(1))
    if not _PHONE.fullmatch(text):
        raise Malformed("phone")
    return text.decode()


class BadPhone(Malformed):
    """A phone of another form in a 100 or 101, where everything else is as it has to be."""


def _last_phone(reader: Reader) -> str:
    """The phone at the end of 100 and 101, in which another form has an error code of its own."""
    text = reader.take(reader.number(1))
    reader.end()
    if not _PHONE.fullmatch(text):
        raise BadPhone("phone")
    return text.decode()


# 100, 101, 150, 200: registration


@dataclass(frozen=True)
class Registration:
    reply_key: bytes
    phone: str

    def emit(self) -> bytes:
        return self.reply_key + emit_phone(self.phone)

    @classmethod
    def parse(cls, data: bytes) -> "Registration":
        reader = Reader(data)
        return cls(reader.take(32), _last_phone(reader))


@dataclass(frozen=True)
class Proof:
    reply_key: bytes
    # Six bytes. Other bytes than digits are well formed, and a wrong code.
    code: bytes
    nonce: bytes
    spki_hash: bytes
    phone: str

    def emit(self) -> bytes:
        return self.reply_key + self.code + self.nonce + self.spki_hash + emit_phone(self.phone)

    @classmethod
    def parse(cls, data: bytes) -> "Proof":
        reader = Reader(data)
        return cls(
            reader.take(32), reader.take(6), reader.take(16), reader.take(32), _last_phone(reader)
        )


def is_code(text: str) -> bool:
    return text.isascii() and _CODE.fullmatch(text.encode()) is not None


@dataclass(frozen=True)
class CodeIssued:
    ttl_s: int
    attempts: int
    resend_s: int
    code: str | None

    def emit(self) -> bytes:
        code = (self.code or "").encode("ascii")
        return struct.pack("<HBHB", self.ttl_s, self.attempts, self.resend_s, len(code)) + code

    @classmethod
    def parse(cls, data: bytes) -> "CodeIssued":
        reader = Reader(data)
        ttl_s, attempts, resend_s = reader.number(2), reader.number(1), reader.number(2)
        code = reader.take(reader.number(1))
        reader.end()
        if code and not _CODE.fullmatch(code):
            raise Malformed("code")
        return cls(ttl_s, attempts, resend_s, code.decode() or None)


PHONE_EXISTS = 1


def parse_rejection(data: bytes) -> int:
    reader = Reader(data)
    reason = reader.number(1)
    reader.end()
    if reason != PHONE_EXISTS:
        raise Malformed("reason of a rejection")
    return reason


# 201, 206: session keys


def parse_session_key(data: bytes) -> tuple[bytes, bytes]:
    """The session key and the nonce."""
    reader = Reader(data)
    key, nonce = reader.take(32), reader.take(16)
    reader.end()
    return key, nonce


# 105, 204: directory


@dataclass(frozen=True)
class KeyQuestion:
    """By id or by phone, whichever is not None. The id 0 is the server's."""

    user_id: int | None = None
    phone: str | None = None

    def emit(self) -> bytes:
        if self.phone is not None:
            return b"\x02" + emit_phone(self.phone)
        return struct.pack("<BH", 1, self.user_id)

    @classmethod
    def parse(cls, data: bytes) -> "KeyQuestion":
        reader = Reader(data)
        form = reader.number(1)
        if form == 1:
            question = cls(user_id=reader.number(2))
        elif form == 2:
            question = cls(phone=read_phone(reader))
        else:
            raise Malformed("key question")
        reader.end()
        return question


@dataclass(frozen=True)
class KeyAnswer:
    user_id: int
    phone: str
    key: PublicKey

    def emit(self) -> bytes:
        return struct.pack("<H", self.user_id) + emit_phone(self.phone) + self.key.spki

    @classmethod
    def parse(cls, data: bytes) -> "KeyAnswer":
        reader = Reader(data)
        user_id, phone, spki = reader.number(2), read_phone(reader), reader.take(SPKI_LEN)
        reader.end()
        if user_id == 0:
            raise Malformed("user id")
        try:
            return cls(user_id, phone, PublicKey(spki))
        except WeakKey as error:
            raise Malformed("key") from error


@dataclass(frozen=True)
class Successor:
    """The key that follows the server's, and from when on, as a header's timestamp."""

    effective: str
    key: PublicKey

    def emit(self) -> bytes:
        return struct.pack("<H", SERVER) + self.effective.encode() + self.key.spki

    @classmethod
    def parse(cls, data: bytes) -> "Successor":
        reader = Reader(data)
        user_id, effective, spki = reader.number(2), reader.take(TIMESTAMP_LEN), reader.take(SPKI_LEN)
        reader.end()
        if user_id != SERVER:
            raise Malformed("user id")
        try:
            parse_timestamp(effective)
            return cls(effective.decode(), PublicKey(spki))
        except WeakKey as error:
            raise Malformed("key") from error


# 203: confirmation and acknowledgments


class Status(IntEnum):
    UNKNOWN = 0
    STORED = 1
    DELIVERED = 2
    EXPIRED = 3

    @property
    def rank(self) -> int:
        """A letter's status rises in the order 0, 1, 3, 2."""
        return (0, 1, 3, 2)[self]


def emit_confirmation(window: int) -> bytes:
    return bytes([0, window])


def emit_held(packet_ids: list[bytes]) -> bytes:
    return struct.pack("<BH", 1, len(packet_ids)) + b"".join(packet_ids)


def emit_status_question(entries: list[tuple[int, bytes]]) -> bytes:
    """Of each letter the id it was sent to, and its packet id."""
    content = b"".join(struct.pack("<H", recipient) + packet_id for recipient, packet_id in entries)
    return struct.pack("<BH", 2, len(entries)) + content


@dataclass(frozen=True)
class ClientAck:
    """What a client says with 203: a window, ids held, or letters asked after."""

    window: int | None = None
    held: list | None = None
    asked: list | None = None

    @classmethod
    def parse(cls, data: bytes) -> "ClientAck":
        reader = Reader(data)
        kind = reader.number(1)
        if kind == 0:
            body = cls(window=reader.number(1))
            if not 1 <= body.window <= WINDOW_MAX:
                raise Malformed("window")
        elif kind == 1:
            count = reader.number(2)
            body = cls(held=[reader.take(16) for _ in range(count)])
            if count > ACK_IDS_MAX:
                raise Malformed("count")
        elif kind == 2:
            count = reader.number(2)
            body = cls(asked=[(reader.number(2), reader.take(16)) for _ in range(count)])
            if not 1 <= count <= STATUS_ENTRIES_MAX or any(to == 0 for to, _ in body.asked):
                raise Malformed("status question")
        else:
            raise Malformed("kind")
        reader.end()
        return body


def emit_statuses(entries: list[tuple[bytes, Status]]) -> bytes:
    content = b"".join(packet_id + bytes([status]) for packet_id, status in entries)
    return struct.pack("<H", len(entries)) + content


def parse_statuses(data: bytes) -> list[tuple[bytes, Status]]:
    reader = Reader(data)
    count = reader.number(2)
    if not 1 <= count <= STATUSES_MAX:
        raise Malformed("count")
    entries = []
    for _ in range(count):
        packet_id, status = reader.take(16), reader.number(1)
        if status > 3:
            raise Malformed("status")
        entries.append((packet_id, Status(status)))
    reader.end()
    return entries


# 255: end of backlog


def parse_end_of_backlog(data: bytes) -> int:
    reader = Reader(data)
    count = reader.number(4)
    reader.end()
    return count


# 222: closing


class Reason(IntEnum):
    LEAVING = 1
    STOPPING = 2
    TAKEN_OVER = 3
    NO_PROGRESS = 4


def parse_closing(data: bytes) -> Reason:
    reader = Reader(data)
    reason = reader.number(1)
    reader.end()
    try:
        return Reason(reason)
    except ValueError:
        raise Malformed("reason of closing") from None


# 244: refusals


class Code(IntEnum):
    MALFORMED = 1
    UNKNOWN_OP = 2
    UNEXPECTED_OP = 3
    BAD_SIGNATURE = 4
    STALE_TIMESTAMP = 5
    UNKNOWN_RECIPIENT = 7
    OTP_WRONG = 8
    OTP_EXPIRED = 9
    OTP_ATTEMPTS_SPENT = 10
    RATE_LIMITED = 11
    MAILBOX_FULL = 12
    WEAK_KEY = 13
    SERVER_FULL = 14
    TOO_LARGE = 15
    STORAGE_UNAVAILABLE = 16
    BAD_PHONE = 17
    UNKNOWN_USER = 18
    BAD_SEQUENCE = 19
    SESSION_UNKNOWN = 20
    BUSY = 21


@dataclass(frozen=True)
class Refusal:
    code: int
    op: int
    retry_after_s: int
    packet_id: bytes | None
    text: str = ""

    @property
    def name(self) -> str:
        try:
            return Code(self.code).name
        except ValueError:
            return f"code {self.code}"

    def emit(self) -> bytes:
        head = struct.pack(
            "<HBHB", self.code, self.op, self.retry_after_s, self.packet_id is not None
        )
        return head + (self.packet_id or b"") + self.text.encode()

    @classmethod
    def parse(cls, data: bytes) -> "Refusal":
        reader = Reader(data)
        code, op, retry_after_s = reader.number(2), reader.number(1), reader.number(2)
        has_id = reader.number(1)
        if has_id > 1:
            raise Malformed("has_id")
        packet_id = reader.take(16) if has_id else None
        text = reader.rest()
        if len(text) > REFUSAL_TEXT_MAX:
            raise Malformed("text")
        try:
            return cls(code, op, retry_after_s, packet_id, text.decode())
        except UnicodeDecodeError:
            raise Malformed("text") from None
