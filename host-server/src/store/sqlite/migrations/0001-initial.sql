CREATE TABLE users (
    phone_number   TEXT PRIMARY KEY NOT NULL,
    user_id        INTEGER UNIQUE NOT NULL CHECK (user_id BETWEEN 1 AND 65535),
    rsa_public_key BLOB NOT NULL CHECK (length(rsa_public_key) = 294),
    aes_key        BLOB CHECK (length(aes_key) = 64),
    last_seen      TEXT
) STRICT;

-- `message_id` is the packet id: the first 16 bytes of the packet's digest. The columns keep the names
-- of the specification. The payload is the last column, so that the others are read without touching
-- its pages.
CREATE TABLE pending_messages (
    queue_id          INTEGER PRIMARY KEY NOT NULL,
    message_id        BLOB NOT NULL CHECK (length(message_id) = 16),
    sender_id         INTEGER NOT NULL CHECK (sender_id BETWEEN 1 AND 65535),
    recipient_id      INTEGER NOT NULL REFERENCES users (user_id),
    timestamp         TEXT NOT NULL CHECK (length(timestamp) = 19),
    accepted_at       INTEGER NOT NULL,
    signature         BLOB NOT NULL CHECK (length(signature) = 256),
    encrypted_payload BLOB NOT NULL
) STRICT;

-- Recipient and queue_id serve the fetch; the rest lets counters and questions of senders be
-- answered from the index alone. There is no index that begins with message_id: its random
-- order would double the cost of an insert.
CREATE INDEX pending_messages_by_mailbox ON pending_messages (
    recipient_id, queue_id, sender_id, message_id, length(encrypted_payload)
);

-- For expiry. New rows go to its end.
CREATE INDEX pending_messages_by_age ON pending_messages (accepted_at);

-- Letters that expired, or whose recipient was removed, before they were delivered.
CREATE TABLE undelivered_messages (
    recipient_id INTEGER NOT NULL,
    message_id   BLOB NOT NULL,
    sender_id    INTEGER NOT NULL,
    removed_at   INTEGER NOT NULL,
    PRIMARY KEY (recipient_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX undelivered_messages_by_age ON undelivered_messages (removed_at);

-- Ids of removed users.
CREATE TABLE resting_ids (
    user_id    INTEGER PRIMARY KEY NOT NULL,
    removed_at INTEGER NOT NULL
) STRICT;

-- The highest queue_id ever stored, because the queue itself forgets it when it runs empty.
CREATE TABLE queue_mark (
    one           INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    last_queue_id INTEGER NOT NULL
) STRICT;

INSERT INTO queue_mark VALUES (1, 0);
