-- The key that follows the server's, as the server has announced it. One row at most, from the first
-- answer on.
CREATE TABLE successor (
    only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- None when the server announces none.
    spki      BLOB CHECK (length(spki) = 294),
    effective INTEGER,
    asked_at  INTEGER NOT NULL,
    CHECK ((spki IS NULL) = (effective IS NULL))
) STRICT;
