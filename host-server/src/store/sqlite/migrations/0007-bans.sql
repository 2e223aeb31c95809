-- Addresses from which nobody is served. A range is written as in `192.0.2.0/24`.
CREATE TABLE bans (
    address_range TEXT PRIMARY KEY NOT NULL,
    since         INTEGER NOT NULL,
    ends_at       INTEGER,
    is_automatic  INTEGER NOT NULL CHECK (is_automatic IN (0, 1)),
    reason        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A program that knows no bans can still use this file, and serves everybody: `min_reader` stays.
UPDATE about SET schema = 7;
