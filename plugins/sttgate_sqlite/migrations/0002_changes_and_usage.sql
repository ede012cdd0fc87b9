-- Both tables are built anew: an utterance's id now says whose it is, so that a search knows the
-- sessions of its matches from the index alone, and what belongs to a session lies together.
DROP TRIGGER session_deleted;
DROP TRIGGER utterance_added;
DROP TRIGGER utterance_changed;
DROP TRIGGER utterance_deleted;
DROP INDEX sessions_by_age;
DROP INDEX sessions_by_state;

CREATE TABLE new_sessions (
    seq         INTEGER NOT NULL PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    created_at  REAL    NOT NULL, -- seconds since the epoch, UTC
    protocol    TEXT    NOT NULL,
    sample_rate INTEGER NOT NULL,
    channels    INTEGER NOT NULL,
    provider    TEXT,
    model       TEXT,
    language    TEXT,
    title       TEXT,
    client_ref  TEXT,
    owner       TEXT,
    metadata    TEXT    NOT NULL, -- JSON object of scalars
    speakers    TEXT    NOT NULL DEFAULT '{}', -- JSON object of names
    state       TEXT    NOT NULL DEFAULT 'active',
    ended_at    REAL, -- NULL while the session runs, like everything from here to usage
    duration    REAL,
    reason      TEXT,
    recording   INTEGER,
    marks       TEXT, -- JSON array of {"at", "label"}
    gaps        TEXT, -- JSON array of {"start", "end", "channel"}
    usage       TEXT, -- JSON object of numbers
    utterances  INTEGER NOT NULL DEFAULT 0, -- kept by the triggers below, like words
    words       INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO new_sessions (id, created_at, protocol, sample_rate, channels, provider, model, language,
    title, client_ref, metadata, state, ended_at, duration, reason, recording, marks, gaps, usage,
    utterances, words)
SELECT id, created_at, protocol, sample_rate, channels, provider, model, language,
    title, client_ref, metadata, state, ended_at, duration, reason, recording, marks, gaps, usage,
    utterances, words
FROM sessions ORDER BY created_at, id;

CREATE TABLE new_utterances (
    id         INTEGER NOT NULL PRIMARY KEY, -- sessions.seq << 24 | number
    number     INTEGER NOT NULL CHECK (number BETWEEN 1 AND 0xFFFFFF), -- within the session
    channel    INTEGER NOT NULL,
    start_s    REAL    NOT NULL,
    end_s      REAL    NOT NULL,
    text       TEXT    NOT NULL,
    speaker    TEXT,
    language   TEXT,
    confidence REAL,
    provider   TEXT,
    complete   INTEGER NOT NULL,
    word_count INTEGER NOT NULL, -- words of text
    words      TEXT    NOT NULL  -- JSON array of words with their times
) STRICT;

INSERT INTO new_utterances
SELECT s.seq << 24 | u.number, u.number, u.channel, u.start_s, u.end_s, u.text, u.speaker,
    u.language, u.confidence, u.provider, u.complete, u.word_count, u.words
FROM new_sessions AS s JOIN utterances AS u ON u.session_id = s.id
ORDER BY 1;

DROP TABLE utterances;
DROP TABLE sessions;
ALTER TABLE new_sessions RENAME TO sessions;
ALTER TABLE new_utterances RENAME TO utterances;
INSERT INTO utterance_index (utterance_index) VALUES ('rebuild');

-- In the order of the list, so that a page is read from where the one before ended.
CREATE INDEX sessions_by_age ON sessions (created_at, id);
CREATE INDEX sessions_by_state ON sessions (state, created_at, id);
CREATE INDEX sessions_by_owner ON sessions (owner, created_at, id);
CREATE INDEX sessions_by_provider ON sessions (provider, created_at, id);
CREATE INDEX sessions_by_language ON sessions (language, created_at, id);

CREATE TRIGGER utterance_added AFTER INSERT ON utterances BEGIN
    INSERT INTO utterance_index (rowid, text) VALUES (new.id, new.text);
    UPDATE sessions SET utterances = utterances + 1, words = words + new.word_count
    WHERE seq = new.id >> 24;
END;

CREATE TRIGGER utterance_changed AFTER UPDATE OF text ON utterances WHEN old.text <> new.text BEGIN
    INSERT INTO utterance_index (utterance_index, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO utterance_index (rowid, text) VALUES (new.id, new.text);
    UPDATE sessions SET words = words - old.word_count + new.word_count WHERE seq = new.id >> 24;
END;

CREATE TRIGGER utterance_deleted AFTER DELETE ON utterances BEGIN
    INSERT INTO utterance_index (utterance_index, rowid, text) VALUES ('delete', old.id, old.text);
    UPDATE sessions SET utterances = utterances - 1, words = words - old.word_count
    WHERE seq = old.id >> 24;
    INSERT OR IGNORE INTO purge VALUES (1);
END;

CREATE TRIGGER session_deleted AFTER DELETE ON sessions BEGIN
    DELETE FROM utterances WHERE id BETWEEN old.seq << 24 AND old.seq << 24 | 0xFFFFFF;
END;

-- What a session used when it last ended. It stays when the session is deleted, and has the
-- session's id so that a session that is stored once more does not count twice.
CREATE TABLE usage (
    session_id TEXT NOT NULL PRIMARY KEY,
    ended_at   REAL NOT NULL,
    owner      TEXT,
    usage      TEXT NOT NULL -- JSON object of numbers
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_by_time ON usage (ended_at, owner);

INSERT INTO usage SELECT id, ended_at, owner, usage FROM sessions WHERE ended_at IS NOT NULL;

CREATE TRIGGER session_ended AFTER UPDATE OF ended_at ON sessions BEGIN
    INSERT INTO usage VALUES (new.id, new.ended_at, new.owner, new.usage)
    ON CONFLICT (session_id) DO UPDATE SET
        ended_at = excluded.ended_at, owner = excluded.owner, usage = excluded.usage;
END;
