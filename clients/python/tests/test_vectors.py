"""The vectors of the repository, `vectors/*.json`: read, built anew, and refused where they are bad."""

import json
import os
import tempfile
import unittest
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA

from waxwing_py import bodies, crypto, envelope, packet
from waxwing_py.bodies import ClientAck, KeyAnswer, KeyQuestion, Refusal, Status, Successor
from waxwing_py.connection import Connection, NotTheServer, Opened, ProtocolError, State
from waxwing_py.crypto import PrivateKey, PublicKey, WeakKey
from waxwing_py.envelope import Content, Person
from waxwing_py.home import Home, PinConflict
from waxwing_py.packet import SIGNATURE_LEN, Header, Malformed, Packet
from waxwing_py.session import Session

from peer import TestClock

HERE = Path(__file__).resolve()
VECTORS = Path(os.environ.get("WAXWING_VECTORS", HERE.parents[3] / "vectors"))
PACKETS = ("registration", "session", "letters", "acknowledgments", "directory", "backlog",
           "closing", "refusals")  # fmt: skip


def setUpModule():
    if not VECTORS.is_dir():
        raise unittest.SkipTest(f"{VECTORS} IS NOT THERE: no vector was tried")


@cache
def load(name: str) -> dict:
    return json.loads((VECTORS / f"{name}.json").read_text())


def cases(name: str) -> list[dict]:
    found = load(name)["cases"]
    assert found, f"{name}.json is empty"
    return found


@cache
def key(name: str) -> PrivateKey:
    (entry,) = (entry for entry in load("keys")["keys"] if entry["name"] == name)
    private = PrivateKey(bytes.fromhex(entry["pkcs8"]))
    assert private.public.spki.hex() == entry["spki"]
    return private


def person(name: str) -> Person:
    (entry,) = (entry for entry in load("keys")["keys"] if entry["name"] == name)
    return Person(entry["phone"], key(name).public)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


# What each layout says, from its bytes and back.


def _confirmation(content):
    return {"window": ClientAck.parse(content).window}


def _held(content):
    return {"packet_ids": [each.hex() for each in ClientAck.parse(content).held]}


def _queries(content):
    asked = ClientAck.parse(content).asked
    return {"queries": [{"recipient_id": to, "packet_id": each.hex()} for to, each in asked]}


def _statuses(content):
    entries = bodies.parse_statuses(content)
    return {"statuses": [{"packet_id": each.hex(), "status": int(s)} for each, s in entries]}


def _proof(content):
    proof = bodies.Proof.parse(content)
    return {"reply_key": proof.reply_key.hex(), "otp": proof.code.decode(), "nonce": proof.nonce.hex(),
            "spki_digest": proof.spki_hash.hex(), "phone": proof.phone}  # fmt: skip


def _issued(content):
    issued = bodies.CodeIssued.parse(content)
    fields = {"ttl_s": issued.ttl_s, "attempts": issued.attempts, "resend_s": issued.resend_s}
    return fields | ({"otp": issued.code} if issued.code else {})


def _session_key(content):
    session_key, nonce = bodies.parse_session_key(content)
    return {"session_key": session_key.hex(), "nonce": nonce.hex()}


def _question(content):
    question = KeyQuestion.parse(content)
    if question.phone is None:
        return {"user_id": question.user_id}
    return {"phone": question.phone}


def _answer(content):
    answer = KeyAnswer.parse(content)
    return {"user_id": answer.user_id, "phone": answer.phone, "spki": answer.key.spki.hex()}


def _successor(content):
    announced = bodies.Successor.parse(content)
    return {"effective": announced.effective, "spki": announced.key.spki.hex()}


def _refusal(content):
    refusal = Refusal.parse(content)
    fields = {"code": refusal.code, "op": refusal.op, "retry_after_s": refusal.retry_after_s}
    if refusal.packet_id is not None:
        fields["packet_id"] = refusal.packet_id.hex()
    return fields | {"text": refusal.text}


def _letter(content):
    opened = envelope.parse_content(content)
    fields = {"uid": opened.uid.hex(), "content_kind": opened.kind}
    if opened.kind == envelope.TEXT:
        return fields | {"text": opened.body.decode()}
    return fields | {
        "receipt" if opened.kind == envelope.READ_RECEIPT else "body": opened.body.hex()
    }


def _registration(content):
    body = bodies.Registration.parse(content)
    return {"reply_key": body.reply_key.hex(), "phone": body.phone}


READ = {
    "registration_request": _registration,
    "otp_proof": _proof,
    "registration_rejected": lambda content: {"reason": bodies.parse_rejection(content)},
    "otp_issued": _issued,
    "session_issued": _session_key,
    "session_renewed": _session_key,
    "reconnect_long": lambda content: {"nonce": content.hex()},
    "reconnect_short": lambda content: {"nonce": content.hex()},
    "confirmation": _confirmation,
    "letter": _letter,
    "statuses": _statuses,
    "held": _held,
    "status_queries": _queries,
    "key_question": _question,
    "key_answer": _answer,
    "successor": _successor,
    "backlog_end": lambda content: {"count": bodies.parse_end_of_backlog(content)},
    "closing": lambda content: {"reason": int(bodies.parse_closing(content))},
    "refusal": _refusal,
}


def _emit_letter(fields):
    body = unhex(
        fields.get("receipt") or fields.get("body") or fields.get("text", "").encode().hex()
    )
    return envelope.emit_content(Content(unhex(fields["uid"]), fields["content_kind"], body))


def _emit_refusal(fields):
    packet_id = unhex(fields["packet_id"]) if "packet_id" in fields else None
    code, op, retry = fields["code"], fields["op"], fields["retry_after_s"]
    return Refusal(code, op, retry, packet_id, fields["text"]).emit()


WRITE = {
    "registration_request": lambda f: bodies.Registration(unhex(f["reply_key"]), f["phone"]).emit(),
    "otp_proof": lambda f: bodies.Proof(
        unhex(f["reply_key"]),
        f["otp"].encode(),
        unhex(f["nonce"]),
        unhex(f["spki_digest"]),
        f["phone"],
    ).emit(),
    "registration_rejected": lambda f: bytes([f["reason"]]),
    "otp_issued": lambda f: bodies.CodeIssued(
        f["ttl_s"], f["attempts"], f["resend_s"], f.get("otp")
    ).emit(),
    "session_issued": lambda f: unhex(f["session_key"] + f["nonce"]),
    "session_renewed": lambda f: unhex(f["session_key"] + f["nonce"]),
    "reconnect_long": lambda f: unhex(f["nonce"]),
    "reconnect_short": lambda f: unhex(f["nonce"]),
    "confirmation": lambda f: bodies.emit_confirmation(f["window"]),
    "letter": _emit_letter,
    "statuses": lambda f: bodies.emit_statuses(
        [(unhex(each["packet_id"]), Status(each["status"])) for each in f["statuses"]]
    ),
    "held": lambda f: bodies.emit_held([unhex(each) for each in f["packet_ids"]]),
    "status_queries": lambda f: bodies.emit_status_question(
        [(each["recipient_id"], unhex(each["packet_id"])) for each in f["queries"]]
    ),
    "key_question": lambda f: KeyQuestion(f.get("user_id"), f.get("phone")).emit(),
    "key_answer": lambda f: KeyAnswer(f["user_id"], f["phone"], PublicKey(unhex(f["spki"]))).emit(),
    "successor": lambda f: Successor(f["effective"], PublicKey(unhex(f["spki"]))).emit(),
    "backlog_end": lambda f: f["count"].to_bytes(4, "little"),
    "closing": lambda f: bytes([f["reason"]]),
    "refusal": _emit_refusal,
}


def wrap_with_seed(public: PublicKey, label: bytes, content: bytes, seed: bytes) -> bytes:
    rsa = RSA.import_key(public.spki)
    cipher = PKCS1_OAEP.new(rsa, hashAlgo=SHA256, label=label, randfunc=lambda _: seed)
    return cipher.encrypt(content)


def open_payload(case: dict, payload: bytes) -> bytes:
    """The content of a payload, by what the client does with one."""
    how = case["protection"]
    form = how["form"]
    if form == "oaep":
        content = unhex(case["content"])
        return key(how["key"]).unwrap(how["label"].encode(), payload[:256], len(content))
    if form == "reply":
        return crypto.decrypt(unhex(how["reply_key"]), payload)
    if form == "last_session":
        return crypto.decrypt(unhex(how["session_key"]), payload)
    if form == "sealed":
        message = crypto.decrypt(unhex(how["session_key"]), payload)
        assert message[:4] == how["seq"].to_bytes(4, "little")
        return message[4:]
    if form == "shared":
        tokens = (payload[at : at + 16] for at in range(16, len(payload), 16))
        return b"".join(
            crypto.open_tokens(unhex(each["session_key"]), payload[:16] + token)[0]
            for each, token in zip(how["tokens"], tokens, strict=True)
        )
    if form == "envelope":
        sender, recipient = how["sender"], how["recipient"]
        opened = envelope.open_envelope(person(sender), person(recipient), key(recipient), payload)
        return envelope.emit_content(opened)
    assert form == "clear"
    return payload


def build_payload(case: dict, content: bytes) -> bytes:
    how = case["protection"]
    form = how["form"]
    iv = unhex(how.get("iv", ""))
    if form == "oaep":
        block = wrap_with_seed(
            key(how["key"]).public, how["label"].encode(), content, unhex(how["seed"])
        )
        return block + unhex(case["fields"].get("spki", ""))
    if form == "reply":
        return crypto.encrypt(unhex(how["reply_key"]), content, iv)
    if form == "last_session":
        return crypto.encrypt(unhex(how["session_key"]), content, iv)
    if form == "sealed":
        message = how["seq"].to_bytes(4, "little") + content
        return crypto.encrypt(unhex(how["session_key"]), message, iv)
    if form == "shared":
        tokens = how["tokens"]
        return iv + b"".join(
            crypto.make_token(unhex(each["session_key"]), iv, unhex(each["block"]))
            for each in tokens
        )
    if form == "envelope":
        recipient = person(how["recipient"])
        label = envelope._label(person(how["sender"]), recipient)
        assert label.hex() == how["label"]
        message_key = unhex(how["message_key"])
        wrapped = wrap_with_seed(recipient.key, label, message_key, unhex(how["seed"]))
        return b"\1\1" + wrapped + crypto.encrypt(message_key, content, iv)
    return content


class Good(unittest.TestCase):
    def each_packet(self, check):
        for name in PACKETS:
            for case in cases(name):
                with self.subTest(file=name, case=case["name"]):
                    check(case)

    def test_packets_are_read(self):
        def check(case):
            came = Packet(unhex(case["packet"]))
            header = case["header"]
            self.assertEqual(
                came.header,
                Header(header["sender_id"], header["recipient_id"], header["timestamp"].encode(),
                       header["op_code"], header["payload_size"]),
            )  # fmt: skip
            if header["sender_id"] == 0 and case.get("signer") == "server":
                came.header.check_from_server()
            self.assertEqual(came.payload.hex(), case["payload"])
            self.assertEqual(came.id.hex(), case["packet_id"])
            if "signer" in case:
                self.assertTrue(came.verify(key(case["signer"]).public))
            else:
                self.assertEqual(came.signature, bytes(SIGNATURE_LEN))
            self.assertEqual(open_payload(case, came.payload).hex(), case["content"])

        self.each_packet(check)

    def test_contents_are_read(self):
        def check(case):
            if case["protection"]["form"] == "shared":
                self.check_token(case)
                return
            fields = dict(case["fields"])
            if case["kind"] == "otp_proof":
                self.assertEqual(fields.pop("spki"), case["payload"][512:])
            self.assertEqual(READ[case["kind"]](unhex(case["content"])), fields)

        self.each_packet(check)

    def check_token(self, case):
        """A client finds its own token by what it knows."""
        how, fields = case["protection"], case["fields"]
        own = crypto.open_tokens(unhex(how["session_key"]), unhex(case["payload"]))
        if case["kind"] == "status_token":
            self.assertIn(unhex(fields["letter"]) + bytes([fields["status"]]), own)
        else:
            self.assertIn(unhex(fields["nonce"]) + fields["count"].to_bytes(4, "little"), own)

    def test_packets_are_built(self):
        def check(case):
            content = unhex(case["content"])
            if case["kind"] in WRITE:
                content = WRITE[case["kind"]](case["fields"])
                self.assertEqual(content.hex(), case["content"])
            payload = build_payload(case, content)
            self.assertEqual(payload.hex(), case["payload"])
            header = case["header"]
            sign = key(case["signer"]).sign if "signer" in case else packet.unsigned
            built = packet.make(
                header["sender_id"], header["recipient_id"], header["timestamp"].encode(),
                header["op_code"], payload, sign,
            )  # fmt: skip
            self.assertEqual(built.raw.hex(), case["packet"])

        self.each_packet(check)

    def test_envelopes(self):
        for case in cases("envelope"):
            with self.subTest(case["name"]):
                content = unhex(case["content"])
                self.assertEqual(open_payload(case, unhex(case["envelope"])), content)
                self.assertEqual(build_payload(case, content).hex(), case["envelope"])
                self.assertEqual(READ["letter"](content), case["fields"])

    def test_safety_numbers(self):
        for case in cases("safety"):
            with self.subTest(case["name"]):
                prints = []
                for each in case["people"]:
                    one = Person(each["phone"], PublicKey(unhex(each["spki"])))
                    self.assertEqual(one.fingerprint.hex(), each["fingerprint"])
                    prints.append(one.fingerprint)
                self.assertEqual(envelope.safety_number(*prints), case["safety_number"])


class Bad(unittest.TestCase):
    def test_values_are_refused(self):
        parsers = READ | {
            "timestamp": packet.parse_timestamp,
            "header_and_rest": Packet,
            "spki": PublicKey,
            "phone": lambda text: bodies.read_phone(bodies.Reader(bytes([len(text)]) + text)),
            "otp": self.read_code,
        }
        for case in cases("bad_values"):
            with self.subTest(case["name"]), self.assertRaises((Malformed, WeakKey)):
                parsers[case["kind"]](unhex(case["bytes"]))

    @staticmethod
    def read_code(text: bytes):
        if not bodies.is_code(text.decode("latin-1")):
            raise Malformed

    def connection(self, state: str) -> Connection:
        unregistered = state in ("asked", "proving")
        user_id = 0 if unregistered else 7
        conn = Connection(key("server").public, key("ann"), user_id, TestClock())
        phone, reply_key = person("ann").phone, bytes(range(0x60, 0x80))
        if state == "asked":
            conn.request_code(phone, reply_key)
        elif state == "proving":
            conn.prove(phone, reply_key, "123456")
        elif state != "idle":
            conn.reconnect(None)
        conn._nonce = bytes(range(0x40, 0x50))
        if state in ("session", "asking"):
            renewed = next(c for c in cases("session") if c["kind"] == "session_renewed")
            conn.feed(unhex(renewed["packet"]))
            self.assertEqual(conn.poll(), Opened())
        if state == "asking":
            conn.ask_key(KeyQuestion(phone="+445550002"))
        conn.out.clear()
        return conn

    def fate(self, conn: Connection, event) -> str:
        """What becomes of a letter at Ann's, who has pinned Ben."""
        with tempfile.TemporaryDirectory() as directory:
            home = Home(directory, create=True)
            try:
                ann = person("ann")
                home.put(key=key("ann").der, phone=ann.phone, user_id=7,
                         server_key=key("server").public.spki)  # fmt: skip
                home.pin(KeyAnswer(300, person("ben").phone, person("ben").key))
                session = Session(home, conn)
                session.handle(event)
                if not session.idle:
                    return "BadSignature"
                (row,) = home.unshown()
            finally:
                home.close()
        payload = event.packet.payload
        if row["fate"].startswith("envelope of version"):
            return "UnknownVersion" if payload[0] != 1 else "UnknownSuite"
        if row["fate"] == "unreadable":
            return "DoesNotOpen"
        return "UnknownKind" if row["uid"] and row["fate"] != "letter" else row["fate"]

    def test_a_client_refuses_and_says_nothing(self):
        closing = ("BadBytes", "BadSeal", "Misbehaved", "WrongKey")
        for case in cases("bad_to_client"):
            with self.subTest(case["name"]):
                conn = self.connection(case["state"])
                before = conn.state
                conn.feed(unhex(case["packet"]))
                if case["error"] in closing:
                    with self.assertRaises(ProtocolError):
                        conn.poll()
                elif case["error"] == "Ignored":
                    self.assertIsNone(conn.poll())
                    self.assertEqual(conn.state, before)
                else:
                    self.assertEqual(self.fate(conn, conn.poll()), case["error"])
                self.assertEqual(bytes(conn.out), b"")


class Sequences(unittest.TestCase):
    """`sequences.json`: what comes of packets, statuses and answers, one after the other."""

    def connection(self, state: str) -> Connection:
        unregistered = state in ("asked", "proving")
        conn = Connection(key("server").public, key("ann"), 0 if unregistered else 7, TestClock())
        if state == "asked":
            conn.request_code(person("ann").phone, bytes(range(0x60, 0x80)))
            return conn
        if state == "proving":
            conn.prove(person("ann").phone, bytes(range(0x60, 0x80)), "123456")
        elif state == "reconnecting_short":
            short = next(c for c in cases("session") if c["kind"] == "reconnect_short")
            conn.reconnect(unhex(short["protection"]["session_key"]))
            conn._request_id = unhex(short["packet_id"])
        else:
            conn.reconnect(None)
        conn._nonce = NONCE
        if state in ("proving", "reconnecting", "reconnecting_short"):
            return conn
        renewed = next(c for c in cases("session") if c["kind"] == "session_renewed")
        self.assertEqual(self.comes(conn, unhex(renewed["packet"])), "SessionKey")
        if state in ("online", "leaving"):
            ended = next(c for c in cases("backlog") if c["kind"] == "backlog_end")
            self.assertEqual(self.comes(conn, unhex(ended["packet"])), "BacklogEnd")
        if state == "watching":
            conn.watch([bytes(range(0xB0, 0xC0))])
        if state.startswith("leaving"):
            conn.leave()
        return conn

    def comes(self, conn: Connection, raw: bytes) -> str:
        """What comes of a packet, in the words of the file."""
        before, unsent = conn.state, len(conn.out)
        conn.feed(raw)
        events = []
        try:
            while (event := conn.poll()) is not None:
                events.append(type(event).__name__)
                if events[-1] == "Registered":
                    conn.confirm()
        except NotTheServer:
            return "BadBytes"
        except ProtocolError:
            return "Closes"
        for name, word in EVENTS.items():
            if name in events:
                return word
        if before == State.RECONNECT and conn.state == State.RECONNECT and len(conn.out) > unsent:
            conn._nonce = NONCE
            return "LongForm"
        if before == State.RECONNECT and conn.state == State.CONFIRMING:
            return "SessionKey"
        return "Ignored"

    def test_packets(self):
        for case in of_kind("packets"):
            conn = self.connection(case["state"])
            for at, step in enumerate(case["steps"]):
                with self.subTest(case["name"], step=at):
                    # Other implementations need not tell these two apart.
                    expected = step["comes"]
                    expected = "Closes" if expected in ("BadSeal", "Misbehaved") else expected
                    self.assertEqual(self.comes(conn, unhex(step["packet"])), expected)

    def test_statuses(self):
        for case in of_kind("statuses"):
            with self.subTest(case["name"]), a_home() as home:
                content = Content(bytes(16), envelope.TEXT, b"a letter")
                home.enqueue(person("ben").phone, content)
                raw = packet.make(7, 300, b"2026-03-14 09:26:53", 102, b"", packet.unsigned)
                home.add_packet(content.uid, raw, b"", person("ben").key.spki)
                for step in case["steps"]:
                    if "refused" in step:
                        home.refuse(content.uid, bodies.Code(step["refused"]).name)
                    else:
                        home.set_status(raw.id, Status(step["status"]))
                    status, _ = home.status(content.uid)
                    self.assertEqual(int(status or 0), step["known"], step)

    def test_fates(self):
        for case in of_kind("fates"):
            with self.subTest(case["name"]):
                server = LetterAtServer()
                for step in case["steps"]:
                    if "happens" in step:
                        server.happens(step["happens"], step["at"])
                    else:
                        self.assertEqual(server.asked(step["at"]), step["status"], step)

    def test_pins(self):
        for case in of_kind("pins"):
            with self.subTest(case["name"]), a_home() as home:
                ben = person("ben").phone
                for step in case["steps"]:
                    before = home.contact(ben)
                    if "accept" in step:
                        comes = accept(home, ben, key(step["accept"]).public)
                    else:
                        comes = pin(home, before, step)
                    self.assertEqual(comes, step["comes"], step)
                    contact = home.contact(ben)
                    self.assertEqual(contact.key.spki, key(step["pinned"]).public.spki, step)
                    waiting = key(step["waiting"]).public.spki if "waiting" in step else None
                    offered = contact.offered and contact.offered.spki
                    self.assertEqual(offered, waiting, step)


class LetterAtServer:
    """What a server knows of one letter, as PROTOCOL.md has it in "Acknowledgments"."""

    MONTH = 30 * 86_400

    def __init__(self):
        # When it was stored, and when it expired.
        self.known = (None, None)
        self.copy = None
        self.restored = -self.MONTH - 1

    def happens(self, what: str, now: int):
        self.expire(now)
        if what == "stored":
            self.known = (now, None)
        elif what == "acknowledged":
            self.known = (None, None)
        elif what == "copied":
            self.copy = self.known
        elif what == "restored":
            self.known, self.restored = self.copy, now
        else:
            raise ValueError(what)

    def expire(self, now: int):
        stored, _ = self.known
        if stored is not None and now - stored > self.MONTH:
            self.known = (None, stored + self.MONTH)

    def asked(self, now: int) -> int:
        self.expire(now)
        stored, expired = self.known
        if stored is not None:
            return Status.STORED
        if expired is not None and now - expired <= self.MONTH:
            return Status.EXPIRED
        return Status.UNKNOWN if now - self.restored <= self.MONTH else Status.DELIVERED


NONCE = bytes(range(0x40, 0x50))
# What an event of a connection is called there; of several, the first of these.
EVENTS = {
    "CodeIssued": "Code",
    "PhoneExists": "PhoneTaken",
    "Registered": "SessionKey",
    "Letter": "Letter",
    "EndOfBacklog": "BacklogEnd",
    "Statuses": "Status",
    "Key": "Key",
    "AttemptFailed": "Refused",
    "Refused": "Refused",
    "Closing": "Closed",
}


def of_kind(kind: str) -> list[dict]:
    found = [case for case in cases("sequences") if case["kind"] == kind]
    assert found, f"no case of kind {kind}"
    return found


@contextmanager
def a_home():
    """Ann's, in which nobody is pinned."""
    with tempfile.TemporaryDirectory() as directory:
        home = Home(directory, create=True)
        try:
            home.put(key=key("ann").der, phone=person("ann").phone, user_id=7,
                     server_key=key("server").public.spki)  # fmt: skip
            yield home
        finally:
            home.close()


def pin(home: Home, before, step: dict) -> str:
    try:
        after = home.pin(KeyAnswer(step["user_id"], step["phone"], key(step["key"]).public))
    except PinConflict:
        return "Refused"
    if before is None:
        return "Pinned"
    if after.offered:
        return "Changed"
    if before.offered:
        return "Reverted"
    return "NewId" if after.user_id != before.user_id else "Unchanged"


def accept(home: Home, phone: str, compared: PublicKey) -> str:
    return "Accepted" if home.accept(phone, compared) else "NotWaiting"


if __name__ == "__main__":
    unittest.main()
