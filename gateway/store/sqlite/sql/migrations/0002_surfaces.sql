-- Deliveries that their receiver fetches: another state, so the table is made anew.
DROP INDEX deliveries_open;
DROP INDEX deliveries_turn;
DROP INDEX deliveries_ended;
ALTER TABLE deliveries RENAME TO deliveries_before;
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
INSERT INTO deliveries SELECT * FROM deliveries_before;
DROP TABLE deliveries_before;
CREATE INDEX deliveries_open ON deliveries (ordinal) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_turn ON deliveries (turn_id);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_failed ON deliveries (ordinal) WHERE state IN ('dead', 'expired', 'unknown');

-- What people call a conversation.
ALTER TABLE sessions ADD COLUMN label TEXT NOT NULL DEFAULT '';

-- Lists of one's own, and deleting a conversation.
CREATE INDEX sessions_owner ON sessions (principal, last_active_at DESC, session_key DESC);
CREATE INDEX inputs_session ON inputs (session_key, ordinal);
CREATE INDEX inputs_principal ON inputs (principal, ordinal);
CREATE INDEX contents_session ON contents (session_key) WHERE body IS NOT NULL;

-- Agents added at run time.
CREATE TABLE agents (
  agent_id TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
