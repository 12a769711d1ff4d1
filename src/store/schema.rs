//! The tables and the statements, in the SQL that SQLite and PostgreSQL share.
//!
//! Times are microseconds since 1970 in UTC, identities are the text that people see. A new
//! phase or a new kind of event is a new schema version too: an older program cannot read it.

/// The tables of a database.
pub(super) struct Schema {
    /// What the database is, for people.
    pub(super) name: &'static str,
    /// A table that every version has: it tells our databases from those of other programs.
    pub(super) table: &'static str,
    /// The migrations; the schema version is how many were applied.
    pub(super) migrations: &'static [&'static str],
}

/// The state database. Nothing uses the column `install_seen`.
pub(super) const STATE: &Schema = &Schema {
    name: "a pxectl store",
    table: "store",
    migrations: STATE_MIGRATIONS,
};

/// The lease database. An address is its 32 bits as a number.
pub(super) const LEASES: &Schema = &Schema {
    name: "the leases of a pxectl store",
    table: "lease",
    migrations: LEASE_MIGRATIONS,
};

const STATE_MIGRATIONS: &[&str] = &[
    "
CREATE TABLE store (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    key TEXT NOT NULL,
    changes BIGINT NOT NULL,
    last_event BIGINT NOT NULL
);
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX session_open ON session (host) WHERE ended_at IS NULL;
CREATE TABLE host (
    name TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    reason TEXT,
    changed_at BIGINT NOT NULL,
    install_seen BIGINT,
    session TEXT REFERENCES session (id)
);
CREATE TABLE event (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    host TEXT,
    mac TEXT,
    session TEXT,
    message TEXT NOT NULL
);
CREATE INDEX event_host ON event (host, id);
",
    "
CREATE TABLE controller (
    host TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    trust TEXT NOT NULL,
    fingerprint TEXT,
    subject TEXT,
    valid_from BIGINT,
    valid_until BIGINT,
    serial TEXT,
    uuid TEXT,
    seen_at BIGINT NOT NULL
);
",
    // What bounds events: the callbacks that each session has had stored, the addresses that each
    // attempt fetched from, and an index for pruning the decisions about booting.
    "
CREATE TABLE callback_tally (
    session TEXT NOT NULL REFERENCES session (id),
    class TEXT NOT NULL,
    stored BIGINT NOT NULL,
    due BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (session, class)
);
CREATE TABLE attempt_address (
    session TEXT NOT NULL REFERENCES session (id),
    attempt BIGINT NOT NULL,
    place BIGINT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (session, attempt, place)
);
CREATE INDEX event_decision ON event (host, kind, id DESC)
    WHERE kind IN ('install', 'local-disk', 'hold');
",
    // A store without an ID is one that an older pxectl made: nothing vouches for its sessions.
    "
ALTER TABLE store ADD COLUMN store_id TEXT;
ALTER TABLE store ADD COLUMN witness TEXT;
ALTER TABLE store ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN latest_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN clock_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN boot_id TEXT;
ALTER TABLE session ADD COLUMN boot_deadline BIGINT;
ALTER TABLE session ADD COLUMN previous_phase TEXT NOT NULL DEFAULT 'new';
ALTER TABLE session ADD COLUMN ended_by TEXT;
ALTER TABLE session ADD COLUMN suspended TEXT;
UPDATE session SET ended_by = 'operator' WHERE ended_at IS NOT NULL;
",
];

const LEASE_MIGRATIONS: &[&str] = &["
CREATE TABLE lease (
    address BIGINT PRIMARY KEY,
    network TEXT NOT NULL,
    holder TEXT,
    expires BIGINT NOT NULL
);
"];

pub(super) const READ_KEY: &str = "SELECT key FROM store";

pub(super) const MAKE_STORE: &str = "
INSERT INTO store (id, key, changes, last_event, store_id, witness, generation, latest_time)
VALUES (1, $1, 0, 0, $2, $3, 0, 0)";

pub(super) const READ_STANDING: &str = "
SELECT store_id, witness, generation, latest_time, clock_epoch FROM store";

/// Gives a store another identity, whose generation is one higher.
pub(super) const WRITE_IDENTITY: &str = "
UPDATE store SET store_id = $1, witness = $2, generation = generation + 1";

pub(super) const WRITE_WITNESS: &str = "UPDATE store SET witness = $1";

pub(super) const WRITE_LATEST_TIME: &str = "UPDATE store SET latest_time = $1";

/// Accepts a clock that may be behind: every process then forgets the times that it has read.
pub(super) const ACCEPT_TIME: &str = "
UPDATE store SET latest_time = $1, clock_epoch = clock_epoch + 1";

/// What tells the open sessions of a store from those of an older copy.
pub(super) const READ_OPEN_SESSIONS: &str = "
SELECT id, attempts, deadline, suspended IS NOT NULL FROM session
WHERE ended_at IS NULL ORDER BY id";

/// Counts a change of an open session.
pub(super) const NEXT_GENERATION: &str = "UPDATE store SET generation = generation + 1";

pub(super) const READ_WATERMARK: &str = "SELECT changes, last_event FROM store";

/// Counts a change and takes numbers for `$1` events. Writers take turns here, so events become
/// visible in the order of their numbers: a poller who has seen one misses none before it.
pub(super) const COUNT_CHANGE: &str = "
UPDATE store SET changes = changes + 1, last_event = last_event + $1 RETURNING last_event";

pub(super) const READ_HOST: &str = "
SELECT h.name, h.phase, h.reason, h.changed_at,
       s.id, s.created_at, s.deadline, s.attempts, s.ended_at,
       s.boot_id, s.boot_deadline, s.previous_phase, s.ended_by, s.suspended
FROM host h LEFT JOIN session s ON s.id = h.session
WHERE h.name = $1";

pub(super) const READ_HOSTS: &str = "
SELECT h.name, h.phase, h.reason, h.changed_at,
       s.id, s.created_at, s.deadline, s.attempts, s.ended_at,
       s.boot_id, s.boot_deadline, s.previous_phase, s.ended_by, s.suspended
FROM host h LEFT JOIN session s ON s.id = h.session
ORDER BY h.name";

pub(super) const READ_OPEN_HOSTS: &str = "
SELECT h.name, h.phase, h.reason, h.changed_at,
       s.id, s.created_at, s.deadline, s.attempts, s.ended_at,
       s.boot_id, s.boot_deadline, s.previous_phase, s.ended_by, s.suspended
FROM session s JOIN host h ON h.session = s.id
WHERE s.ended_at IS NULL AND h.phase = 'provisioning'
ORDER BY h.name";

pub(super) const WRITE_HOST: &str = "
INSERT INTO host (name, phase, reason, changed_at, session)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET
    phase = excluded.phase, reason = excluded.reason, changed_at = excluded.changed_at,
    session = excluded.session";

pub(super) const READ_SESSION: &str = "
SELECT host, plan, id, created_at, deadline, attempts, ended_at,
       boot_id, boot_deadline, previous_phase, ended_by, suspended
FROM session WHERE id = $1";

pub(super) const START_SESSION: &str = "
INSERT INTO session (id, host, plan, created_at, deadline, attempts, ended_at,
                     boot_id, boot_deadline, previous_phase, ended_by, suspended)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (id) DO NOTHING";

pub(super) const WRITE_SESSION: &str = "
UPDATE session SET deadline = $3, attempts = $4, ended_at = $5, ended_by = $6, suspended = $7
WHERE id = $1 AND host = $2";

/// Ends, at `$3`, the open sessions of host `$1` other than `$2`, which may be empty.
pub(super) const END_OTHER_SESSIONS: &str = "
UPDATE session SET ended_at = $3, ended_by = 'replaced' WHERE host = $1 AND id <> $2 AND ended_at IS NULL";

pub(super) const READ_CONTROLLERS: &str = "
SELECT host, url, trust, fingerprint, subject, valid_from, valid_until, serial, uuid, seen_at
FROM controller ORDER BY host";

pub(super) const WRITE_CONTROLLER: &str = "
INSERT INTO controller
    (host, url, trust, fingerprint, subject, valid_from, valid_until, serial, uuid, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (host) DO UPDATE SET
    url = excluded.url, trust = excluded.trust, fingerprint = excluded.fingerprint,
    subject = excluded.subject, valid_from = excluded.valid_from,
    valid_until = excluded.valid_until, serial = excluded.serial, uuid = excluded.uuid,
    seen_at = excluded.seen_at";

pub(super) const ADD_EVENT: &str = "
INSERT INTO event (id, at, kind, host, mac, session, message)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(super) const READ_EVENTS: &str = "
SELECT id, at, kind, host, mac, session, message FROM event
WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const READ_EVENTS_OF_HOST: &str = "
SELECT id, at, kind, host, mac, session, message FROM event
WHERE id > $1 AND host = $3 ORDER BY id LIMIT $2";

pub(super) const READ_LATEST_EVENTS: &str = "
SELECT * FROM (
    SELECT id, at, kind, host, mac, session, message FROM event
    WHERE id > $1 ORDER BY id DESC LIMIT $2
) AS latest ORDER BY id";

pub(super) const READ_LATEST_EVENTS_OF_HOST: &str = "
SELECT * FROM (
    SELECT id, at, kind, host, mac, session, message FROM event
    WHERE id > $1 AND host = $3 ORDER BY id DESC LIMIT $2
) AS latest ORDER BY id";

/// Removes decisions about booting: of each host and kind all but the latest `$1`, and of all
/// machines that are not in the inventory together all but the latest `$2` of each kind.
pub(super) const PRUNE_EVENTS: &str = "
DELETE FROM event WHERE id IN (
    SELECT id FROM (
        SELECT id, host, ROW_NUMBER() OVER (PARTITION BY host, kind ORDER BY id DESC) AS place
        FROM event WHERE kind IN ('install', 'local-disk', 'hold')
    ) AS ranked
    WHERE place > CASE WHEN host IS NULL THEN $2 ELSE $1 END)";

pub(super) const READ_TALLIES: &str = "
SELECT class, stored, due, attempt, message FROM callback_tally WHERE session = $1";

pub(super) const WRITE_TALLY: &str = "
INSERT INTO callback_tally (session, class, stored, due, attempt, message)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (session, class) DO UPDATE SET
    stored = excluded.stored, due = excluded.due, attempt = excluded.attempt,
    message = excluded.message";

pub(super) const READ_ADDRESSES: &str = "
SELECT address FROM attempt_address WHERE session = $1 AND attempt = $2 ORDER BY place";

pub(super) const ADD_ADDRESS: &str = "
INSERT INTO attempt_address (session, attempt, place, address) VALUES ($1, $2, $3, $4)";

/// What a backup holds besides the tables of the state database.
pub(super) const BACKUP_LEASES: &str = "
CREATE TABLE backup_lease (
    address BIGINT PRIMARY KEY,
    network TEXT NOT NULL,
    holder TEXT,
    expires BIGINT NOT NULL
)";

pub(super) const KEEP_LEASE: &str = "
INSERT INTO backup_lease (address, network, holder, expires) VALUES ($1, $2, $3, $4)";

pub(super) const READ_BACKUP_LEASES: &str = "
SELECT address, network, holder, expires FROM backup_lease ORDER BY address";

/// Counts everything in a database, and reports whether it has a table.
pub(super) const HAS_TABLE: &str = "
SELECT COUNT(*), COALESCE(SUM(type = 'table' AND name = ?1), 0) > 0 FROM sqlite_master";

/// Only SQLite has backups of this kind.
pub(super) const IS_BACKUP: &str = "
SELECT COUNT(*) = 1 FROM sqlite_master WHERE type = 'table' AND name = 'backup_lease'";

pub(super) const READ_OBJECTS: &str = "
SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name";

pub(super) const READ_LEASES: &str = "
SELECT address, network, holder, expires FROM lease ORDER BY address";

pub(super) const HOLD_LEASE: &str = "
INSERT INTO lease (address, network, holder, expires) VALUES ($1, $2, $3, $4)
ON CONFLICT (address) DO UPDATE SET
    network = excluded.network, holder = excluded.holder, expires = excluded.expires";

pub(super) const RELEASE_LEASE: &str = "DELETE FROM lease WHERE address = $1";

/// Spells shared text as SQLite reads it: `?n` for `$n`, and `INTEGER` for `BIGINT`, so that a
/// numeric key is the table's own row number.
pub(super) fn for_sqlite(text: &str) -> String {
    text.replace('$', "?").replace("BIGINT", "INTEGER")
}

/// Spells a shared statement as SQLite reads it, which has no types: many times per second.
pub(super) fn statement_for_sqlite(text: &str) -> String {
    text.replace('$', "?")
}
