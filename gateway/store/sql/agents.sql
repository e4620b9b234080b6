-- name: put_agent
-- A replaced agent keeps the time it was first added.
INSERT INTO agents (agent_id, body, added_at) VALUES (:agent_id, :body, :at)
ON CONFLICT (agent_id) DO UPDATE SET body = excluded.body;

-- name: remove_agent
-- By its id.
DELETE FROM agents WHERE agent_id = :agent_id;

-- name: list_agents
-- By id.
SELECT agent_id, body, added_at FROM agents ORDER BY agent_id;
