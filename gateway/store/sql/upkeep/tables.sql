-- name: read_all
-- Every row in the order of its key.
SELECT $columns FROM $table ORDER BY $key;

-- name: count_all
-- How many rows there are.
SELECT count(*) FROM $table;

-- name: any_row
-- Whether there is one.
SELECT EXISTS (SELECT 1 FROM $table);

-- name: insert_row
-- PostgreSQL's: ordinals keep their numbers.
INSERT INTO $table ($columns) OVERRIDING SYSTEM VALUE VALUES ($places);

-- name: number_on
-- PostgreSQL's: the next ordinal is the one after the last.
SELECT setval(pg_get_serial_sequence('$table', 'ordinal'),
  (SELECT coalesce(max(ordinal), 0) + 1 FROM $table), false);
