-- What people read: conversations, and what was said in them. `letters` and `outbox` stay with the
-- transport: what came and went, how far it got, and by what it is recognised when it comes again. The
-- words of letters move from there into `items`.

CREATE TABLE conversations (
    id          INTEGER PRIMARY KEY,
    -- Whom it is with.
    phone       TEXT UNIQUE,
    -- Given by the owner of this home. What looks alike is not stored: each version of Unicode says that
    -- differently.
    name        TEXT,
    -- The owner has written, has verified or accepted the key, has given a name, or has said so. Else it
    -- is a request.
    accepted    INTEGER NOT NULL DEFAULT 0 CHECK (accepted IN (0, 1)),
    blocked     INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    archived    INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
    state       TEXT GENERATED ALWAYS AS (CASE
        WHEN blocked THEN 'blocked'
        WHEN NOT accepted THEN 'request'
        WHEN archived THEN 'archived'
        ELSE 'open'
    END) VIRTUAL,
    muted_until INTEGER NOT NULL DEFAULT 0,
    pinned      INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    -- What the owner has begun to write.
    draft       TEXT NOT NULL DEFAULT '',
    -- Items of others up to here are read; those behind it are counted in `unread`.
    read_to     INTEGER NOT NULL DEFAULT 0,
    unread      INTEGER NOT NULL DEFAULT 0,
    last_item   INTEGER,
    -- Rises with everything that a list or a page of this conversation shows; the highest of all is
    -- that of the conversation which changed last.
    changed     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX conversations_by_change ON conversations (changed);

-- `id` is from the sequence of letters and outbox. An item gets it when its text is known: one of a
-- letter that was held back stands behind those that came before it was opened.
CREATE TABLE items (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    -- None when the owner of this home has written it.
    author       TEXT,
    -- The author's name for it. None for a letter that could not be opened.
    uid          BLOB CHECK (length(uid) = 16),
    kind         TEXT NOT NULL,
    text         TEXT,
    -- When its author has dated it, and when it came to be here.
    sent_at      INTEGER NOT NULL,
    stored_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX items_of_conversation ON items (conversation, id);
CREATE INDEX items_by_age ON items (stored_at);

INSERT INTO conversations (phone, accepted, blocked) SELECT phone, known, blocked FROM relations;
INSERT OR IGNORE INTO conversations (phone)
SELECT DISTINCT sender FROM letters
WHERE sender IS NOT NULL AND kind IN ('text', 'unknown', 'unreadable');
DROP TABLE relations;

INSERT INTO items (id, conversation, author, uid, kind, text, sent_at, stored_at)
SELECT letters.id, conversations.id, sender, uid, kind, CASE kind WHEN 'text' THEN CAST(body AS TEXT) END,
    sent_at, received_at
FROM letters JOIN conversations ON phone = sender WHERE kind IN ('text', 'unknown', 'unreadable');

INSERT INTO items (id, conversation, uid, kind, text, sent_at, stored_at)
SELECT outbox.id, conversations.id, uid, kind, CAST(body AS TEXT), created_at, created_at
FROM outbox JOIN conversations ON phone = recipient WHERE kind = 'text';

-- An earlier version that is still at work must fail, and not store a letter without its item: so the
-- columns that it writes have other names.
DROP INDEX letters_in_quota;
ALTER TABLE letters DROP COLUMN bytes;
ALTER TABLE letters RENAME COLUMN body TO content;
ALTER TABLE letters ADD COLUMN item INTEGER;
ALTER TABLE letters ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE letters ADD COLUMN bytes INTEGER GENERATED ALWAYS AS
    (coalesce(length(content), 0) + coalesce(length(packet), 0) + text_bytes) VIRTUAL;
UPDATE letters SET item = id WHERE id IN (SELECT id FROM items);
UPDATE letters SET text_bytes = length(content), content = NULL WHERE kind = 'text';
CREATE INDEX letters_in_quota ON letters (quota, sender, printed, id, bytes) WHERE quota IS NOT NULL;
CREATE UNIQUE INDEX letters_by_item ON letters (item);

ALTER TABLE outbox ADD COLUMN item INTEGER;
-- The letter of the other that a receipt is about.
ALTER TABLE outbox ADD COLUMN receipt_for BLOB CHECK (length(receipt_for) = 16);
UPDATE outbox SET item = id WHERE kind = 'text';
UPDATE outbox SET receipt_for = body WHERE kind = 'receipt';
ALTER TABLE outbox DROP COLUMN body;
CREATE UNIQUE INDEX outbox_by_item ON outbox (item);

-- Receipts are no items, and are forgotten by their own age.
CREATE INDEX received_receipts_by_age ON letters (received_at) WHERE kind = 'receipt';
CREATE INDEX written_receipts_by_age ON outbox (created_at) WHERE kind = 'receipt';

UPDATE conversations SET
    last_item = (SELECT max(id) FROM items WHERE conversation = conversations.id),
    read_to = coalesce(
        (SELECT min(item) - 1 FROM letters
         WHERE sender = phone AND printed = 0 AND item IS NOT NULL),
        (SELECT max(id) FROM items WHERE conversation = conversations.id),
        0),
    changed = id;
UPDATE conversations SET unread = (SELECT count(*) FROM items
    WHERE conversation = conversations.id AND author IS NOT NULL AND items.id > read_to);

-- What a conversation counts is kept here, so that no way of changing items can forget it.
CREATE TRIGGER item_comes AFTER INSERT ON items BEGIN
    UPDATE conversations SET
        last_item = new.id,
        unread = unread + (new.author IS NOT NULL),
        archived = archived AND muted_until > new.stored_at,
        changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE id = new.conversation;
END;
CREATE TRIGGER item_goes AFTER DELETE ON items BEGIN
    UPDATE conversations SET
        last_item = CASE last_item
            WHEN old.id THEN (SELECT max(id) FROM items WHERE conversation = old.conversation)
            ELSE last_item
        END,
        unread = unread - (old.author IS NOT NULL AND old.id > read_to),
        changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE id = old.conversation;
END;
CREATE TRIGGER items_are_read AFTER UPDATE OF read_to ON conversations BEGIN
    UPDATE conversations SET
        unread = (SELECT count(*) FROM items
            WHERE conversation = new.id AND author IS NOT NULL AND items.id > new.read_to),
        changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE id = new.id;
END;
CREATE TRIGGER conversation_begins AFTER INSERT ON conversations BEGIN
    UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations) WHERE id = new.id;
END;
CREATE TRIGGER conversation_changes
AFTER UPDATE OF name, accepted, blocked, archived, muted_until, pinned, draft ON conversations BEGIN
    UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations) WHERE id = new.id;
END;
CREATE TRIGGER written_item_changes AFTER UPDATE OF state, not_before, read_at ON outbox
WHEN new.item IS NOT NULL BEGIN
    UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE phone = new.recipient;
END;
CREATE TRIGGER trust_changes AFTER UPDATE OF spki, verified, changed_spki ON contacts BEGIN
    UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE phone = new.phone;
END;

-- An item goes with the letter that brought it, or was to carry it.
CREATE TRIGGER letter_goes AFTER DELETE ON letters WHEN old.item IS NOT NULL BEGIN
    DELETE FROM items WHERE id = old.item;
END;
CREATE TRIGGER written_letter_goes AFTER DELETE ON outbox WHEN old.item IS NOT NULL BEGIN
    DELETE FROM items WHERE id = old.item;
END;

-- By which items are found. It is written in the background: items up to `indexed_to` are in it.
CREATE VIRTUAL TABLE item_words
USING fts5 (text, content = 'items', content_rowid = 'id', tokenize = 'trigram');
INSERT INTO item_words (item_words, rank) VALUES ('secure-delete', 1);
CREATE TABLE search_index (
    only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
    indexed_to INTEGER NOT NULL
) STRICT;
INSERT INTO search_index VALUES (1, 0);
CREATE TRIGGER indexed_item_goes AFTER DELETE ON items
WHEN old.text IS NOT NULL AND old.id <= (SELECT indexed_to FROM search_index) BEGIN
    INSERT INTO item_words (item_words, rowid, text) VALUES ('delete', old.id, old.text);
END;

-- Programs that want each item once, and how far each has got.
CREATE TABLE consumers (
    name   TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names that programs have given to what they sent, so that nothing is sent twice.
CREATE TABLE sent_keys (
    key     TEXT PRIMARY KEY,
    uid     BLOB NOT NULL CHECK (length(uid) = 16),
    sent_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
