-- name: run_costs
-- One run's, over all its steps.
SELECT model, CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(tokens_in) AS BIGINT) AS tokens_in,
  CAST(sum(tokens_out) AS BIGINT) AS tokens_out
FROM costs WHERE run_id = :run_id GROUP BY model ORDER BY model;

-- name: root_costs
-- Of all runs with one root.
SELECT c.model, CAST(sum(c.calls) AS BIGINT) AS calls,
  CAST(sum(c.tokens_in) AS BIGINT) AS tokens_in,
  CAST(sum(c.tokens_out) AS BIGINT) AS tokens_out
FROM runs r JOIN costs c ON c.run_id = r.run_id
WHERE r.root = :root AND r.root <> '' GROUP BY c.model ORDER BY c.model;

-- name: spent_since
-- Asked when a gateway with a budget starts; by several that share one, every few seconds.
SELECT r.session_key, CAST(sum(c.tokens_in + c.tokens_out) AS BIGINT) AS tokens
FROM runs r JOIN costs c ON c.run_id = r.run_id
WHERE r.created_at >= :since GROUP BY r.session_key ORDER BY r.session_key;

-- name: charge_run
-- Every attempt is a row of its own; saying it again changes nothing.
INSERT INTO costs (run_id, epoch, path, attempt, model, calls, tokens_in, tokens_out)
VALUES (:run_id, :epoch, :path, :attempt, :model, :calls, :tokens_in, :tokens_out)
ON CONFLICT DO NOTHING;
