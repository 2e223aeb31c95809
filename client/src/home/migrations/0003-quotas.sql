-- How people stand to the owner of this home. Whoever has no row is a stranger. A phone can be here
-- without a pinned key.
CREATE TABLE relations (
    phone   TEXT PRIMARY KEY,
    -- A letter was written to this phone, or its key was verified or accepted.
    known   INTEGER NOT NULL DEFAULT 0 CHECK (known IN (0, 1)),
    blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1))
) STRICT, WITHOUT ROWID;

INSERT INTO relations (phone, known)
SELECT phone, 1 FROM contacts WHERE verified = 1 UNION SELECT recipient, 1 FROM outbox;

-- What is left of letters that were opened and are deleted: the memory by which they are recognised
-- when they come again.
CREATE TABLE deleted_letters (
    sender TEXT NOT NULL,
    uid    BLOB NOT NULL CHECK (length(uid) = 16),
    PRIMARY KEY (sender, uid)
) STRICT, WITHOUT ROWID;

-- What a letter takes up, and the quota that it counts in. None for letters that have no bound: those
-- of people who are known.
ALTER TABLE letters ADD COLUMN bytes INTEGER
    GENERATED ALWAYS AS (coalesce(length(body), 0) + coalesce(length(packet), 0)) VIRTUAL;
ALTER TABLE letters ADD COLUMN quota TEXT
    CHECK (quota IN ('stranger', 'held', 'unreadable'));

UPDATE letters SET quota = CASE
    WHEN kind = 'held' THEN 'held'
    WHEN kind = 'unreadable' THEN 'unreadable'
    WHEN sender NOT IN (SELECT phone FROM relations) THEN 'stranger'
END;

CREATE INDEX letters_in_quota ON letters (quota, sender, printed, id, bytes) WHERE quota IS NOT NULL;

-- How many letters a quota had no room for, and how many of those the person was told of.
CREATE TABLE discarded (
    quota   TEXT PRIMARY KEY CHECK (quota IN ('stranger', 'held', 'unreadable')),
    letters INTEGER NOT NULL,
    told    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The last place in the order of letters and outbox that was given out before rows were deleted, so
-- that none is given out twice: somebody may be printing the letter that had it.
CREATE TABLE last_place (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id       INTEGER NOT NULL
) STRICT;

INSERT INTO last_place VALUES (1, 0);
