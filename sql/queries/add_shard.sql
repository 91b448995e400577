-- The next key range of the pass, leased to whoever cut it.
INSERT INTO rowvec.shard (embedding_id, number, lower, upper, leased_until)
VALUES (
    %(id)s, %(number)s, %(lower)s, %(upper)s,
    clock_timestamp() + %(seconds)s * interval '1 second'
);
