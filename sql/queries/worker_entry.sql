-- The worker's address, its user and its password, for whoever may see them.
SELECT server, mapping FROM rowvec._worker_entry() WHERE server IS NOT NULL;
