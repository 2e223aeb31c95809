"""What outlives the process: identity, pins, letters in and out. PROTOCOL.md, "What an
implementation must persist" and "Pinning".

Each method is a transaction of its own, durable when it returns, unless it is called inside `with
home.transaction()`.
"""

import fcntl
import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from . import schema, wal
from .bodies import KeyAnswer, Status, Successor
from .crypto import PrivateKey, PublicKey, random_bytes
from .envelope import READ_RECEIPT, TEXT, UID_LEN, Content, Person
from .packet import parse_timestamp
from .schema import StorageError

FATE_MEMORY_SECONDS = 30 * 86_400
LETTER = "letter"
HELD = "held"
UNKNOWN_SENDER = "unknown sender"
BAD_SIGNATURE = "bad signature"


# What nobody could open is kept up to this, and then the oldest goes.
UNOPENED_MAX = 256
UNOPENED_BYTES_MAX = 4 * 1024 * 1024
# Letters of people to whom nobody here has ever written are kept up to this, and then no more.
STRANGERS_MAX = 1_000
STRANGERS_BYTES_MAX = 16 * 1024 * 1024
# How often the server is asked which key follows its own.
ASK_SERVER_SECONDS = 86_400
# How often the holder of the session shows that it is alive, and after how long it seems not to be.
LIFE_SECONDS = 2
SILENT_SECONDS = 15


class NoHome(Exception):
    """Nobody has registered there."""


class PinConflict(Exception):
    """An answer that would tear a pin from somebody. Names the phone that has the id or the key."""

    def __init__(self, text: str, other: str, by_id: bool):
        super().__init__(text)
        self.other = other
        self.by_id = by_id


@dataclass(frozen=True)
class Contact:
    phone: str
    user_id: int | None
    key: PublicKey
    verified: bool
    offered: PublicKey | None
    checked_at: int
    # When the key was pinned, if the home knows.
    since: int | None

    @property
    def person(self) -> Person:
        return Person(self.phone, self.key)


class Home:
    def __init__(self, directory: str, create: bool = False):
        self.directory = Path(directory)
        os.umask(0o077)
        path = self.directory / "waxwing-py.db"
        try:
            if create:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not path.exists():
                raise NoHome(f"there is no home in {directory}")
            if wal.is_damaged(path):
                raise StorageError(
                    f"{path}-wal is damaged: what was stored last cannot be read, and nothing was changed. Bring back"
                    " your copy of the home, or move the home aside and register anew"
                )
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
            path.chmod(0o600)
            self._db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            )
            schema.prepare(self._db)
            self._sync_directory()
        except (OSError, sqlite3.Error) as error:
            raise StorageError(str(error)) from error
        self._lock_file = None
        self._shown_alive = 0.0
        # Where the person says that the server is: believed once it has answered there.
        self.named_server: str | None = None
        # At so many addresses in a row nobody served.
        self._failed = 0

    def _sync_directory(self):
        handle = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self):
        self._db.close()
        if self._lock_file:
            self._lock_file.close()

    @contextmanager
    def transaction(self):
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def take_session(self) -> bool:
        """Whether this process may have the session of this home. It keeps it until it ends."""
        if self._lock_file is None:
            self._lock_file = open(self.directory / "session.lock", "a+")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._lock_file.truncate(0)
        self._lock_file.write(str(os.getpid()))
        self._lock_file.flush()
        return True

    def show_life(self):
        """Tells other processes that this one, which holds the session, is not stuck."""
        if self._lock_file and time.monotonic() - self._shown_alive >= LIFE_SECONDS:
            self._shown_alive = time.monotonic()
            os.utime(self._lock_file.fileno())

    def stuck_holder(self) -> tuple[str, int] | None:
        """The process that holds the session and has not shown any life for too long: its number, and
        for how many seconds."""
        path = self.directory / "session.lock"
        try:
            silent = int(time.time() - path.stat().st_mtime)
            holder = path.read_text()
        except OSError:
            return None
        return (holder or "of unknown number", silent) if silent > SILENT_SECONDS else None

    @contextmanager
    def showing(self):
        """While a process shows letters and notes that it did, no other one of this home does."""
        with open(self.directory / "show.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # Identity: "server", "server_key", "key", "phone", "user_id", "reply_key", "session_key".

    def get(self, name: str):
        row = self._db.execute("SELECT value FROM identity WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def put(self, **values):
        with self.transaction():
            for name, value in values.items():
                if value is None:
                    self._db.execute("DELETE FROM identity WHERE name = ?", (name,))
                else:
                    self._db.execute("REPLACE INTO identity VALUES (?, ?)", (name, value))

    @property
    def servers(self) -> list[str]:
        """The addresses of the server, in the order in which the next connection tries them."""
        named = (self.named_server or self.get("server")).split(",")
        addresses = [address.strip() for address in named]
        first = self._failed % len(addresses)
        return addresses[first:] + addresses[:first]

    def server_has_failed(self, addresses: int = 1):
        """Nobody served at so many addresses: those that follow come first."""
        self._failed += addresses

    def server_has_answered(self):
        """At the first of the addresses, with which the next process begins, too."""
        if self.named_server or self._failed:
            self.put(server=",".join(self.servers))
            self.named_server, self._failed = None, 0

    @cached_property
    def key(self) -> PrivateKey:
        return PrivateKey(self.get("key"))

    @property
    def me(self) -> Person:
        return Person(self.get("phone"), self.key.public)

    # The server's key, and the one that follows it. PROTOCOL.md, "Keys".

    @property
    def server_key(self) -> PublicKey:
        return PublicKey(self.get("server_key"))

    @property
    def successor(self) -> tuple[PublicKey, int] | None:
        """The key that the server has announced, and from when on."""
        spki = self.get("successor")
        return (PublicKey(spki), self.get("effective")) if spki else None

    def successor_due(self, now: int) -> bool:
        asked = self.get("successor_asked")
        return asked is None or not 0 <= now - asked < ASK_SERVER_SECONDS

    def trust_server(self, server: str, server_key: PublicKey):
        """Where the server is, and the key by which it has answered there. Nothing that was learnt under
        another key counts with this one, and the key that followed the other one least of all."""
        values = {"server": server, "server_key": server_key.spki}
        with self.transaction():
            if self.get("server_key") != server_key.spki:
                values |= dict.fromkeys(("successor", "effective", "successor_asked", "session_key"))
            self.put(**values)

    def note_successor(self, successor: Successor | None, under: PublicKey, now: int):
        """What the server has said last counts, `under` the pinned key. Somebody else's key is none, nor
        is the pinned one."""
        if self.get("server_key") != under.spki:
            return
        spki = effective = None
        if successor:
            known = "SELECT 1 FROM contacts WHERE spki = ?"
            taken = self._db.execute(known, (successor.key.spki,)).fetchone()
            own = (self.get("server_key"), self.key.public.spki)
            if not taken and successor.key.spki not in own:
                spki = successor.key.spki
                effective = parse_timestamp(successor.effective.encode())
        self.put(successor=spki, effective=effective, successor_asked=now)

    def succeed(self, server_key: PublicKey):
        """The server has this key. If that is the successor, the key before counts for nothing any more."""
        with self.transaction():
            if self.get("successor") == server_key.spki:
                self.put(
                    server_key=server_key.spki, successor=None, effective=None, session_key=None
                )

    # Contacts.

    def contact(self, phone: str) -> Contact | None:
        return self._contact("phone", phone)

    def contact_by_id(self, user_id: int) -> Contact | None:
        return self._contact("user_id", user_id)

    def _contact(self, column: str, value) -> Contact | None:
        row = self._db.execute(f"SELECT * FROM contacts WHERE {column} = ?", (value,)).fetchone()
        if row is None:
            return None
        return _contact_of(row)

    def contacts(self) -> list[Contact]:
        """Everybody whose key is pinned."""
        rows = self._db.execute("SELECT * FROM contacts ORDER BY phone")
        return [_contact_of(row) for row in rows]

    def pin(self, answer: KeyAnswer) -> Contact:
        """Takes an answer of the directory into the pins, or refuses it and changes nothing.

        The first key of a phone is pinned. The same key under a new id moves the id. Another key is
        kept beside the pinned one, until a person accepts it.
        """
        spki = answer.key.spki
        with self.transaction():
            owner = self._db.execute(
                "SELECT phone FROM contacts WHERE (spki = ? OR offered = ?) AND phone != ?",
                (spki, spki, answer.phone),
            ).fetchone()
            if owner or spki in (self.get("server_key"), self.get("successor")):
                other = owner[0] if owner else "the server"
                raise PinConflict("the key belongs to somebody else", other, by_id=False)
            if (spki == self.key.public.spki) != (answer.phone == self.get("phone")):
                raise PinConflict("the key is our own, or stands in its place", "us", by_id=False)
            holder = self.contact_by_id(answer.user_id)
            if holder and holder.phone != answer.phone:
                raise PinConflict("the id belongs to somebody else", holder.phone, by_id=True)
            pinned = self.contact(answer.phone)
            if pinned is None:
                self._db.execute(
                    "INSERT INTO contacts (phone, user_id, spki, checked_at, since)"
                    " VALUES (?1, ?2, ?3, ?4, ?4)",
                    (answer.phone, answer.user_id, spki, _now()),
                )
            else:
                offered = spki if spki != pinned.key.spki else None
                self._db.execute(
                    "UPDATE contacts SET user_id = ?, offered = ?, checked_at = ? WHERE phone = ?",
                    (answer.user_id, offered, _now(), answer.phone),
                )
            return self.contact(answer.phone)

    def unpin_id(self, phone: str):
        """The phone has this id no longer. Its key stays."""
        with self.transaction():
            self._db.execute("UPDATE contacts SET user_id = NULL WHERE phone = ?", (phone,))

    def mark_verified(self, phone: str, compared: PublicKey) -> bool:
        """A person has compared the pinned key. False, and nothing changes, if it is another one."""
        with self.transaction():
            marked = self._db.execute(
                "UPDATE contacts SET verified = 1 WHERE phone = ? AND spki = ?",
                (phone, compared.spki),
            )
            return bool(marked.rowcount)

    def accept(self, phone: str, compared: PublicKey) -> bool:
        """A person accepts the other key, which is the one that they have compared. Letters under it
        are shown from now on. False, and nothing changes, if it is not that one that waits."""
        with self.transaction():
            accepted = self._db.execute(
                "UPDATE contacts SET spki = offered, offered = NULL, verified = 0, since = ?3"
                " WHERE phone = ?1 AND offered = ?2",
                (phone, compared.spki, _now()),
            )
            if not accepted.rowcount:
                return False
            self._db.execute(
                "UPDATE received SET fate = ?1 WHERE phone = ?2 AND fate = ?3"
                " AND spki = (SELECT spki FROM contacts WHERE phone = ?2)",
                (LETTER, phone, HELD),
            )
            return True

    def begin_anew(self, reply_key: bytes):
        """The server does not know this account any more. The key, the pins and the letters stay; what
        the server had said of packets under the old id is not asked after under the new one."""
        with self.transaction():
            self.put(user_id=None, session_key=None, reply_key=reply_key, proved=None)
            self._db.execute("UPDATE packets SET stored = 0")

    # Letters to others.

    def enqueue(self, phone: str, content: Content):
        with self.transaction():
            written = self._db.execute(
                "INSERT INTO sent (uid, phone, kind, body, created_at) VALUES (?, ?, ?, ?, ?)",
                (content.uid, phone, content.kind, content.body, _now()),
            )
            if content.kind != READ_RECEIPT:
                self._db.execute(
                    "INSERT INTO items (phone, sent) VALUES (?, ?)", (phone, written.lastrowid)
                )

    def outbox(self) -> list[tuple[bytes, str, Content]]:
        """Letters that wait for a first status: uid, phone and content, oldest first."""
        rows = self._db.execute(
            "SELECT uid, phone, kind, body FROM sent"
            " WHERE (status IS NULL OR status = 0) AND refused IS NULL ORDER BY number"
        )
        return [(uid, phone, Content(uid, kind, body)) for uid, phone, kind, body in rows]

    def sealed(self, uid: bytes, spki: bytes) -> bytes | None:
        """The envelope of a letter, if there is one for this key."""
        row = self._db.execute(
            "SELECT envelope FROM sent WHERE uid = ? AND spki = ?", (uid, spki)
        ).fetchone()
        return row[0] if row else None

    def last_packet(self, uid: bytes) -> bytes | None:
        row = self._db.execute(
            "SELECT raw FROM packets WHERE uid = ? ORDER BY rowid DESC LIMIT 1", (uid,)
        ).fetchone()
        return row[0] if row else None

    def add_packet(self, uid: bytes, packet, envelope: bytes, spki: bytes):
        """Before the first byte goes out. A packet takes the place of an earlier one as the one to
        send; the ids of all of them stay."""
        with self.transaction():
            self._db.execute(
                "UPDATE sent SET envelope = ?, spki = ? WHERE uid = ?", (envelope, spki, uid)
            )
            self._db.execute(
                "INSERT OR IGNORE INTO packets (packet_id, uid, recipient, raw)"
                " VALUES (?, ?, ?, ?)",
                (packet.id, uid, packet.header.recipient, packet.raw),
            )

    def count_signed_again(self, uid: bytes) -> int:
        with self.transaction():
            self._db.execute(
                "UPDATE sent SET signed_again = signed_again + 1 WHERE uid = ?", (uid,)
            )
            row = self._db.execute("SELECT signed_again FROM sent WHERE uid = ?", (uid,))
            return row.fetchone()[0]

    def was_sent_to(self, phone: str, uid: bytes) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM sent WHERE phone = ? AND uid = ? AND kind != ?",
            (phone, uid, READ_RECEIPT),
        )
        return row.fetchone() is not None

    def receipts_wait(self) -> bool:
        """Whether the server has not answered yet for all that tells people that we have read."""
        row = self._db.execute(
            "SELECT 1 FROM sent WHERE kind = ? AND (status IS NULL OR status = 0)"
            " AND refused IS NULL LIMIT 1",
            (READ_RECEIPT,),
        )
        return row.fetchone() is not None

    def uid_of(self, packet_id: bytes) -> bytes | None:
        row = self._db.execute(
            "SELECT uid FROM packets WHERE packet_id = ?", (packet_id,)
        ).fetchone()
        return row[0] if row else None

    def open_packets(self) -> list[bytes]:
        """Packet ids of letters whose status can still change."""
        rows = self._db.execute(
            "SELECT packet_id FROM packets JOIN sent USING (uid)"
            " WHERE status IS NULL OR status != ?",
            (Status.DELIVERED,),
        )
        return [row[0] for row in rows]

    def stored_packets(self) -> list[tuple[int, bytes]]:
        """Recipient and packet id of the letters to ask after. Of a packet that it never stored the
        server says "delivered", and of one that it has not named for long the answer proves nothing.
        """
        return self._db.execute(
            "SELECT recipient, packet_id FROM packets JOIN sent USING (uid)"
            " WHERE status = 1 AND stored = 1 AND heard_at > ? ORDER BY number",
            (_now() - FATE_MEMORY_SECONDS,),
        ).fetchall()

    def status(self, uid: bytes) -> tuple[Status | None, str | None]:
        """Status, and why it was refused."""
        row = self._db.execute("SELECT status, refused FROM sent WHERE uid = ?", (uid,))
        status, refused = row.fetchone()
        return (None if status is None else Status(status)), refused

    def set_status(self, packet_id: bytes, status: Status):
        """A status only rises, whichever packet of the letter it is about."""
        uid = self.uid_of(packet_id)
        if uid is None:
            return
        with self.transaction():
            old, _ = self.status(uid)
            if old is None or status.rank > old.rank:
                self._db.execute(
                    "UPDATE sent SET status = ?, refused = NULL WHERE uid = ?", (status, uid)
                )
            self._db.execute("UPDATE sent SET heard_at = ? WHERE uid = ?", (_now(), uid))
            if status == Status.STORED:
                self._db.execute("UPDATE packets SET stored = 1 WHERE packet_id = ?", (packet_id,))

    def refuse(self, uid: bytes, reason: str):
        with self.transaction():
            self._db.execute(
                "UPDATE sent SET refused = ? WHERE uid = ? AND (status IS NULL OR status = 0)",
                (reason, uid),
            )

    # Letters to us.

    def keep_letter(self, sender: Person, packet, content: Content, fate: str):
        """Keeps a letter that opened, unless its pair of sender and uid is there already; one of a
        stranger only while there is room for strangers."""
        with self.transaction():
            known = self._db.execute(
                "SELECT 1 FROM received WHERE phone = ? AND uid = ?", (sender.phone, content.uid)
            ).fetchone()
            if known:
                return
            if not self._has_room_for(sender.phone, len(content.body)):
                self._discard()
                return
            kept = self._db.execute(
                "INSERT INTO received (phone, uid, packet_id, sender_id, sent_at,"
                " received_at, kind, body, spki, fate) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (sender.phone, content.uid, packet.id, packet.header.sender, packet.time, _now(),
                 content.kind, content.body, sender.key.spki, fate),
            )  # fmt: skip
            if content.kind != READ_RECEIPT:
                self._db.execute(
                    "INSERT INTO items (phone, received) VALUES (?, ?)",
                    (sender.phone, kept.lastrowid),
                )

    def _is_known(self, phone: str) -> bool:
        """Whether somebody here has written to them, or has compared their key."""
        row = self._db.execute(
            "SELECT 1 FROM sent WHERE phone = ?1"
            " UNION ALL SELECT 1 FROM contacts WHERE phone = ?1 AND verified = 1 LIMIT 1",
            (phone,),
        )
        return row.fetchone() is not None

    def _has_room_for(self, phone: str, size: int) -> bool:
        if self._is_known(phone):
            return True
        letters, taken = self._db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM received WHERE uid IS NOT NULL"
            " AND phone NOT IN (SELECT phone FROM sent)"
            " AND phone NOT IN (SELECT phone FROM contacts WHERE verified = 1)"
        ).fetchone()
        return letters < STRANGERS_MAX and taken + size <= STRANGERS_BYTES_MAX

    def keep_unopened(self, packet, fate: str):
        """Keeps a letter that does not open, raw, once. Beyond so many the oldest goes."""
        with self.transaction():
            known = self._db.execute(
                "SELECT 1 FROM received WHERE packet_id = ? AND uid IS NULL", (packet.id,)
            ).fetchone()
            if known:
                return
            self._db.execute(
                "INSERT INTO received (packet_id, sender_id, sent_at, received_at, fate, raw)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (packet.id, packet.header.sender, packet.time, _now(), fate, packet.raw),
            )
            while True:
                oldest, letters, taken = self._db.execute(
                    "SELECT min(number), count(*), sum(length(raw)) FROM received"
                    " WHERE uid IS NULL"
                ).fetchone()
                if letters <= UNOPENED_MAX and taken <= UNOPENED_BYTES_MAX:
                    return
                self.forget_unopened(oldest)
                self._discard()

    def _discard(self):
        self.put(discarded=(self.get("discarded") or 0) + 1)

    def take_discarded(self) -> int:
        """How many letters there was no room for since this was last asked."""
        with self.transaction():
            count = self.get("discarded") or 0
            if count:
                self.put(discarded=None)
            return count

    def unopened(self, sender_id: int) -> list[tuple[int, bytes]]:
        """Letters that another key may still open."""
        return self._db.execute(
            "SELECT number, raw FROM received WHERE sender_id = ? AND uid IS NULL"
            " AND fate IN (?, ?) ORDER BY number",
            (sender_id, UNKNOWN_SENDER, BAD_SIGNATURE),
        ).fetchall()

    def forget_unopened(self, number: int):
        self._db.execute("DELETE FROM received WHERE number = ? AND uid IS NULL", (number,))

    def unshown(self) -> list[dict]:
        """Letters that no command has shown yet, oldest first. What is held back is not among them."""
        rows = self._db.execute(
            "SELECT number, phone, uid, sender_id, sent_at, received_at, kind, body, fate"
            " FROM received WHERE shown = 0 AND fate != ? ORDER BY number",
            (HELD,),
        )
        names = ("number", "phone", "uid", "sender_id", "sent_at", "received_at", "kind", "body",
                 "fate")  # fmt: skip
        return [dict(zip(names, row)) for row in rows]

    def held_count(self) -> int:
        return self._db.execute("SELECT count(*) FROM received WHERE fate = ?", (HELD,)).fetchone()[
            0
        ]

    def mark_shown(self, number: int, receipt: bool = False):
        """Somebody has seen the letter, and with `receipt` its sender is told so. A stranger is not:
        they would learn that somebody is there."""
        with self.transaction():
            seen = self._db.execute(
                "UPDATE received SET shown = 1 WHERE number = ? AND shown = 0"
                " RETURNING phone, uid, kind, fate",
                (number,),
            ).fetchone()
            if not (receipt and seen):
                return
            phone, uid, kind, fate = seen
            if kind == TEXT and fate == LETTER and self._is_known(phone):
                self.enqueue(phone, Content(random_bytes(UID_LEN), READ_RECEIPT, uid))

    # Both ways.

    def history(self, phone: str) -> list[dict]:
        """The letters from and to a phone, in the order in which this home saw them. What is held back
        under a changed key is not among them, nor are receipts."""
        rows = self._db.execute(schema.HISTORY, (phone, LETTER, HELD))
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row)) for row in rows]


def _contact_of(row: tuple) -> Contact:
    phone, user_id, spki, verified, offered, checked_at, since = row
    offered = _public_key(offered) if offered else None
    return Contact(phone, user_id, _public_key(spki), bool(verified), offered, checked_at, since)


@lru_cache(maxsize=256)
def _public_key(spki: bytes) -> PublicKey:
    return PublicKey(spki)


def _now() -> int:
    return int(time.time())
