"""A server for tests, on the other end of a `Connection`: it says what a test tells it to."""

from functools import cache

from waxwing_py import bodies, crypto, packet
from waxwing_py.bodies import KeyAnswer, Refusal
from waxwing_py.connection import Clock, Connection
from waxwing_py.crypto import PrivateKey
from waxwing_py.packet import HEADER_LEN, SERVER, SIGNATURE_LEN, Header, Op, Packet

PHONE = "+15550001"
OTHER_PHONE = "+445550002"
THIRD_PHONE = "+335550003"
NOW = 1_774_000_000


@cache
def key(name: str) -> PrivateKey:
    """One key for each name, made once in a run."""
    return PrivateKey.generate()


class TestClock(Clock):
    """Stands still until it is moved."""

    def __init__(self):
        super().__init__()
        self.wall = NOW
        self.ticks = 1000.0

    def now(self) -> int:
        return self.wall + self.offset

    def follow(self, server_time: int):
        self.offset = server_time - self.wall

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float):
        self.wall += int(seconds)
        self.ticks += seconds


class Peer:
    """The server's end of one connection."""

    def __init__(self, user_id: int = 7, name: str = "me"):
        self.clock = TestClock()
        self.user_id = user_id
        self.user_key = key(name)
        self.conn = Connection(key("server").public, self.user_key, user_id, self.clock)
        self.time = NOW
        self.session_key = bytes(range(32))
        self.nonce = None
        self.seq_out = self.seq_in = 0

    # What the client sent.

    def sent(self) -> list[Packet]:
        packets = []
        out = self.conn.out
        while out:
            size = Header.parse(bytes(out[:HEADER_LEN])).size
            end = HEADER_LEN + size + SIGNATURE_LEN
            packets.append(Packet(bytes(out[:end])))
            del out[:end]
        return packets

    def open(self, sealed: Packet) -> bytes:
        assert sealed.verify(self.user_key.public)
        message = crypto.decrypt(self.session_key, sealed.payload)
        assert int.from_bytes(message[:4], "little") == self.seq_in
        self.seq_in += 1
        return message[4:]

    # What the server says.

    def make(self, op: Op, payload: bytes, recipient: int, sign="server") -> Packet:
        stamp = packet.format_timestamp(self.time)
        return packet.make(SERVER, recipient, stamp, op, payload, key(sign).sign)

    def say(self, *packets: Packet) -> list:
        """The events that the client makes of these packets."""
        for each in packets:
            self.conn.feed(each.raw)
        events = []
        while (event := self.conn.poll()) is not None:
            events.append(event)
        return events

    def sealed(self, op: Op, content: bytes) -> Packet:
        message = self.seq_out.to_bytes(4, "little") + content
        self.seq_out += 1
        return self.make(op, crypto.encrypt(self.session_key, message), self.user_id)

    def shared(self, op: Op, *plaintexts: bytes) -> Packet:
        iv = crypto.random_bytes(16)
        tokens = [crypto.make_token(self.session_key, iv, text) for text in plaintexts]
        return self.make(op, iv + b"".join(tokens), SERVER)

    def refusal(self, code: int, packet_id: bytes | None, op: int = 0, retry: int = 0) -> Packet:
        return self.sealed(Op.REFUSAL, Refusal(code, op, retry, packet_id).emit())

    def clear_refusal(self, code: int, packet_id: bytes | None = None) -> Packet:
        return self.make(Op.REFUSAL, Refusal(code, 0, 0, packet_id).emit(), SERVER)

    def session_key_packet(self, op: Op, nonce: bytes) -> Packet:
        block = self.user_key.public.wrap(crypto.label(op), self.session_key + nonce)
        return self.make(op, block, self.user_id)

    def key_answer(self, user_id: int, phone: str, name: str) -> Packet:
        return self.sealed(Op.KEY_ANSWER, KeyAnswer(user_id, phone, key(name).public).emit())

    # The way into a session.

    def take_reconnect(self) -> Packet:
        """The 106 that the client sent; its nonce is noted."""
        (request,) = self.sent()
        if len(request.payload) == 256:
            self.nonce = key("server").unwrap(crypto.label(Op.RECONNECT), request.payload, 16)
        else:
            self.nonce = crypto.decrypt(self.session_key, request.payload)
        return request

    def issue(self) -> list:
        return self.say(self.session_key_packet(Op.SESSION_KEY, self.nonce))

    def establish(self) -> list:
        """A session, from a 106 in the long form to the end of an empty backlog."""
        self.conn.reconnect(None)
        self.take_reconnect()
        self.issue()
        (confirmation,) = self.sent()
        assert bodies.ClientAck.parse(self.open(confirmation)).window
        return self.say(self.sealed(Op.END_OF_BACKLOG, bytes(4)))
