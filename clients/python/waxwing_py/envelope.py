"""Person to person: the envelope, fingerprints and safety numbers. PROTOCOL.md, "Envelope"."""

from dataclasses import dataclass

from . import bodies, crypto
from .crypto import CannotOpen, PrivateKey, PublicKey, sha256
from .packet import Op

VERSION = 1
SUITE = 1
TEXT = 1
READ_RECEIPT = 2
UID_LEN = 16
# What fits a letter of 60 KiB.
BODY_MAX = 61_134
_HEAD_LEN = 2 + 256


class Unsupported(Exception):
    """A version, suite or kind of a later protocol, or a body that does not fit its kind."""


@dataclass(frozen=True)
class Person:
    phone: str
    key: PublicKey

    @property
    def fingerprint(self) -> bytes:
        return sha256(b"waxwing/1:id" + bodies.emit_phone(self.phone) + self.key.spki)


@dataclass(frozen=True)
class Content:
    uid: bytes
    kind: int
    body: bytes

    def check(self):
        """Whether the body fits its kind."""
        if self.kind == TEXT:
            try:
                self.body.decode()
            except UnicodeDecodeError:
                raise Unsupported("text that is not UTF-8") from None
        elif self.kind == READ_RECEIPT:
            if len(self.body) != UID_LEN:
                raise Unsupported("read receipt of another length")
        else:
            raise Unsupported(f"letter of kind {self.kind}")


def emit_content(content: Content) -> bytes:
    return content.uid + bytes([content.kind]) + content.body


def parse_content(plaintext: bytes) -> Content:
    if len(plaintext) < UID_LEN + 1:
        raise CannotOpen
    return Content(plaintext[:UID_LEN], plaintext[UID_LEN], plaintext[UID_LEN + 1 :])


def _label(sender: Person, recipient: Person) -> bytes:
    return crypto.label(Op.LETTER) + sender.fingerprint + recipient.fingerprint


def seal(sender: Person, recipient: Person, content: Content) -> bytes:
    message_key = crypto.random_bytes(32)
    return (
        bytes([VERSION, SUITE])
        + recipient.key.wrap(_label(sender, recipient), message_key)
        + crypto.encrypt(message_key, emit_content(content))
    )


def open_envelope(sender: Person, recipient: Person, key: PrivateKey, envelope: bytes) -> Content:
    """Opens the envelope of a letter **whose signature has been verified** under the sender's key."""
    if len(envelope) < 2:
        raise CannotOpen
    if envelope[0] != VERSION or envelope[1] != SUITE:
        raise Unsupported(f"envelope of version {envelope[0]}, suite {envelope[1]}")
    if len(envelope) < _HEAD_LEN + 16 + 32:
        raise CannotOpen
    message_key = key.unwrap(_label(sender, recipient), envelope[2:_HEAD_LEN], 32)
    return parse_content(crypto.decrypt(message_key, envelope[_HEAD_LEN:]))


def safety_number(one: bytes, other: bytes) -> str:
    """The sixty digits that the people with these two fingerprints compare."""
    low, high = sorted((one, other))
    groups = []
    for part in (b"waxwing/1:safety:1", b"waxwing/1:safety:2"):
        digest = sha256(part + low + high)
        for at in range(0, 30, 5):
            groups.append(f"{int.from_bytes(digest[at : at + 5], 'big') % 100_000:05}")
    return " ".join(groups)
