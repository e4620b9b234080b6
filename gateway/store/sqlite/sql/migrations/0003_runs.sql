-- Who owns a run, what set it off, what people say of it, what it was copied from.
ALTER TABLE runs ADD COLUMN principal TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN outcome TEXT NOT NULL DEFAULT 'null';
ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- For summing what one message set off.
CREATE INDEX runs_root ON runs (root) WHERE root <> '';

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
