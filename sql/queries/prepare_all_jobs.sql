-- The same for all embeddings whose sources are there: after an upgrade, a restore, a change of an owner.
SELECT rowvec._prepare_jobs(e.id) FROM rowvec.embedding AS e WHERE rowvec._is_source(e);
