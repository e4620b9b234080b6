-- name: put_binding
-- A replaced binding keeps its place in the order.
INSERT INTO bindings (binding_id, body, added_at) VALUES (:binding_id, :body, :at)
ON CONFLICT (binding_id) DO UPDATE SET body = excluded.body;

-- name: remove_binding
-- By its id.
DELETE FROM bindings WHERE binding_id = :binding_id;

-- name: list_bindings
-- In the order they were first added.
SELECT binding_id, body, added_at FROM bindings ORDER BY ordinal;
