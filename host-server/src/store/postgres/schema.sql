CREATE SCHEMA waxwing;

-- What this database is, and whether a server may use it.
CREATE TABLE waxwing.about (
    one        bool PRIMARY KEY DEFAULT true CHECK (one),
    schema     int NOT NULL,
    min_reader int NOT NULL,
    written_by text NOT NULL,
    -- `copying`: not all of it is here yet. `moved`: it was copied to another place, and is used there.
    -- `doubtful`: it lacks what a server knows to have been here.
    state      text NOT NULL CHECK (state IN ('open', 'copying', 'moved', 'doubtful'))
);

-- Who serves, if anybody.
CREATE TABLE waxwing.lease (
    one      bool PRIMARY KEY DEFAULT true CHECK (one),
    epoch    bigint NOT NULL,
    node     bytea CHECK (length(node) = 16),
    instance bytea CHECK (length(instance) = 16)
);

-- The last groups of changes, and the highest place that was ever given out.
CREATE TABLE waxwing.marks (
    grp           bigint PRIMARY KEY,
    epoch         bigint NOT NULL,
    last_queue_id bigint NOT NULL
);

INSERT INTO waxwing.about (schema, min_reader, written_by, state) VALUES (1, 1, '', 'open');
INSERT INTO waxwing.lease (epoch) VALUES (0);
INSERT INTO waxwing.marks VALUES (0, 0, 0);

CREATE TABLE waxwing.users (
    user_id        int PRIMARY KEY CHECK (user_id BETWEEN 1 AND 65535),
    phone_number   text COLLATE "C" UNIQUE NOT NULL,
    rsa_public_key bytea NOT NULL CHECK (length(rsa_public_key) = 294),
    aes_key        bytea CHECK (length(aes_key) = 64),
    last_seen      text
);

-- `message_id` is the packet id. No foreign key: its check would lock the recipient's row for each letter.
CREATE TABLE waxwing.pending_messages (
    queue_id          bigint NOT NULL,
    message_id        bytea NOT NULL CHECK (length(message_id) = 16),
    sender_id         int NOT NULL CHECK (sender_id BETWEEN 1 AND 65535),
    recipient_id      int NOT NULL,
    timestamp         text NOT NULL CHECK (length(timestamp) = 19),
    accepted_at       bigint NOT NULL,
    signature         bytea NOT NULL CHECK (length(signature) = 256),
    encrypted_payload bytea NOT NULL,
    payload_size      int NOT NULL GENERATED ALWAYS AS (length(encrypted_payload)) STORED,
    PRIMARY KEY (recipient_id, queue_id) INCLUDE (sender_id, message_id, payload_size)
) WITH (autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE waxwing.pending_messages ALTER signature SET STORAGE EXTERNAL;
ALTER TABLE waxwing.pending_messages ALTER encrypted_payload SET STORAGE EXTERNAL;
-- For expiry.
CREATE INDEX pending_messages_by_age ON waxwing.pending_messages (accepted_at);

-- Letters that expired, or whose recipient was removed, before they were delivered.
CREATE TABLE waxwing.undelivered_messages (
    recipient_id int NOT NULL,
    message_id   bytea NOT NULL,
    sender_id    int NOT NULL,
    removed_at   bigint NOT NULL,
    PRIMARY KEY (recipient_id, message_id)
);
CREATE INDEX undelivered_messages_by_age ON waxwing.undelivered_messages (removed_at);

-- Letters that were found damaged, as they lie there, for whoever looks into it.
CREATE TABLE waxwing.damaged_messages (
    queue_id          bigint PRIMARY KEY,
    message_id        bytea,
    sender_id         int,
    recipient_id      int,
    timestamp         text,
    accepted_at       bigint,
    signature         bytea,
    encrypted_payload bytea,
    set_aside_at      bigint NOT NULL
);

CREATE TABLE waxwing.resting_ids (user_id int PRIMARY KEY, removed_at bigint NOT NULL);
CREATE TABLE waxwing.allowances (
    allowance_key bytea PRIMARY KEY CHECK (length(allowance_key) = 16),
    full_at       bigint NOT NULL
);
CREATE TABLE waxwing.server_keys (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    since       bigint NOT NULL
);
CREATE TABLE waxwing.suspensions (
    user_id int PRIMARY KEY,
    since   bigint NOT NULL,
    until   bigint,
    reason  text NOT NULL
);
CREATE TABLE waxwing.user_limits (user_id int PRIMARY KEY, letters bigint, bytes bigint);
CREATE TABLE waxwing.restores (restored_at bigint NOT NULL, letters_missing_until bigint NOT NULL);
CREATE TABLE waxwing.bans (
    address_range text COLLATE "C" PRIMARY KEY,
    since         bigint NOT NULL,
    ends_at       bigint,
    is_automatic  bool NOT NULL,
    reason        text NOT NULL
);

-- The functions below are the parts of a group: a group is one statement that calls the fence and what it
-- needs of the others. A statement in a function sees what the ones before it have changed, also in other
-- functions of the same group.

-- The commit waits for what the administrator of the database has set up, whatever the role says, and
-- tells when it has not: a warning.
CREATE FUNCTION waxwing.settings_1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    PERFORM set_config('client_min_messages', 'warning', true);
END $$;

-- For a group that brings or removes something, where a commit is to be on two machines.
CREATE FUNCTION waxwing.needs_standby_1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF btrim(current_setting('synchronous_standby_names')) = '' THEN
        RAISE EXCEPTION 'the database names no synchronous standby' USING ERRCODE = 'WX003',
            HINT = 'set synchronous_standby_names, or storage.copies = 1';
    END IF;
END $$;

-- Ends whoever has locked the lease, has done nothing since, and neither works nor waits for the standby:
-- one whose client is gone, or cut off. Says how many that were.
CREATE FUNCTION waxwing.free_lease_1(since interval) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND wait_event = 'ClientRead'
            AND state_change < clock_timestamp() - since
            AND pid IN (SELECT pid FROM pg_locks WHERE granted AND relation = 'waxwing.lease'::regclass
                AND mode IN ('RowShareLock', 'RowExclusiveLock')
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())));
END $$;

CREATE FUNCTION waxwing.fence_1(
    of_epoch bigint, of_instance bytea, last_epoch bigint, last_grp bigint, queue_id bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.settings_1();
    -- Locked and not updated: dead versions of an updated row would slow down the fence beside a long
    -- transaction.
    PERFORM FROM waxwing.lease WHERE epoch = of_epoch AND instance = of_instance FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease is not what it was' USING ERRCODE = 'WX001';
    END IF;
    IF (SELECT max(grp) FROM waxwing.marks) <> last_grp THEN
        RAISE EXCEPTION 'the last mark is not what it was' USING ERRCODE = 'WX001';
    END IF;
    INSERT INTO waxwing.marks
        SELECT last_grp + 1, of_epoch, greatest(last_queue_id, queue_id)
        FROM waxwing.marks WHERE grp = last_grp AND epoch = last_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the last mark is not what it was' USING ERRCODE = 'WX001';
    END IF;
    -- One each time. A search for all that are older would pass everything that was deleted since the oldest
    -- transaction of the database began, in each group.
    DELETE FROM waxwing.marks WHERE grp = last_grp - 1000;
END $$;

CREATE FUNCTION waxwing.refuse_1(why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', why USING ERRCODE = 'WX002';
END $$;

CREATE FUNCTION waxwing.create_users_1(ids int[], phones text[], spkis bytea[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO waxwing.users (user_id, phone_number, rsa_public_key) SELECT * FROM unnest(ids, phones, spkis);
    DELETE FROM waxwing.resting_ids WHERE user_id = ANY (ids);
END $$;

CREATE FUNCTION waxwing.users_exist_1(ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.refuse_1('there is no user ' || id) FROM unnest(ids) AS id
        WHERE NOT EXISTS (SELECT FROM waxwing.users WHERE user_id = id);
END $$;

CREATE FUNCTION waxwing.confirm_1(ids int[], keys bytea[], seen text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.users_exist_1(ids);
    UPDATE waxwing.users SET aes_key = confirmed.key, last_seen = confirmed.at
        FROM unnest(ids, keys, seen) AS confirmed (id, key, at) WHERE user_id = confirmed.id;
END $$;

CREATE FUNCTION waxwing.insert_letters_1(
    places bigint[], message_ids bytea[], senders int[], recipients int[], timestamps text[],
    accepted bigint[], signatures bytea[], payloads bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.users_exist_1(recipients);
    INSERT INTO waxwing.pending_messages (queue_id, message_id, sender_id, recipient_id, timestamp,
        accepted_at, signature, encrypted_payload)
        SELECT * FROM unnest(places, message_ids, senders, recipients, timestamps, accepted, signatures,
            payloads);
END $$;

CREATE FUNCTION waxwing.delete_letters_1(recipients int[], places bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.pending_messages AS letter USING unnest(recipients, places) AS gone (recipient, place)
        WHERE letter.recipient_id = gone.recipient AND letter.queue_id = gone.place;
END $$;

CREATE FUNCTION waxwing.take_out_1(recipients int[], places bigint[], at bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- One packet can wait twice.
    INSERT INTO waxwing.undelivered_messages (recipient_id, message_id, sender_id, removed_at)
        SELECT DISTINCT ON (recipient_id, message_id) recipient_id, message_id, sender_id, at
        FROM waxwing.pending_messages AS letter
        JOIN unnest(recipients, places) AS gone (recipient, place)
            ON letter.recipient_id = gone.recipient AND letter.queue_id = gone.place
        ORDER BY recipient_id, message_id, queue_id DESC
        ON CONFLICT (recipient_id, message_id)
            DO UPDATE SET sender_id = excluded.sender_id, removed_at = excluded.removed_at;
    PERFORM waxwing.delete_letters_1(recipients, places);
END $$;

CREATE FUNCTION waxwing.set_aside_1(recipients int[], places bigint[], at bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO waxwing.damaged_messages (queue_id, message_id, sender_id, recipient_id, timestamp,
        accepted_at, signature, encrypted_payload, set_aside_at)
        SELECT queue_id, message_id, sender_id, recipient_id, timestamp, accepted_at, signature,
            encrypted_payload, at
        FROM waxwing.pending_messages AS letter
        JOIN unnest(recipients, places) AS damaged (recipient, place)
            ON letter.recipient_id = damaged.recipient AND letter.queue_id = damaged.place
        ON CONFLICT (queue_id) DO NOTHING;
    PERFORM waxwing.take_out_1(recipients, places, at);
END $$;

CREATE FUNCTION waxwing.forget_1(before bigint, at bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.undelivered_messages WHERE removed_at < before;
    DELETE FROM waxwing.damaged_messages WHERE set_aside_at < before;
    DELETE FROM waxwing.suspensions WHERE until <= at;
END $$;

CREATE FUNCTION waxwing.keep_allowances_1(keys bytea[], full_ats bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO waxwing.allowances SELECT * FROM unnest(keys, full_ats)
        ON CONFLICT (allowance_key) DO UPDATE SET full_at = excluded.full_at;
END $$;

CREATE FUNCTION waxwing.forget_allowances_1(keys bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.allowances WHERE allowance_key = ANY (keys);
END $$;

CREATE FUNCTION waxwing.suspend_1(ids int[], sinces bigint[], untils bigint[], reasons text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.users_exist_1(ids);
    INSERT INTO waxwing.suspensions SELECT * FROM unnest(ids, sinces, untils, reasons)
        ON CONFLICT (user_id)
            DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason;
END $$;

CREATE FUNCTION waxwing.resume_1(ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.suspensions WHERE user_id = ANY (ids);
END $$;

CREATE FUNCTION waxwing.set_limits_1(ids int[], of_letters bigint[], of_bytes bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.users_exist_1(ids);
    INSERT INTO waxwing.user_limits SELECT * FROM unnest(ids, of_letters, of_bytes)
        ON CONFLICT (user_id) DO UPDATE SET letters = excluded.letters, bytes = excluded.bytes;
    DELETE FROM waxwing.user_limits WHERE user_id = ANY (ids) AND letters IS NULL AND bytes IS NULL;
END $$;

CREATE FUNCTION waxwing.remove_users_1(ids int[], ats bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM waxwing.users_exist_1(ids);
    PERFORM waxwing.refuse_1('letters wait for user ' || id) FROM unnest(ids) AS id
        WHERE EXISTS (SELECT FROM waxwing.pending_messages WHERE recipient_id = id);
    DELETE FROM waxwing.users WHERE user_id = ANY (ids);
    DELETE FROM waxwing.suspensions WHERE user_id = ANY (ids);
    DELETE FROM waxwing.user_limits WHERE user_id = ANY (ids);
    INSERT INTO waxwing.resting_ids SELECT * FROM unnest(ids, ats)
        ON CONFLICT (user_id) DO UPDATE SET removed_at = excluded.removed_at;
END $$;

CREATE FUNCTION waxwing.add_ban_1(
    addresses text, from_when bigint, to_when bigint, by_itself bool, why text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.bans WHERE ends_at <= from_when;
    INSERT INTO waxwing.bans VALUES (addresses, from_when, to_when, by_itself, why)
        ON CONFLICT (address_range) DO UPDATE SET since = excluded.since, ends_at = excluded.ends_at,
            is_automatic = excluded.is_automatic, reason = excluded.reason;
END $$;

CREATE FUNCTION waxwing.remove_ban_1(addresses text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.bans WHERE address_range = addresses;
END $$;

CREATE FUNCTION waxwing.set_server_key_1(of_key bytea, from_when bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO waxwing.server_keys (fingerprint, since) VALUES (of_key, from_when);
END $$;

CREATE FUNCTION waxwing.erase_1(id int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM waxwing.undelivered_messages WHERE sender_id = id;
    DELETE FROM waxwing.damaged_messages WHERE sender_id = id OR recipient_id = id;
END $$;

-- An operator takes a database that has lost something for the one to go on with.
CREATE FUNCTION waxwing.adopt_1(
    old_epoch bigint, new_epoch bigint, resting int[], rest_from bigint, at bigint, missing_until bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE waxwing.lease SET epoch = new_epoch, node = NULL, instance = NULL WHERE epoch = old_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease is not what it was' USING ERRCODE = 'WX001';
    END IF;
    INSERT INTO waxwing.resting_ids SELECT id, rest_from FROM unnest(resting) AS id
        ON CONFLICT (user_id) DO UPDATE SET removed_at = excluded.removed_at;
    INSERT INTO waxwing.restores VALUES (at, missing_until);
    UPDATE waxwing.about SET state = 'open' WHERE state = 'doubtful';
END $$;
