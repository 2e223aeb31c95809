#!/usr/bin/env python3
"""Makes the RSA vectors of the known-answer suite and the fixed keys for tests.

    pip install pycryptodome cryptography
    python3 core/vectors/generate.py

Encodings are built here by hand from RFC 8017 and raised to the private exponent with `pow`, so
nothing that the suite checks was computed by the code under test; what ought to be valid is then
confirmed, and what ought not is refused, by the `cryptography` package (OpenSSL).

Keys are made only where a file is missing. Everything else follows from them without chance:
a second run changes nothing. All these keys are public and good for tests alone.
"""

import hashlib
import subprocess
from pathlib import Path

from Crypto.PublicKey import RSA
from Crypto.Signature import pss
from Crypto.Hash import SHA256
from Crypto.Util.number import getPrime, inverse
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

SRC = Path(__file__).resolve().parent.parent / "src"
SUITE = SRC / "crypto" / "conformance"
SUITE_KEYS = SUITE / "keys"
TEST_KEYS = SRC / "testing" / "keys"
K = 256


# DER, as much of it as keys need.

def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def integer(value):
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


NULL = b"\x05\x00"
RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")


def pkcs1(n, e, d, p, q, dp=None, dq=None, qinv=None):
    numbers = [n, e, d, p, q, dp or d % (p - 1), dq or d % (q - 1), qinv or inverse(q, p)]
    return der(0x30, integer(0), *map(integer, numbers))


def pkcs8(inner, algorithm=RSA_ENCRYPTION + NULL, tail=b"", version=0):
    return der(0x30, integer(version), der(0x30, algorithm), der(0x04, inner), tail)


def numbers(key):
    return int(key.n), int(key.e), int(key.d), int(key.p), int(key.q)


# Keys.

def kept(path, make):
    """The key in `path`, made first when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pkcs8(pkcs1(*make())))
    return RSA.import_key(path.read_bytes())


def fresh(bits=2048, e=65537):
    return numbers(RSA.generate(bits, e=e))


def low_modulus():
    """A modulus near the lower end, so that s + n often fits into 256 bytes."""
    while True:
        found = fresh()
        if found[0] >> 2040 <= 0x9C:
            return found


def descending(ordered):
    """p > q or the reverse; importers differ in whether they care."""
    n, e, d, p, q = fresh()
    high, low = max(p, q), min(p, q)
    return (n, e, d, high, low) if ordered else (n, e, d, low, high)


def bits_2047():
    while True:
        p, q = getPrime(1024), getPrime(1023)
        n, phi = p * q, (p - 1) * (q - 1)
        if n.bit_length() == 2047 and phi % 65537:
            return n, 65537, inverse(65537, phi), p, q


def public_half(key):
    return key.public_key().export_key(format="DER")


# How OpenSSL makes keys of the kinds that this protocol does not use.
BY_OPENSSL = {
    "elliptic-curve": "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "sec-1": "ecparam -name prime256v1 -genkey -noout",
    "ed25519": "genpkey -algorithm ED25519",
    "dsa": "genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024",
    "three-primes": "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3",
}


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


def write_by_openssl():
    for name, command in BY_OPENSSL.items():
        path = SUITE_KEYS / f"{name}.der"
        if path.exists():
            continue
        made = openssl(*command.split())
        if name == "dsa":
            parameters = SUITE_KEYS / "dsa.pem"
            parameters.write_bytes(made)
            made = openssl("genpkey", "-paramfile", parameters)
            parameters.unlink()
        wanted = ("ec",) if name == "sec-1" else ("pkcs8", "-topk8", "-nocrypt")
        path.write_bytes(openssl(*wanted, "-outform", "DER", stdin=made))
    path = SUITE_KEYS / "encrypted.der"
    if not path.exists():
        encrypt = "pkcs8 -topk8 -inform DER -outform DER -passout pass:waxwing -in".split()
        path.write_bytes(openssl(*encrypt, SUITE_KEYS / "good.der"))


def write_refused(good):
    """Private keys that a backend must not take."""
    n, e, d, p, q = numbers(good)
    dp, qinv = d % (p - 1), inverse(q, p)
    inner = pkcs1(n, e, d, p, q)
    refused = {
        "wrong-private-exponent": pkcs8(pkcs1(n, e, d + 2, p, q)),
        "wrong-crt-exponent": pkcs8(pkcs1(n, e, d, p, q, dp=dp + 2)),
        "wrong-crt-coefficient": pkcs8(pkcs1(n, e, d, p, q, qinv=qinv + 1)),
        "wrong-modulus": pkcs8(pkcs1(n + 2, e, d, p, q)),
        "even-modulus": pkcs8(pkcs1(n + 1, e, d, p, q)),
        "version-1": pkcs8(inner, version=1),
        "trailing-byte": pkcs8(inner) + b"\x00",
        "attributes": pkcs8(inner, tail=b"\xa0\x00"),
        "pss-algorithm": pkcs8(inner, algorithm=RSASSA_PSS),
        "pkcs1-not-pkcs8": inner,
        "public": public_half(good),
    }
    for name, encoded in refused.items():
        (SUITE_KEYS / f"{name}.der").write_bytes(encoded)
    kept(SUITE_KEYS / "exponent-3.der", lambda: fresh(e=3))
    kept(SUITE_KEYS / "bits-1024.der", lambda: fresh(bits=1024))
    kept(SUITE_KEYS / "bits-2047.der", bits_2047)
    kept(SUITE_KEYS / "bits-3072.der", lambda: fresh(bits=3072))


# RFC 8017.

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def stream(name, size):
    """Bytes that look random and are the same in every run."""
    blocks = (sha256(name.encode(), i.to_bytes(4, "big")) for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def private(key, em):
    value = int.from_bytes(em, "big")
    assert len(em) == K and value < key.n
    return pow(value, int(key.d), int(key.n)).to_bytes(K, "big")


def public(key, em):
    value = int.from_bytes(em, "big")
    assert len(em) == K and value < key.n
    return pow(value, int(key.e), int(key.n)).to_bytes(K, "big")


def number(value):
    return int(value).to_bytes(K, "big")


DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def emsa(t, block_type=1, fill=0xFF, pad=None):
    """EMSA-PKCS1-v1_5 around any T (section 9.2)."""
    if pad is None:
        pad = bytes([fill]) * (K - 3 - len(t))
    em = bytes([0, block_type]) + pad + b"\x00" + t
    return em + stream("garbage", K - len(em))


def mgf1(seed, size, digest=sha256):
    out = b""
    counter = 0
    while len(out) < size:
        out += digest(seed + counter.to_bytes(4, "big"))
        counter += 1
    return out[:size]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def eme(db, seed, lead=0, mask=sha256):
    """EME-OAEP around any DB (section 7.1.1, steps 2.d to 2.i)."""
    assert len(db) == K - 33 and len(seed) == 32
    masked = xor(db, mgf1(seed, len(db), mask))
    return bytes([lead]) + xor(seed, mgf1(masked, 32, mask)) + masked


def db_of(label, message):
    return sha256(label) + bytes(K - 66 - len(message)) + b"\x01" + message


# The signature vectors.

def signatures(key, openssl):
    def sign(message):
        return private(key, emsa(DIGEST_INFO + sha256(message)))

    def searched(prefix, wanted):
        at = 0
        while True:
            message = f"{prefix} {at}".encode()
            if wanted(sign(message)):
                return message
            at += 1

    n = int(key.n)
    fits = searched("room for n", lambda s: int.from_bytes(s, "big") + n < 1 << 2048)
    known = {
        "empty message": b"",
        "packet": stream("packet", 282),
        "signature that begins with 00": searched("zero", lambda s: s[0] == 0),
        "signature below 2^2048 - n": fits,
    }
    for message in known.values():
        openssl.public_key().verify(sign(message), message, padding.PKCS1v15(), hashes.SHA256())

    h = sha256(fits)
    t = DIGEST_INFO + h
    s = int.from_bytes(sign(fits), "big")
    algorithm = bytes.fromhex("300d06096086480165030402010500")
    octets = b"\x04\x20" + h
    oid = bytes.fromhex("0609608648016503040201")
    sha1_info = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(fits).digest()
    sha512_info = (
        bytes.fromhex("3051300d060960864801650304020305000440") + hashlib.sha512(fits).digest()
    )
    eight = b"\xff" * 8
    stuffed = stream("stuffed", 120)

    salt = stream("salt", 32)
    pss_signature = pss.new(key, rand_func=lambda size: salt[:size]).sign(SHA256.new(fits))

    forged = {
        # Integers at the edges (InvalidSignature, SignatureMalleability).
        "s = 0": number(0),
        "s = 1": number(1),
        "s = n - 1": number(n - 1),
        "s = n": number(n),
        "s = n + 1": number(n + 1),
        "s + n": number(s + n),
        "n - s": number(n - s),
        # Another padding or hash than the one agreed on (WrongPrimitive, WrongHash, NoHash).
        "RSASSA-PSS": pss_signature,
        "SHA-1": private(key, emsa(sha1_info)),
        "SHA-512": private(key, emsa(sha512_info)),
        "OID of SHA-384": private(key, emsa(t.replace(oid, oid[:-1] + b"\x02"))),
        "no DigestInfo": private(key, emsa(h)),
        "message in place of its hash": private(key, emsa(DIGEST_INFO + fits.rjust(32, b"\x00"))),
        # The padding string (InvalidPadding, ModifiedPadding, ShortPadding).
        "leading byte 01": private(key, b"\x01" + emsa(t)[1:]),
        "block type 00": private(key, emsa(t, block_type=0)),
        "block type 02": private(key, emsa(t, block_type=2)),
        "padding of 00": private(key, emsa(t, fill=0)),
        "padding of fe": private(key, emsa(t, fill=0xFE)),
        "first padding byte changed": private(key, emsa(t, pad=b"\xfe" + b"\xff" * 201)),
        "last padding byte changed": private(key, emsa(t, pad=b"\xff" * 201 + b"\xfe")),
        "separator missing": private(key, b"\x00\x01" + b"\xff" * 203 + t),
        "no padding, garbage behind": private(key, emsa(t, pad=b"")),
        # Bleichenbacher 2006, CVE-2006-4339: what a parser does not look at.
        "short padding, garbage behind": private(key, emsa(t, pad=eight)),
        "one garbage byte behind": private(key, emsa(t, pad=b"\xff" * 201)),
        "garbage in the sequence": private(key, emsa(der(0x30, algorithm, octets, stuffed))),
        "garbage in the parameters": private(
            key, emsa(der(0x30, der(0x30, oid, der(0x05, stuffed)), octets))
        ),
        "garbage in the algorithm": private(
            key, emsa(der(0x30, der(0x30, oid, NULL, der(0x04, stuffed)), octets))
        ),
        # DER and its relatives (MissingNull, BerEncodedPadding, InvalidAsnInPadding).
        "parameters missing": private(key, emsa(der(0x30, der(0x30, oid), octets))),
        "long form of a length": private(key, emsa(b"\x30\x81\x31" + t[2:])),
        "indefinite length": private(key, emsa(b"\x30\x80" + t[2:] + b"\x00\x00")),
        "wrong tag of the hash": private(key, emsa(der(0x30, algorithm, b"\x03\x20" + h))),
        "wrong length of the sequence": private(key, emsa(b"\x30\x32" + t[2:])),
        "hash too short": private(key, emsa(der(0x30, algorithm, b"\x04\x1f" + h[:31]))),
        "hash empty": private(key, emsa(der(0x30, algorithm, b"\x04\x00"))),
        "last bit of the hash": private(key, emsa(t[:-1] + bytes([t[-1] ^ 1]))),
    }
    assert len(set(forged.values())) == len(forged)
    for name, signature in forged.items():
        try:
            openssl.public_key().verify(signature, fits, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        raise SystemExit(f"OpenSSL accepts {name}")
    return known, sign, fits, forged


# The OAEP vectors.

def sealed(key, openssl):
    def oaep(label):
        return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label or None)

    def seal(label, message, name):
        return public(key, eme(db_of(label, message), stream(name, 32)))

    hello = b"waxwing/1:100"
    letter = b"waxwing/1:102" + stream("two fingerprints", 64)
    opened = {
        "no label, nothing": (b"", b""),
        "label of 100, one byte": (hello, b"\x2a"),
        "label of 100, key and phone": (hello, stream("reply key", 32) + b"\x0c+15551234567"),
        "binary label of 102, key": (letter, stream("message key", 32)),
        "label of zeros": (bytes(77), b"label"),
        "message of zeros": (hello, bytes(32)),
        "message that begins with 01": (hello, b"\x01\x01\x00\x01" + bytes(28)),
        "longest message": (letter, stream("longest", 190)),
        "longest message of zeros": (hello, bytes(190)),
    }
    good = [(name, *case, seal(*case, name)) for name, case in opened.items()]
    zero = public(key, eme(db_of(hello, b"zero"), bytes(32)))
    good.append(("seed of zeros", hello, b"zero", zero))
    at = 0
    while seal(hello, b"short", f"leading {at}")[0] != 0:
        at += 1
    leading = seal(hello, b"short", f"leading {at}")
    good.append(("ciphertext begins with 00", hello, b"short", leading))
    for name, label, message, block in good:
        assert openssl.decrypt(block, oaep(label)) == message, name

    n = int(key.n)
    secret = stream("secret", 32)
    db = db_of(hello, secret)
    seed = stream("seed", 32)
    block = public(key, eme(db, seed))
    # Some seed puts the ciphertext below 2^2048 - n.
    at = 0
    while int.from_bytes(seal(hello, secret, f"low {at}"), "big") + n >= 1 << 2048:
        at += 1
    low = int.from_bytes(seal(hello, secret, f"low {at}"), "big")

    def sha1(data):
        return hashlib.sha1(data).digest()

    def separated(separator):
        return db[:-len(secret) - 1] + separator + secret

    first_bit = bytes([db[0] ^ 0x80]) + db[1:]
    v15 = b"\x00\x02" + bytes(b | 1 for b in stream("v1.5", K - 3 - 32)) + b"\x00" + secret
    refused = {
        # Ciphertexts that need no decryption to be refused (InvalidCiphertext).
        "c = n": number(n),
        "c = n + 1": number(n + 1),
        "c + n": number(low + n),
        "c = 2^2048 - 1": number((1 << 2048) - 1),
        "c = 0": number(0),
        "c = 1": number(1),
        "c = n - 1": number(n - 1),
        # One flaw each (InvalidOaepPadding).
        "first bit of lHash": public(key, eme(first_bit, seed)),
        "last bit of lHash": public(key, eme(db[:31] + bytes([db[31] ^ 1]) + db[32:], seed)),
        "lHash of zeros": public(key, eme(bytes(32) + db[32:], seed)),
        "label missing": public(key, eme(db_of(b"", secret), seed)),
        "label of another op": public(key, eme(db_of(b"waxwing/1:101", secret), seed)),
        "label with a zero behind": public(key, eme(db_of(hello + b"\x00", secret), seed)),
        "no separator": public(key, eme(db[:32] + bytes(K - 65), seed)),
        "separator 02": public(key, eme(separated(b"\x02"), seed)),
        "separator 00": public(key, eme(separated(b"\x00"), seed)),
        "padding byte ff": public(key, eme(db[:100] + b"\xff" + db[101:], seed)),
        "first padding byte 80": public(key, eme(db[:32] + b"\x80" + db[33:], seed)),
        "data block of ff": public(key, eme(b"\xff" * (K - 33), seed)),
        "seed not masked": public(key, b"\x00" + seed + xor(db, mgf1(seed, len(db)))),
        # A leading byte that may be ignored, and a flaw that may not.
        "leading byte 01, first bit of lHash": public(key, eme(first_bit, seed, lead=1)),
        "leading byte 01, separator 02": public(key, eme(separated(b"\x02"), seed, lead=1)),
        # Another scheme under the same key.
        "MGF1 with SHA-1": public(key, eme(db, seed, mask=sha1)),
        "RSAES-PKCS1-v1_5": public(key, v15),
        "raw RSA": public(key, secret.rjust(K, b"\x00")),
        "a signature": private(key, emsa(DIGEST_INFO + sha256(secret))),
    }
    # RFC 8017 refuses these, and draft-irtf-cfrg-rsa-guidance ignores the byte.
    leading = {
        "leading byte 01": public(key, eme(db, seed, lead=1)),
        "leading byte 80": public(key, eme(db, seed, lead=0x80)),
    }
    bad_to_openssl = leading | refused
    assert len(set(bad_to_openssl.values())) == len(bad_to_openssl)
    for name, bad in bad_to_openssl.items():
        try:
            openssl.decrypt(bad, oaep(hello))
        except ValueError:
            continue
        raise SystemExit(f"OpenSSL opens {name}")
    return good, leading, refused, (hello, secret, block)


# Rust.

HEAD = """//! {title}
//!
//! Written by `core/vectors/generate.py`; do not edit.

use super::hex;
"""


def literal(data, indent):
    text = data.hex()
    if len(text) <= 60:
        return f'hex("{text}")'
    rows = [text[i:i + 80] for i in range(0, len(text), 80)]
    pad = " " * (indent + 4)
    body = f"\\\n{pad} ".join(rows)
    return f'hex(\n{pad}"{body}",\n{" " * indent})'


def short(data):
    if not data:
        return "&[]"
    return f"&hex::<{len(data)}>{literal(data, 8)[3:]}"


def write_signatures(known, sign, message, forged):
    out = [HEAD.format(title="Signatures under the suite's key, good and forged.")]
    out.append("use super::signature::{Forgery, Known};\n")
    out.append("\n/// Valid signatures; the scheme is deterministic, so signing must give the same.\n")
    out.append(f"pub(super) static KNOWN: [Known; {len(known)}] = [\n")
    for name, text in known.items():
        out.append(f'    Known {{\n        name: "known: {name}",\n')
        out.append(f"        digest: {literal(sha256(text), 8)},\n")
        out.append(f"        signature: {literal(sign(text), 8)},\n    }},\n")
    out.append("];\n\n/// SHA-256 of the message that every forgery claims to sign.\n")
    digest = literal(sha256(message), 4)
    out.append(f"pub(super) static FORGED_DIGEST: [u8; 32] =\n    {digest};\n")
    out.append("\n/// None of these is valid. The notes of Wycheproof that a case mirrors are named in the\n")
    out.append("/// generator.\n")
    out.append(f"pub(super) static FORGED: [Forgery; {len(forged)}] = [\n")
    for name, signature in forged.items():
        out.append(f'    Forgery {{\n        name: "forged: {name}",\n')
        out.append(f"        signature: {literal(signature, 8)},\n    }},\n")
    out.append("];\n")
    (SUITE / "signature_vectors.rs").write_text("".join(out))


def write_sealed(good, leading, refused, tamper):
    label, secret, block = tamper
    out = [HEAD.format(title="OAEP blocks for the suite's key, good and bad.")]
    out.append("use super::oaep::{Refused, Sealed};\n")
    out.append("\n/// Blocks that open.\n")
    out.append(f"pub(super) static OPENS: [Sealed; {len(good)}] = [\n")
    for name, case_label, message, sealed_block in good:
        out.append(f'    Sealed {{\n        name: "opens: {name}",\n')
        out.append(f"        label: {short(case_label)},\n")
        out.append(f"        message: {short(message)},\n")
        out.append(f"        block: {literal(sealed_block, 8)},\n    }},\n")
    out.append("];\n\n/// The label under which [`TAMPERED`] opens and nothing of [`REFUSED`] does.\n")
    out.append(f'pub(super) static LABEL: &[u8] = b"{label.decode()}";\n')
    out.append("\n/// A good block, to be damaged by the suite, and what is in it.\n")
    out.append("pub(super) static TAMPERED: Sealed = Sealed {\n")
    out.append('    name: "opens: undamaged",\n')
    out.append(f"    label: LABEL,\n    message: {short(secret)},\n")
    out.append(f"    block: {literal(block, 4)},\n}};\n")
    out.append("\n/// Blocks whose encoding does not begin with 00 and is right in everything else.\n")
    out.append(f"pub(super) static LEADING: [Sealed; {len(leading)}] = [\n")
    for name, sealed_block in leading.items():
        out.append(f'    Sealed {{\n        name: "opened or refused: {name}",\n')
        out.append("        label: LABEL,\n        message: TAMPERED.message,\n")
        out.append(f"        block: {literal(sealed_block, 8)},\n    }},\n")
    out.append("];\n\n/// Blocks with a flaw that nobody may overlook.\n")
    out.append(f"pub(super) static REFUSED: [Refused; {len(refused)}] = [\n")
    for name, bad in refused.items():
        out.append(f'    Refused {{\n        name: "sealed: {name}",\n')
        out.append(f"        block: {literal(bad, 8)},\n    }},\n")
    out.append("];\n")
    (SUITE / "oaep_vectors.rs").write_text("".join(out))


def main():
    key = kept(SUITE_KEYS / "good.der", low_modulus)
    kept(SUITE_KEYS / "good-p-above-q.der", lambda: descending(True))
    kept(SUITE_KEYS / "good-p-below-q.der", lambda: descending(False))
    write_refused(key)
    write_by_openssl()
    for at in range(8):
        kept(TEST_KEYS / f"{at}.der", fresh)

    loaded = serialization.load_der_private_key((SUITE_KEYS / "good.der").read_bytes(), None)
    write_signatures(*signatures(key, loaded))
    write_sealed(*sealed(key, loaded))
    subprocess.run(["rustfmt", "--edition", "2024", *SUITE.glob("*_vectors.rs")], check=True)


if __name__ == "__main__":
    main()
