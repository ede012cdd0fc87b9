PRAGMA application_id = 0x73747467; -- "sttg"

CREATE TABLE sessions (
    id          TEXT    NOT NULL PRIMARY KEY,
    created_at  REAL    NOT NULL, -- seconds since the epoch, UTC
    protocol    TEXT    NOT NULL,
    sample_rate INTEGER NOT NULL,
    channels    INTEGER NOT NULL,
    provider    TEXT,
    model       TEXT,
    language    TEXT,
    title       TEXT,
    client_ref  TEXT,
    metadata    TEXT    NOT NULL, -- JSON object of scalars
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

CREATE INDEX sessions_by_age ON sessions (created_at, id);
CREATE INDEX sessions_by_state ON sessions (state, created_at, id);

CREATE TABLE utterances (
    id         INTEGER PRIMARY KEY, -- grows with time: the order of search results
    session_id TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL, -- from 1 within the session
    channel    INTEGER NOT NULL,
    start_s    REAL    NOT NULL,
    end_s      REAL    NOT NULL,
    text       TEXT    NOT NULL,
    speaker    TEXT,
    language   TEXT,
    confidence REAL,
    provider   TEXT,
    words      TEXT    NOT NULL, -- JSON array of words with their times
    word_count INTEGER NOT NULL, -- words of text
    complete   INTEGER NOT NULL,
    UNIQUE (session_id, number)
) STRICT;

-- The text itself stays in utterances; the first two letters of a word are indexed for quick
-- answers while somebody types.
CREATE VIRTUAL TABLE utterance_index USING fts5 (
    text,
    content = 'utterances',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '1 2'
);

CREATE TRIGGER utterance_added AFTER INSERT ON utterances BEGIN
    INSERT INTO utterance_index (rowid, text) VALUES (new.id, new.text);
    UPDATE sessions SET utterances = utterances + 1, words = words + new.word_count
    WHERE id = new.session_id;
END;

CREATE TRIGGER utterance_changed AFTER UPDATE OF text ON utterances WHEN old.text <> new.text BEGIN
    INSERT INTO utterance_index (utterance_index, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO utterance_index (rowid, text) VALUES (new.id, new.text);
    UPDATE sessions SET words = words - old.word_count + new.word_count WHERE id = new.session_id;
END;

CREATE TRIGGER utterance_deleted AFTER DELETE ON utterances BEGIN
    INSERT INTO utterance_index (utterance_index, rowid, text) VALUES ('delete', old.id, old.text);
    UPDATE sessions SET utterances = utterances - 1, words = words - old.word_count
    WHERE id = old.session_id;
END;

-- FTS5 only marks words as deleted; they are gone from the file after 'optimize', which takes too
-- long to do with every deletion. A row in purge says that it is due; deleting the row does it.
CREATE TABLE purge (due INTEGER PRIMARY KEY CHECK (due = 1)) STRICT;

CREATE TRIGGER session_deleted AFTER DELETE ON sessions BEGIN
    INSERT OR IGNORE INTO purge VALUES (1);
END;

CREATE TRIGGER purged AFTER DELETE ON purge BEGIN
    INSERT INTO utterance_index (utterance_index) VALUES ('optimize');
END;
