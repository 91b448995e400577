-- One setting of an index, with its recall and latency.
INSERT INTO rowvec.measurement (embedding_id, setting, rescore, recall, p50_ms, p95_ms)
VALUES (%(id)s, %(setting)s, %(rescore)s, %(recall)s, %(p50_ms)s, %(p95_ms)s);
