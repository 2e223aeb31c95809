-- What is left of allowances that a restart must not fill up. The key tells nothing to whoever has
-- not the server's key.
CREATE TABLE allowances (
    allowance_key BLOB PRIMARY KEY NOT NULL CHECK (length(allowance_key) = 16),
    full_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
