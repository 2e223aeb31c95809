"""What the Python client makes of inputs: reads them from standard input, and prints a line for each.

An input is its length (four bytes, little endian), its kind (a byte), and so many bytes. What a line
says is in testkit/src/differential, where the same is said of the Rust decoder.
"""

import struct
import sys

from waxwing_py import bodies, connection, packet
from waxwing_py.connection import Connection, State
from waxwing_py.crypto import CannotOpen, PublicKey, WeakKey
from waxwing_py.packet import Malformed


def whole_packet(data):
    read = packet.Packet(data)
    header = read.header
    return (
        f"{header.sender} {header.recipient} {read.time} {header.op} {header.size} {read.id.hex()} "
        f"{read.payload[:4].hex()}-{read.payload[-4:].hex()} {read.signature.hex()}"
    )


def phone(data):
    if not bodies.is_phone(data.decode("latin-1")):
        raise Malformed("phone")
    return data.decode()


def code(data):
    if not bodies.is_code(data.decode("latin-1")):
        raise Malformed("code")
    return data.decode()


def timestamp(data):
    return packet.parse_timestamp(data)


def moment(data):
    if len(data) != 8:
        raise Malformed("moment")
    return packet.format_timestamp(int.from_bytes(data, "little", signed=True)).decode()


def public_key(data):
    return PublicKey(data).spki.hex()


def registration_request(data):
    read = bodies.Registration.parse(data)
    return f"{read.reply_key.hex()} {read.phone}"


def otp_proof(data):
    read = bodies.Proof.parse(data)
    return (
        f"{read.reply_key.hex()} {read.code.hex()} {read.nonce.hex()} {read.spki_hash.hex()} "
        f"{read.phone}"
    )


def registration_rejected(data):
    return bodies.parse_rejection(data)


def otp_grant(data):
    read = bodies.CodeIssued.parse(data)
    return f"{read.ttl_s} {read.attempts} {read.resend_s} {read.code or '-'}"


def session_grant(data):
    key, nonce = bodies.parse_session_key(data)
    return f"{key.hex()} {nonce.hex()}"


def key_question(data):
    read = bodies.KeyQuestion.parse(data)
    return f"id {read.user_id}" if read.phone is None else f"phone {read.phone}"


def key_answer(data):
    if data.startswith(b"\0\0"):
        announced = bodies.Successor.parse(data)
        return f"{announced.effective} {announced.key.spki.hex()}"
    read = bodies.KeyAnswer.parse(data)
    return f"{read.user_id} {read.phone} {read.key.spki.hex()}"


def client_report(data):
    read = bodies.ClientAck.parse(data)
    if read.window is not None:
        return f"window {read.window}"
    if read.held is not None:
        return " ".join(["held", *(held.hex() for held in read.held)])
    return " ".join(["asked", *(f"{to}:{packet_id.hex()}" for to, packet_id in read.asked)])


def statuses(data):
    return " ".join(f"{packet_id.hex()}:{int(status)}" for packet_id, status in bodies.parse_statuses(data))


def backlog_size(data):
    return bodies.parse_end_of_backlog(data)


def close_reason(data):
    return int(bodies.parse_closing(data))


def refusal(data):
    read = bodies.Refusal.parse(data)
    packet_id = "-" if read.packet_id is None else read.packet_id.hex()
    return f"{read.code} {read.op} {read.retry_after_s} {packet_id} {read.text.encode().hex()}"


# A client and one packet from its server. What testkit/src/differential/conduct.rs says holds here, too.

USER = 7
ASKED_ABOUT = 300
NONCE = b"\x40" * 16


class Glass:
    """In the place of `crypto`, and of keys: what is sealed lies open, and every signature holds."""

    public = None

    @staticmethod
    def label(_):
        return b""

    @staticmethod
    def sign(_):
        return bytes(256)

    @staticmethod
    def verify(_, __):
        return True

    @staticmethod
    def unwrap(_, block, length):
        message = block[1 : 1 + block[0]]
        if len(message) != length:
            raise CannotOpen
        return message

    @staticmethod
    def encrypt(_, message):
        return bytes(16) + message

    @staticmethod
    def decrypt(_, payload):
        blocks = payload[16:]
        if not blocks or len(blocks) % 16 or not 1 <= blocks[-1] <= 16:
            raise CannotOpen
        return blocks[: -blocks[-1]]

    @staticmethod
    def open_tokens(_, payload):
        return [payload[at : at + 16] for at in range(16, len(payload), 16)]


connection.crypto = Glass


class EveryLetter:
    """In the place of the letters that a client has sent: all that there can be."""

    def __contains__(self, _):
        return True

    def __getitem__(self, prefix):
        return prefix


def line(event):
    match event:
        case bodies.CodeIssued():
            return f"code {event.ttl_s} {event.attempts} {event.resend_s} {event.code or '-'}"
        case connection.PhoneExists():
            return "phone exists"
        case connection.Registered():
            return f"session of {event.user_id}"
        case connection.Letter():
            return f"letter {event.packet.id.hex()}"
        case connection.Statuses():
            return "; ".join(f"status {packet_id.hex()}:{int(s)}" for packet_id, s in event.entries)
        case connection.Key():
            answer = event.answer
            return f"key {answer.user_id} {answer.phone} {answer.key.spki.hex()}"
        case connection.EndOfBacklog():
            return f"backlog {event.count}"
        case connection.Closing():
            return f"closed {int(event.reason)}"
        case connection.Refused() | connection.AttemptFailed():
            read = event.refusal
            packet_id = "-" if read.packet_id is None else read.packet_id.hex()
            return f"refused {read.code} {read.retry_after_s} {packet_id}"
        case connection.Confirmed():
            return None


def to_client(state):
    in_session = state in connection.IN_SESSION

    def verdict(data):
        try:
            packet.Packet(data)
        except Malformed:
            return "no packet"
        conn = Connection(Glass, Glass, USER if in_session or state == State.RECONNECT else 0, CLOCK)
        conn.state, conn._nonce, conn._own_letters = state, NONCE, EveryLetter()
        if in_session:
            conn._seq_out = 2
            conn._questions = {NONCE: bodies.KeyQuestion(user_id=ASKED_ABOUT)}
        if state == State.ONLINE:
            conn._proven, conn.backlog_ended, conn._seq_in = True, True, 1
        said = []
        try:
            conn.feed(data)
            while event := conn.poll():
                said.append(line(event))
        except connection.ProtocolError:
            said.append("failed")
        if state == State.RECONNECT and conn.state == State.CONFIRMING:
            said.append(f"session of {USER}")
        return "; ".join(each for each in said if each)

    return verdict


CLOCK = connection.Clock()

# In the order of `Kind` in testkit/src/differential/verdict.rs.
KINDS = [
    whole_packet,
    phone,
    code,
    timestamp,
    moment,
    public_key,
    registration_request,
    otp_proof,
    registration_rejected,
    otp_grant,
    session_grant,
    key_question,
    key_answer,
    client_report,
    statuses,
    backlog_size,
    close_reason,
    refusal,
]
CONDUCT = [
    to_client(state)
    for state in (State.ASKED, State.PROVING, State.RECONNECT, State.CONFIRMING, State.ONLINE)
]


def verdict(kind, data):
    if kind >= len(KINDS):
        return CONDUCT[kind - len(KINDS)](data)
    try:
        return f"ok {KINDS[kind](data)}"
    except bodies.BadPhone:
        return "bad phone"
    except WeakKey:
        return "weak key"
    except Malformed:
        return "malformed"


def main():
    take, say = sys.stdin.buffer.read, sys.stdout.write
    while head := take(5):
        length, kind = struct.unpack("<IB", head)
        say(verdict(kind, take(length)) + "\n")


if __name__ == "__main__":
    main()
