-- Written for SQLite. PostgreSQL reads it with types of its own, and what `PostgreSQL:` marks.

-- Newest number given and oldest number gone: the bounds of the event log.
CREATE TABLE log_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  seq INTEGER NOT NULL,
  floor INTEGER NOT NULL
) STRICT;

INSERT INTO log_head (id, seq, floor) VALUES (1, 0, 0);

-- Everybody's words, once; a NULL body is a tombstone.
CREATE TABLE contents (
  content_id TEXT PRIMARY KEY,
  session_key TEXT NOT NULL,
  body TEXT
) STRICT, WITHOUT ROWID;

-- For deleting a conversation's words wherever they show.
CREATE INDEX contents_session ON contents (session_key) WHERE body IS NOT NULL;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  session_key TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  turn_id TEXT NOT NULL,
  data TEXT NOT NULL,
  content_id TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
  session_key TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_active_at INTEGER NOT NULL,
  label TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_recent ON sessions (last_active_at DESC, session_key DESC);
CREATE INDEX sessions_owner ON sessions (principal, last_active_at DESC, session_key DESC);

CREATE TABLE entries (
  session_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  turn_id TEXT NOT NULL,
  content_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (session_key, position)
) STRICT, WITHOUT ROWID;

-- The ordinal is the order of acceptance.
CREATE TABLE inputs (
  ordinal INTEGER PRIMARY KEY,
  turn_id TEXT NOT NULL UNIQUE,
  session_key TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  account TEXT NOT NULL,
  external_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  route_key TEXT NOT NULL,
  agent_override TEXT NOT NULL,
  source TEXT NOT NULL,
  barrier INTEGER NOT NULL,
  destination TEXT NOT NULL,
  content_id TEXT NOT NULL,
  explanation TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN (
    'queued', 'running', 'waiting', 'answered', 'merged', 'failed', 'expired', 'cancelled')),
  detail TEXT NOT NULL DEFAULT '',
  merged_into TEXT NOT NULL DEFAULT '',
  accepted_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX inputs_external ON inputs (channel, account, external_id)
  WHERE external_id <> '';
CREATE INDEX inputs_open ON inputs (session_key, ordinal)
  WHERE state IN ('queued', 'running', 'waiting');
-- One turn at a time in a conversation, whichever process asks.
/* PostgreSQL: CREATE UNIQUE INDEX inputs_turn ON inputs (session_key)
  WHERE state IN ('running', 'waiting'); */
CREATE INDEX inputs_session ON inputs (session_key, ordinal);
CREATE INDEX inputs_principal ON inputs (principal, ordinal);
CREATE INDEX inputs_merged ON inputs (merged_into) WHERE merged_into <> '';
CREATE INDEX inputs_ended ON inputs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE idempotency (
  principal TEXT NOT NULL,
  method TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  turn_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (principal, method, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (at);

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  task TEXT NOT NULL,
  manifest_hash TEXT NOT NULL,
  session_key TEXT NOT NULL,
  input TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN (
    'running', 'suspended', 'completed', 'failed', 'cancelled', 'quarantined')),
  epoch INTEGER NOT NULL,
  holder TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  recoveries INTEGER NOT NULL DEFAULT 0,
  recovered_steps INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  wake_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  result TEXT NOT NULL DEFAULT 'null',
  error TEXT NOT NULL DEFAULT '',
  principal TEXT NOT NULL DEFAULT '',
  root TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '{}',
  outcome TEXT NOT NULL DEFAULT 'null',
  origin TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_leased ON runs (lease_until) WHERE status = 'running';
CREATE INDEX runs_parked ON runs (wake_at) WHERE status = 'suspended';
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
-- For summing what one message set off.
CREATE INDEX runs_root ON runs (root) WHERE root <> '';

CREATE TABLE steps (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  path TEXT NOT NULL,
  intent TEXT NOT NULL,
  kind TEXT NOT NULL,
  effect TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  attempts INTEGER NOT NULL,
  result TEXT,
  error TEXT,
  started_at INTEGER NOT NULL,
  completed_at INTEGER,
  PRIMARY KEY (run_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_events (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  key TEXT NOT NULL,
  payload TEXT NOT NULL,
  emitted_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;

-- What a suspended run waits for.
CREATE TABLE run_waits (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  key TEXT NOT NULL,
  PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- The ordinal is the order in which deliveries to one destination leave.
CREATE TABLE deliveries (
  ordinal INTEGER PRIMARY KEY,
  delivery_id TEXT NOT NULL UNIQUE,
  key TEXT NOT NULL UNIQUE,
  destination TEXT NOT NULL,
  session_key TEXT NOT NULL,
  turn_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  content_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN (
    'pending', 'sending', 'available', 'sent', 'dead', 'expired', 'unknown')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  receipt TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;

CREATE INDEX deliveries_open ON deliveries (ordinal) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_turn ON deliveries (turn_id);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_failed ON deliveries (ordinal) WHERE state IN ('dead', 'expired', 'unknown');

CREATE TABLE bindings (
  ordinal INTEGER PRIMARY KEY,
  binding_id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  added_at INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
  agent_id TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only the hash of a secret is kept; a revoked credential stays for the record.
CREATE TABLE credentials (
  credential_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  token_hash TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX credentials_name ON credentials (name) WHERE revoked_at IS NULL;

-- Results too long for a row, by the hash of their text; `blob:<hash>` stands in the row.
CREATE TABLE blobs (
  hash TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

CREATE INDEX steps_blob ON steps (result) WHERE substr(result, 1, 5) = 'blob:';
CREATE INDEX runs_blob ON runs (result) WHERE substr(result, 1, 5) = 'blob:';

-- What a run's steps used of models.
CREATE TABLE costs (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  epoch INTEGER NOT NULL,
  path TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  PRIMARY KEY (run_id, epoch, path, attempt, model)
) STRICT, WITHOUT ROWID;

-- For finding words that nothing points at.
CREATE INDEX entries_content ON entries (content_id);
CREATE INDEX inputs_content ON inputs (content_id);
CREATE INDEX deliveries_content ON deliveries (content_id);
CREATE INDEX events_content ON events (content_id) WHERE content_id <> '';

-- How each model does at each key: pauses outlive the process that learnt of them.
CREATE TABLE profile_standings (
  profile TEXT NOT NULL,
  model TEXT NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (profile, model)
) STRICT, WITHOUT ROWID;
