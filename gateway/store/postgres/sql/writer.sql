-- name: append_events
-- The last statement of a batch: whoever holds the head's row commits next, so numbers follow the
-- order of commits, and nobody waits for anything but a commit under way.
WITH head AS (
  UPDATE log_head SET seq = seq + cardinality(:at::bigint[]) WHERE id = 1 RETURNING seq
), added AS (
  INSERT INTO events (seq, at, kind, session_key, agent_id, turn_id, data, content_id)
  SELECT head.seq - cardinality(:at::bigint[]) + new.place, new.at, new.kind, new.session_key,
    new.agent_id, new.turn_id, new.data, new.content_id
  FROM head, unnest(:at::bigint[], :kind::text[], :session_key::text[], :agent_id::text[],
    :turn_id::text[], :data::text[], :content_id::text[])
    WITH ORDINALITY AS new (at, kind, session_key, agent_id, turn_id, data, content_id, place)
)
SELECT seq, pg_current_xact_id()::text FROM head;

-- name: load_bodies
-- The words that events point at, when another batch wrote them.
SELECT content_id, body FROM contents WHERE content_id = ANY(:content_ids);

-- name: this_transaction
-- By which it can be asked, after the connection was lost, whether it was committed.
SELECT pg_current_xact_id()::text;

-- name: became_of
-- committed, aborted, in progress; NULL when it is too long ago.
SELECT pg_xact_status(:transaction::text::xid8);

-- name: end_session
-- A connection that was cut may still be at work; ending it first makes its outcome final.
SELECT pg_terminate_backend(:pid::int, 5000);

-- name: tell_rows
-- What a write returns, and in which transaction.
WITH done AS (/* WRITE */) SELECT done.*, pg_current_xact_id()::text FROM done;

-- name: tell_count
-- How many rows a write has touched, and in which transaction.
WITH done AS (/* WRITE */ RETURNING 1) SELECT count(*), pg_current_xact_id()::text FROM done;
