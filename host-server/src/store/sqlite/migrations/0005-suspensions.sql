-- Users whom the operator keeps out. A time that is over has no effect.
CREATE TABLE suspensions (
    user_id INTEGER PRIMARY KEY REFERENCES users (user_id),
    since   INTEGER NOT NULL,
    -- NULL: until the operator decides otherwise.
    until   INTEGER,
    reason  TEXT NOT NULL
) STRICT;
