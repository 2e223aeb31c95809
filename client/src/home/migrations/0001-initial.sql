-- Times are seconds since 1970 UTC. `id` in letters and outbox comes from one sequence: the
-- order in which this home learned of them, whichever way they went.

-- Who this home is. One row at most.
CREATE TABLE identity (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    phone           TEXT NOT NULL,
    server          TEXT NOT NULL,
    server_key      BLOB NOT NULL CHECK (length(server_key) = 294),
    private_key     BLOB NOT NULL,
    public_key      BLOB NOT NULL CHECK (length(public_key) = 294),
    reply_key       BLOB NOT NULL CHECK (length(reply_key) = 32),
    stage           INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 3),
    code_expires_at INTEGER,
    user_id         INTEGER CHECK (user_id BETWEEN 1 AND 65535),
    -- The last session key under which the server has answered.
    session_key     BLOB CHECK (length(session_key) = 32),
    CHECK ((stage = 1) = (code_expires_at IS NOT NULL)),
    CHECK ((stage = 3) = (user_id IS NOT NULL))
) STRICT;

-- Pinned keys, and keys that wait for a person to accept them.
CREATE TABLE contacts (
    phone           TEXT PRIMARY KEY,
    -- None when the id was given to somebody else after its rest.
    user_id         INTEGER UNIQUE CHECK (user_id BETWEEN 1 AND 65535),
    spki            BLOB NOT NULL UNIQUE CHECK (length(spki) = 294),
    first_seen      INTEGER NOT NULL,
    verified        INTEGER NOT NULL DEFAULT 0 CHECK (verified IN (0, 1)),
    asked_at        INTEGER,
    changed_spki    BLOB CHECK (length(changed_spki) = 294),
    changed_user_id INTEGER CHECK (changed_user_id BETWEEN 1 AND 65535),
    changed_at      INTEGER,
    CHECK ((changed_spki IS NULL) = (changed_user_id IS NULL)),
    CHECK ((changed_spki IS NULL) = (changed_at IS NULL))
) STRICT, WITHOUT ROWID;

-- Letters received, or what became of them. Rows stay for ever: they are also the memory by
-- which a letter that comes twice is recognised.
CREATE TABLE letters (
    id          INTEGER PRIMARY KEY,
    packet_id   BLOB NOT NULL UNIQUE CHECK (length(packet_id) = 16),
    sender_id   INTEGER NOT NULL CHECK (sender_id BETWEEN 1 AND 65535),
    -- None when nobody could say whose id it was.
    sender      TEXT,
    uid         BLOB CHECK (length(uid) = 16),
    kind        TEXT NOT NULL CHECK (kind IN ('text', 'receipt', 'unknown', 'unreadable', 'held')),
    body        BLOB,
    error       TEXT,
    -- The whole packet, while it has not been opened.
    packet      BLOB,
    sent_at     INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    printed     INTEGER NOT NULL DEFAULT 0 CHECK (printed IN (0, 1)),
    CHECK ((kind IN ('text', 'receipt', 'unknown')) = (uid IS NOT NULL)),
    CHECK (uid IS NULL OR sender IS NOT NULL),
    CHECK (uid IS NOT NULL OR packet IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX letters_once ON letters (sender, uid) WHERE uid IS NOT NULL;
CREATE INDEX letters_unprinted ON letters (id) WHERE printed = 0;
CREATE INDEX letters_by_sender ON letters (sender, id);

-- Letters written. `state` only rises, but for a letter that has to be sent once more.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
    recipient    TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('text', 'receipt')),
    body         BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 6),
    -- Not to be tried before this, and why.
    not_before   INTEGER NOT NULL DEFAULT 0,
    refusal_code INTEGER,
    refusal_text TEXT,
    -- The newest packet, byte for byte, while it may have to be sent again.
    packet       BLOB,
    signed_at    INTEGER,
    -- The packet that the server said it had stored, and when it last said anything.
    stored_as    BLOB,
    heard_at     INTEGER,
    read_at      INTEGER
) STRICT;

CREATE INDEX outbox_by_state ON outbox (state, id);
CREATE INDEX outbox_waiting ON outbox (recipient, id) WHERE state = 0;
CREATE INDEX outbox_by_recipient ON outbox (recipient, id);

-- Every packet that a letter has ever been sent as: a status for any of them counts.
CREATE TABLE outbox_packets (
    packet_id    BLOB PRIMARY KEY CHECK (length(packet_id) = 16),
    letter       INTEGER NOT NULL REFERENCES outbox (id),
    recipient_id INTEGER NOT NULL CHECK (recipient_id BETWEEN 1 AND 65535)
) STRICT, WITHOUT ROWID;
