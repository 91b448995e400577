-- Parameters that queries by hand need for an index, with their values: none below what it is already.
SELECT w.name, greatest(w.value::int, s.boot_val::int, s.reset_val::int)::text AS value
FROM unnest(%(names)s::text[], %(values)s::text[]) AS w(name, value)
LEFT JOIN pg_settings AS s ON s.name = w.name
UNION ALL
-- In the order of their distance where the access method can; pgvector before 0.8 has no such scans.
SELECT s.name, CASE
    WHEN s.reset_val <> 'off' THEN s.reset_val
    WHEN 'strict_order' = ANY (s.enumvals) THEN 'strict_order'
    ELSE 'relaxed_order'
END
FROM pg_settings AS s
WHERE s.name = %(method)s::text || '.iterative_scan';
