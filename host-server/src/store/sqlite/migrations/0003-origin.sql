-- The keys of the servers that have used this database, by their SHA-256; the last is its own.
CREATE TABLE server_keys (
    number      INTEGER PRIMARY KEY NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    since       INTEGER NOT NULL
) STRICT;

-- What ties the write-ahead log to this file: see generation.rs. There are two tables because each
-- has a page of its own: while one row is in the log alone, the other is in the file.
CREATE TABLE log_generation_even (
    one       INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    number    INTEGER NOT NULL,
    id        BLOB NOT NULL CHECK (length(id) = 16),
    previous  BLOB NOT NULL CHECK (length(previous) = 16),
    is_in_use INTEGER NOT NULL
) STRICT;

CREATE TABLE log_generation_odd (
    one       INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    number    INTEGER NOT NULL,
    id        BLOB NOT NULL CHECK (length(id) = 16),
    previous  BLOB NOT NULL CHECK (length(previous) = 16),
    is_in_use INTEGER NOT NULL
) STRICT;

INSERT INTO log_generation_even VALUES (1, 0, zeroblob(16), zeroblob(16), 0);
INSERT INTO log_generation_odd VALUES (1, 1, randomblob(16), zeroblob(16), 0);
