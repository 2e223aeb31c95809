-- Whether `reply_key` names an attempt to register again under the same key, because the server
-- did not know the account any more. `user_id` stays until the server has given out another.
ALTER TABLE identity ADD COLUMN renewing INTEGER NOT NULL DEFAULT 0 CHECK (renewing IN (0, 1));

-- The key that a letter of kind 'held' is signed with, which the server had given out and nobody
-- has accepted. None while it is not known whether the server gives out such a key at all.
ALTER TABLE letters ADD COLUMN held_for BLOB CHECK (length(held_for) = 294);

CREATE INDEX letters_held ON letters (sender, id) WHERE kind = 'held';
