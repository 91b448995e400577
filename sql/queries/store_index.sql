-- What `search` uses from now on; the number of rows stays where the index was only measured.
UPDATE rowvec.embedding
SET index_name = %(index_name)s,
    index_kind = %(kind)s,
    index_is_graph = %(is_graph)s,
    index_storage = %(storage)s,
    index_lists = %(lists)s,
    index_rows = coalesce(%(rows)s, index_rows),
    setting_name = %(setting_name)s,
    setting = %(setting)s,
    setting_most = %(most)s,
    rescore = %(rescore)s,
    recall = %(recall)s,
    target_recall = coalesce(%(target_recall)s, target_recall),
    measured_at = CASE WHEN %(recall)s::real IS NOT NULL THEN now() END
WHERE id = %(id)s AND version = %(version)s;
