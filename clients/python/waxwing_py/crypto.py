"""The primitives, all of them from pycryptodome. PROTOCOL.md, "Cryptography" and "Keys"."""

import math
from functools import cache

from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Random import get_random_bytes
from Crypto.Signature import pkcs1_15
from Crypto.Util.Padding import pad, unpad

BLOCK = 16
SPKI_LEN = 294
_SPKI_HEAD = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
_SPKI_TAIL = bytes.fromhex("0203010001")
_EXPONENT = 65537
# EMSA-PKCS1-v1_5 with SHA-256 and NULL parameters: all of the encoding before the digest.
_ENCODING_HEAD = (
    b"\x00\x01" + b"\xff" * 202 + b"\x00" + bytes.fromhex("3031300d060960864801650304020105000420")
)


class WeakKey(Exception):
    """A public key that nobody should use."""


class CannotOpen(Exception):
    """Something encrypted that does not open. It does not say why."""


def random_bytes(count: int) -> bytes:
    return get_random_bytes(count)


def sha256(data: bytes) -> bytes:
    return SHA256.new(data).digest()


@cache
def _small_primes() -> int:
    """The product of the primes below 65,536."""
    sieve = bytearray([1]) * 65_536
    sieve[:2] = b"\0\0"
    for n in range(2, 256):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, 65_536, n)))
    return math.prod(n for n in range(65_536) if sieve[n])


class PublicKey:
    """A key in the one form there is."""

    def __init__(self, spki: bytes):
        modulus = spki[len(_SPKI_HEAD) : -len(_SPKI_TAIL)]
        if spki != _SPKI_HEAD + modulus + _SPKI_TAIL or len(modulus) != 256:
            raise WeakKey("not an RSA-2048 key in the form of the protocol")
        if modulus[0] < 0x80 or not modulus[-1] & 1:
            raise WeakKey("modulus")
        n = int.from_bytes(modulus, "big")
        if math.gcd(n, _small_primes()) != 1:
            raise WeakKey("small factor")
        self.spki = bytes(spki)
        self._key = RSA.construct((n, _EXPONENT))

    @classmethod
    def from_pem(cls, text: str) -> "PublicKey":
        """The key in a file, which must be a public key in its one form and not a private one."""
        try:
            key = RSA.import_key(text)
        except (ValueError, IndexError, TypeError) as error:
            raise WeakKey("not a public key in PEM") from error
        if key.has_private():
            raise WeakKey("this is a private key")
        return cls(key.export_key("DER"))

    def verify(self, message: bytes, signature: bytes) -> bool:
        digest = SHA256.new(message)
        try:
            pkcs1_15.new(self._key).verify(digest, signature)
        except ValueError:
            return False
        # pycryptodome also takes an encoding without the NULL. The protocol knows one encoding.
        encoded = pow(int.from_bytes(signature, "big"), self._key.e, self._key.n)
        return encoded.to_bytes(256, "big") == _ENCODING_HEAD + digest.digest()

    def wrap(self, label: bytes, message: bytes) -> bytes:
        """`OAEP(self; message)`."""
        return PKCS1_OAEP.new(self._key, hashAlgo=SHA256, label=label).encrypt(message)


class PrivateKey:
    def __init__(self, der: bytes):
        self._key = RSA.import_key(der)
        self.der = der
        self.public = PublicKey(self._key.public_key().export_key("DER"))

    @classmethod
    def generate(cls) -> "PrivateKey":
        while True:
            try:
                return cls(RSA.generate(2048, e=_EXPONENT).export_key("DER"))
            except WeakKey:
                continue

    def sign(self, message: bytes) -> bytes:
        return pkcs1_15.new(self._key).sign(SHA256.new(message))

    def unwrap(self, label: bytes, block: bytes, length: int) -> bytes:
        """Opens `OAEP(self; …)`, whose content must have exactly `length` bytes."""
        try:
            message = PKCS1_OAEP.new(self._key, hashAlgo=SHA256, label=label).decrypt(block)
        except ValueError:
            raise CannotOpen from None
        if len(message) != length:
            raise CannotOpen
        return message


def label(op: int) -> bytes:
    return b"waxwing/1:%d" % op


def encrypt(key: bytes, message: bytes, iv: bytes | None = None) -> bytes:
    """`IV ‖ CBC(key; message)`. An IV is given in tests only."""
    iv = iv or random_bytes(BLOCK)
    return iv + AES.new(key, AES.MODE_CBC, iv).encrypt(pad(message, BLOCK))


def decrypt(key: bytes, payload: bytes) -> bytes:
    iv, ciphertext = payload[:BLOCK], payload[BLOCK:]
    if not ciphertext or len(ciphertext) % BLOCK:
        raise CannotOpen
    try:
        return unpad(AES.new(key, AES.MODE_CBC, iv).decrypt(ciphertext), BLOCK)
    except ValueError:
        raise CannotOpen from None


def open_tokens(key: bytes, payload: bytes) -> list[bytes]:
    """Every token of a shared packet, decrypted. Those of others come out as noise."""
    iv = payload[:BLOCK]
    starts = range(BLOCK, len(payload), BLOCK)
    return [AES.new(key, AES.MODE_CBC, iv).decrypt(payload[at : at + BLOCK]) for at in starts]


def make_token(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    return AES.new(key, AES.MODE_CBC, iv).encrypt(plaintext)
