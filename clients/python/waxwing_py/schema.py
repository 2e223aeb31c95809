"""The tables of a home, and how a home of an earlier version comes by them."""

import sqlite3
import time

from .packet import Packet

SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS contacts (
    phone TEXT PRIMARY KEY,
    user_id INTEGER UNIQUE,
    spki BLOB NOT NULL UNIQUE,
    verified INTEGER NOT NULL DEFAULT 0,
    offered BLOB,                -- another key than the pinned one; holds sending back
    checked_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sent (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL UNIQUE,
    phone TEXT NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    status INTEGER,              -- NULL: no word of the server yet
    refused TEXT,                -- why it will not be tried again
    envelope BLOB,
    spki BLOB,                   -- the key that the envelope is sealed for
    signed_again INTEGER NOT NULL DEFAULT 0,
    heard_at INTEGER             -- when the server last spoke of it
);
CREATE TABLE IF NOT EXISTS packets (
    packet_id BLOB PRIMARY KEY,
    uid BLOB NOT NULL REFERENCES sent(uid),
    recipient INTEGER NOT NULL,
    raw BLOB NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0   -- the server has said status 1 about this packet
);
CREATE INDEX IF NOT EXISTS packets_of ON packets (uid);
CREATE TABLE IF NOT EXISTS received (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT,
    uid BLOB,
    packet_id BLOB NOT NULL,
    sender_id INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind INTEGER,
    body BLOB,
    spki BLOB,                   -- the key under which it was signed
    fate TEXT NOT NULL,          -- 'letter', 'held' until a key is accepted, or why it is not shown
    raw BLOB,
    shown INTEGER NOT NULL DEFAULT 0,
    UNIQUE (phone, uid)
);
CREATE INDEX IF NOT EXISTS unopened ON received (packet_id) WHERE uid IS NULL;
"""

# What a home of version 0 lacks. Its letters get the times of their first packets, and their places
# by time: a home of that version did not note in which order it saw what came and what went.
TO_VERSION_1 = (
    "ALTER TABLE contacts ADD COLUMN since INTEGER",
    "ALTER TABLE sent ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE items (number INTEGER PRIMARY KEY AUTOINCREMENT, phone TEXT NOT NULL,"
    " sent INTEGER UNIQUE REFERENCES sent (number),"
    " received INTEGER UNIQUE REFERENCES received (number))",
    "CREATE INDEX items_with ON items (phone, number)",
    "CREATE INDEX receipts ON received (body) WHERE kind = 2",
    "UPDATE sent SET created_at = coalesce((SELECT min(time_of(raw)) FROM packets"
    " WHERE packets.uid = sent.uid), heard_at, now())",
    "INSERT INTO items (phone, sent, received) SELECT phone, sent, received FROM"
    " (SELECT phone, number AS sent, NULL AS received, created_at AS at FROM sent WHERE kind != 2"
    " UNION ALL SELECT phone, NULL, number, received_at FROM received"
    " WHERE uid IS NOT NULL AND kind != 2) ORDER BY at",
)
UPGRADES = (TO_VERSION_1,)

# Both ways, for a phone, the fate of what is shown, and the fate of what is held back.
HISTORY = """
SELECT items.number, items.sent IS NOT NULL AS ours, items.phone,
    coalesce(sent.uid, received.uid) AS uid, coalesce(sent.kind, received.kind) AS kind,
    coalesce(sent.body, received.body) AS body, fate, sent_at, received_at, created_at, status,
    refused, sent.envelope IS NOT NULL AS tried,
    (SELECT min(receipt.received_at) FROM received AS receipt WHERE receipt.kind = 2
        AND receipt.phone = sent.phone AND receipt.body = sent.uid AND receipt.fate = ?2) AS read_at
FROM items LEFT JOIN sent ON sent.number = items.sent
    LEFT JOIN received ON received.number = items.received
WHERE items.phone = ?1 AND (fate IS NULL OR fate != ?3) ORDER BY items.number
"""


class StorageError(Exception):
    pass


def prepare(db: sqlite3.Connection):
    """Makes the tables, or brings those of an earlier version up to date: all of it, or nothing."""
    if _version(db) == len(UPGRADES):
        return
    db.create_function("time_of", 1, lambda raw: Packet(raw).time)
    db.create_function("now", 0, lambda: int(time.time()))
    db.executescript(SCHEMA)
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it meanwhile.
        version = _version(db)
        if version > len(UPGRADES):
            raise StorageError("the home is one of a later version of this program; use that one")
        for statements in UPGRADES[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(UPGRADES)}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]
