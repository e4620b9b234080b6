-- The tables of SQLite under the names they have there. Text is compared by code point, as there.

-- Newest number given and oldest number gone: the bounds of the event log.
CREATE TABLE log_head (
  id bigint PRIMARY KEY CHECK (id = 1),
  seq bigint NOT NULL,
  floor bigint NOT NULL
);

INSERT INTO log_head (id, seq, floor) VALUES (1, 0, 0);

-- Everybody's words, once; a NULL body is a tombstone.
CREATE TABLE contents (
  content_id text COLLATE "C" PRIMARY KEY,
  session_key text COLLATE "C" NOT NULL,
  body text COLLATE "C"
);

-- For deleting a conversation's words wherever they show.
CREATE INDEX contents_session ON contents (session_key) WHERE body IS NOT NULL;

CREATE TABLE events (
  seq bigint PRIMARY KEY,
  at bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  session_key text COLLATE "C" NOT NULL,
  agent_id text COLLATE "C" NOT NULL,
  turn_id text COLLATE "C" NOT NULL,
  data text COLLATE "C" NOT NULL,
  content_id text COLLATE "C" NOT NULL
);

CREATE TABLE sessions (
  session_key text COLLATE "C" PRIMARY KEY,
  agent_id text COLLATE "C" NOT NULL,
  principal text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  last_active_at bigint NOT NULL,
  label text COLLATE "C" NOT NULL DEFAULT ''
);

CREATE INDEX sessions_recent ON sessions (last_active_at DESC, session_key DESC);
CREATE INDEX sessions_owner ON sessions (principal, last_active_at DESC, session_key DESC);

CREATE TABLE entries (
  session_key text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  turn_id text COLLATE "C" NOT NULL,
  content_id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (session_key, position)
);

-- The ordinal is the order of acceptance.
CREATE TABLE inputs (
  ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  turn_id text COLLATE "C" NOT NULL UNIQUE,
  session_key text COLLATE "C" NOT NULL,
  agent_id text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  principal text COLLATE "C" NOT NULL,
  route_key text COLLATE "C" NOT NULL,
  agent_override text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  barrier bigint NOT NULL,
  destination text COLLATE "C" NOT NULL,
  content_id text COLLATE "C" NOT NULL,
  explanation text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN (
    'queued', 'running', 'waiting', 'answered', 'merged', 'failed', 'expired', 'cancelled')),
  detail text COLLATE "C" NOT NULL DEFAULT '',
  merged_into text COLLATE "C" NOT NULL DEFAULT '',
  accepted_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  ended_at bigint
);

CREATE UNIQUE INDEX inputs_external ON inputs (channel, account, external_id)
  WHERE external_id <> '';
CREATE INDEX inputs_open ON inputs (session_key, ordinal)
  WHERE state IN ('queued', 'running', 'waiting');
-- One turn at a time in a conversation, whichever process asks.
CREATE UNIQUE INDEX inputs_turn ON inputs (session_key) WHERE state IN ('running', 'waiting');
CREATE INDEX inputs_session ON inputs (session_key, ordinal);
CREATE INDEX inputs_principal ON inputs (principal, ordinal);
CREATE INDEX inputs_merged ON inputs (merged_into) WHERE merged_into <> '';
CREATE INDEX inputs_ended ON inputs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE idempotency (
  principal text COLLATE "C" NOT NULL,
  method text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  body_hash text COLLATE "C" NOT NULL,
  turn_id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (principal, method, key)
);

CREATE INDEX idempotency_age ON idempotency (at);

CREATE TABLE runs (
  run_id text COLLATE "C" PRIMARY KEY,
  task text COLLATE "C" NOT NULL,
  manifest_hash text COLLATE "C" NOT NULL,
  session_key text COLLATE "C" NOT NULL,
  input text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL CHECK (status IN (
    'running', 'suspended', 'completed', 'failed', 'cancelled', 'quarantined')),
  epoch bigint NOT NULL,
  holder text COLLATE "C" NOT NULL,
  lease_until bigint NOT NULL,
  recoveries bigint NOT NULL DEFAULT 0,
  recovered_steps bigint NOT NULL DEFAULT 0,
  cancel_requested bigint NOT NULL DEFAULT 0,
  reason text COLLATE "C" NOT NULL DEFAULT '',
  wake_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  ended_at bigint,
  result text COLLATE "C" NOT NULL DEFAULT 'null',
  error text COLLATE "C" NOT NULL DEFAULT '',
  principal text COLLATE "C" NOT NULL DEFAULT '',
  root text COLLATE "C" NOT NULL DEFAULT '',
  tags text COLLATE "C" NOT NULL DEFAULT '{}',
  outcome text COLLATE "C" NOT NULL DEFAULT 'null',
  origin text COLLATE "C" NOT NULL DEFAULT ''
);

CREATE INDEX runs_leased ON runs (lease_until) WHERE status = 'running';
CREATE INDEX runs_parked ON runs (wake_at) WHERE status = 'suspended';
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE steps (
  run_id text COLLATE "C" NOT NULL REFERENCES runs ON DELETE CASCADE,
  path text COLLATE "C" NOT NULL,
  intent text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  effect text COLLATE "C" NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  attempts bigint NOT NULL,
  result text COLLATE "C",
  error text COLLATE "C",
  started_at bigint NOT NULL,
  completed_at bigint,
  PRIMARY KEY (run_id, path)
);

CREATE TABLE run_events (
  run_id text COLLATE "C" NOT NULL REFERENCES runs ON DELETE CASCADE,
  key text COLLATE "C" NOT NULL,
  payload text COLLATE "C" NOT NULL,
  emitted_at bigint NOT NULL,
  PRIMARY KEY (run_id, key)
);

-- What a suspended run waits for.
CREATE TABLE run_waits (
  run_id text COLLATE "C" NOT NULL REFERENCES runs ON DELETE CASCADE,
  key text COLLATE "C" NOT NULL,
  PRIMARY KEY (run_id, key)
);

CREATE TABLE stream (
  run_id text COLLATE "C" NOT NULL REFERENCES runs ON DELETE CASCADE,
  seq bigint NOT NULL,
  body text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (run_id, seq)
);

-- The ordinal is the order in which deliveries to one destination leave.
CREATE TABLE deliveries (
  ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id text COLLATE "C" NOT NULL UNIQUE,
  key text COLLATE "C" NOT NULL UNIQUE,
  destination text COLLATE "C" NOT NULL,
  session_key text COLLATE "C" NOT NULL,
  turn_id text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  parts bigint NOT NULL,
  content_id text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN (
    'pending', 'sending', 'available', 'sent', 'dead', 'expired', 'unknown')),
  attempts bigint NOT NULL DEFAULT 0,
  next_at bigint NOT NULL,
  error text COLLATE "C" NOT NULL DEFAULT '',
  receipt text COLLATE "C" NOT NULL DEFAULT '',
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  ended_at bigint
);

CREATE INDEX deliveries_open ON deliveries (ordinal) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_turn ON deliveries (turn_id);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_failed ON deliveries (ordinal) WHERE state IN ('dead', 'expired', 'unknown');

CREATE TABLE bindings (
  ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  binding_id text COLLATE "C" NOT NULL UNIQUE,
  body text COLLATE "C" NOT NULL,
  added_at bigint NOT NULL
);

CREATE TABLE agents (
  agent_id text COLLATE "C" PRIMARY KEY,
  body text COLLATE "C" NOT NULL,
  added_at bigint NOT NULL
);

-- Only the hash of a secret is kept; a revoked credential stays for the record.
CREATE TABLE credentials (
  credential_id text COLLATE "C" PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  token_hash text COLLATE "C" NOT NULL UNIQUE,
  scopes text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  revoked_at bigint
);

CREATE UNIQUE INDEX credentials_name ON credentials (name) WHERE revoked_at IS NULL;

-- For summing what one message set off.
CREATE INDEX runs_root ON runs (root) WHERE root <> '';

-- Results too long for a row, by the hash of their text; `blob:<hash>` stands in the row.
CREATE TABLE blobs (
  hash text COLLATE "C" PRIMARY KEY,
  body text COLLATE "C" NOT NULL
);

CREATE INDEX steps_blob ON steps (result) WHERE substr(result, 1, 5) = 'blob:';
CREATE INDEX runs_blob ON runs (result) WHERE substr(result, 1, 5) = 'blob:';

-- What a run's steps used of models.
CREATE TABLE costs (
  run_id text COLLATE "C" NOT NULL REFERENCES runs ON DELETE CASCADE,
  epoch bigint NOT NULL,
  path text COLLATE "C" NOT NULL,
  attempt bigint NOT NULL,
  model text COLLATE "C" NOT NULL,
  calls bigint NOT NULL,
  tokens_in bigint NOT NULL,
  tokens_out bigint NOT NULL,
  PRIMARY KEY (run_id, epoch, path, attempt, model)
);

-- For finding words that nothing points at.
CREATE INDEX entries_content ON entries (content_id);
CREATE INDEX inputs_content ON inputs (content_id);
CREATE INDEX deliveries_content ON deliveries (content_id);
CREATE INDEX events_content ON events (content_id) WHERE content_id <> '';
