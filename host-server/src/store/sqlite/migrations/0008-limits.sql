-- Users for whom more or less may wait than for others. NULL: as much as the configuration says.
CREATE TABLE user_limits (
    user_id INTEGER PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    letters INTEGER,
    bytes   INTEGER
) STRICT;

-- A program that knows no such limits can still use this file: it goes by the configuration, and removes a
-- user's limits with the user. So `min_reader` stays.
UPDATE about SET schema = 8;
