"""Packets and their headers. PROTOCOL.md, "Packet" and "Op codes"."""

import calendar
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from time import gmtime

from .crypto import PublicKey, sha256

HEADER_LEN = 26
SIGNATURE_LEN = 256
SERVER = 0
TIMESTAMP_LEN = 19

SEALED_MIN = 32
SEALED_MAX = 2048
SHARED_TOKENS_MAX = 127

_HEADER = struct.Struct("<HH19sBH")
_TIMESTAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)")
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# The Gregorian calendar repeats after 400 years. `calendar` does not know the year 0.
_CYCLE_YEARS = 400
_CYCLE_SECONDS = 146_097 * 86_400


class Malformed(Exception):
    """Bytes that are not what the protocol allows in their place."""


class Op(IntEnum):
    REGISTRATION = 100
    PROOF = 101
    LETTER = 102
    KEY_QUESTION = 105
    RECONNECT = 106
    REJECTED = 150
    CODE = 200
    NEW_USER = 201
    ACK = 203
    KEY_ANSWER = 204
    SESSION_KEY = 206
    CLOSING = 222
    REFUSAL = 244
    END_OF_BACKLOG = 255


def parse_timestamp(text: bytes) -> int:
    """Seconds since 1970 of a header's timestamp."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise Malformed("timestamp")
    year, month, day, hour, minute, second = (int(group) for group in match.groups())
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        raise Malformed("timestamp")
    leap_day = month == 2 and calendar.isleap(year)
    if not 1 <= day <= _DAYS[month - 1] + leap_day:
        raise Malformed("timestamp")
    cycles, year = divmod(year - 2000, _CYCLE_YEARS)
    seconds = calendar.timegm((2000 + year, month, day, hour, minute, second))
    return seconds + cycles * _CYCLE_SECONDS


_FIRST_SECOND = parse_timestamp(b"0000-01-01 00:00:00")
_LAST_SECOND = parse_timestamp(b"9999-12-31 23:59:59")


def format_timestamp(seconds: int) -> bytes:
    """The timestamp of a moment. What lies outside of the years 0000 to 9999 is moved to the edge."""
    seconds = min(max(seconds, _FIRST_SECOND), _LAST_SECOND)
    epoch = parse_timestamp(b"2000-01-01 00:00:00")
    cycles, rest = divmod(seconds - epoch, _CYCLE_SECONDS)
    year, *rest = gmtime(epoch + rest)[:6]
    return b"%04d-%02d-%02d %02d:%02d:%02d" % (year + cycles * _CYCLE_YEARS, *rest)


@dataclass(frozen=True)
class Header:
    sender: int
    recipient: int
    timestamp: bytes
    op: int
    size: int

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        if len(data) != HEADER_LEN:
            raise Malformed("header")
        header = cls(*_HEADER.unpack(data))
        parse_timestamp(header.timestamp)
        return header

    def emit(self) -> bytes:
        return _HEADER.pack(self.sender, self.recipient, self.timestamp, self.op, self.size)

    def check_from_server(self) -> Op:
        """Ids and size of a packet that a client gets, as far as the header alone tells."""
        try:
            op = Op(self.op)
        except ValueError:
            raise Malformed("op code") from None
        shared = self.recipient == SERVER
        size = self.size
        sealed = SEALED_MIN <= size <= SEALED_MAX and size % 16 == 0
        token_packet = sealed and size <= 16 * (1 + SHARED_TOKENS_MAX)
        allowed = {
            Op.REJECTED: shared and size == 32,
            Op.CODE: shared and size == 32,
            Op.NEW_USER: not shared and size == 256,
            Op.SESSION_KEY: not shared and size == 256,
            Op.LETTER: not shared and self.sender not in (SERVER, self.recipient),
            Op.ACK: token_packet if shared else sealed and size >= 48,
            Op.KEY_ANSWER: not shared and size == 336,
            Op.CLOSING: not shared and size == 32,
            Op.REFUSAL: 6 <= size <= 150 if shared else sealed and size <= 176,
            Op.END_OF_BACKLOG: token_packet if shared else size == 32,
        }
        if not allowed.get(op, False):
            raise Malformed("ids or size of the op")
        if op != Op.LETTER and self.sender != SERVER:
            raise Malformed("sender")
        return op


class Packet:
    """A whole packet, as its bytes. Nothing says yet that its signature is good."""

    def __init__(self, raw: bytes):
        self.header = Header.parse(raw[:HEADER_LEN])
        if len(raw) != HEADER_LEN + self.header.size + SIGNATURE_LEN:
            raise Malformed("length of the packet")
        self.raw = bytes(raw)

    @property
    def signed(self) -> bytes:
        return self.raw[:-SIGNATURE_LEN]

    @property
    def payload(self) -> bytes:
        return self.raw[HEADER_LEN:-SIGNATURE_LEN]

    @property
    def signature(self) -> bytes:
        return self.raw[-SIGNATURE_LEN:]

    @property
    def time(self) -> int:
        return parse_timestamp(self.header.timestamp)

    @cached_property
    def id(self) -> bytes:
        return sha256(self.signed)[:16]

    def verify(self, key: PublicKey) -> bool:
        return key.verify(self.signed, self.signature)


def make(sender: int, recipient: int, timestamp: bytes, op: Op, payload: bytes, sign) -> Packet:
    """A packet of our own. `sign` gives the signature over the bytes before it."""
    signed = Header(sender, recipient, timestamp, op, len(payload)).emit() + payload
    return Packet(signed + sign(signed))


def unsigned(_: bytes) -> bytes:
    """What stands for a signature in 100, whose sender has no key yet."""
    return bytes(SIGNATURE_LEN)


class Deframer:
    """Cuts a stream into packets."""

    def __init__(self):
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of what has not been taken yet."""
        return len(self._buffer)

    def feed(self, data: bytes):
        self._buffer += data

    def next(self) -> Packet | None:
        """The next whole packet. A header that no server may send is refused before its payload."""
        if len(self._buffer) < HEADER_LEN:
            return None
        header = Header.parse(bytes(self._buffer[:HEADER_LEN]))
        header.check_from_server()
        end = HEADER_LEN + header.size + SIGNATURE_LEN
        if len(self._buffer) < end:
            return None
        packet = Packet(bytes(self._buffer[:end]))
        del self._buffer[:end]
        return packet
