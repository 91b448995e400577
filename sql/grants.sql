-- Applied by migrate after the functions: who may do what. What is not granted here is the owner's.

REVOKE ALL ON ALL TABLES IN SCHEMA rowvec FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA rowvec FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA rowvec FROM PUBLIC;
-- Indexes of tables evaluate these, with the rights of whoever writes a row.
GRANT USAGE ON SCHEMA rowvec_inputs TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rowvec_inputs TO PUBLIC;

-- The one function that calls the worker runs as the role that alone has its password. To give a
-- function to a role, that role must be able to create in the schema for a moment.
GRANT USAGE, CREATE ON SCHEMA rowvec TO rowvec_caller;
ALTER FUNCTION rowvec._call(json, int) OWNER TO rowvec_caller;
ALTER FUNCTION rowvec._worker_entry() OWNER TO rowvec_caller;
REVOKE CREATE ON SCHEMA rowvec FROM rowvec_caller;
REVOKE ALL ON FUNCTION rowvec._call(json, int), rowvec._worker_entry() FROM PUBLIC;
GRANT SELECT ON rowvec.secret TO rowvec_caller;
GRANT USAGE ON FOREIGN SERVER rowvec_worker TO rowvec_caller;

GRANT USAGE ON SCHEMA rowvec TO rowvec_user;
GRANT SELECT ON rowvec.alembic_version, rowvec.derived, rowvec.embedding, rowvec.failed_row,
    rowvec.measurement,
    rowvec.progress, rowvec.setting, rowvec.status
TO rowvec_user;
GRANT EXECUTE ON FUNCTION
    rowvec._refuse_text_options, rowvec.chunk, rowvec.classify, rowvec.context,
    rowvec.cosine_similarity, rowvec.count_tokens, rowvec.embed, rowvec.embed_batch,
    rowvec.embed_image,
    rowvec.embed_query, rowvec.embed_rows, rowvec.embed_sparse, rowvec.mix, rowvec.models,
    rowvec.nearest, rowvec.polarity, rowvec.rerank, rowvec.scale, rowvec.search,
    rowvec.search_rows, rowvec.similar, rowvec.similar_pairs,
    -- What these call, as the caller.
    rowvec._adopted_hash, rowvec._all_of, rowvec._as_read, rowvec._ask, rowvec._best_by_words, rowvec._call,
    rowvec._candidates, rowvec._check_expression, rowvec._counts, rowvec._current, rowvec._definition, rowvec._derived,
    rowvec._distance, rowvec._document_kwargs, rowvec._embed_keyed, rowvec._embed_query,
    rowvec._exchange_settings,
    rowvec._execute_statement, rowvec._farthest, rowvec._fused_row,
    rowvec._fused_statement, rowvec._hashed, rowvec._index_advice, rowvec._input_named_in, rowvec._input_of,
    rowvec._is_source, rowvec._key_columns, rowvec._kept, rowvec._key_compare, rowvec._key_condition,
    rowvec._key_is, rowvec._key_json, rowvec._key_of_derived, rowvec._nearest,
    rowvec._nearest_chunked, rowvec._nearest_enough, rowvec._operator, rowvec._pairs_statement,
    rowvec._passages, rowvec._pending, rowvec._prompt, rowvec._qualified, rowvec._query_kwargs,
    rowvec._recipe, rowvec._room, rowvec._row_hash, rowvec._run_search, rowvec._sees,
    rowvec._search, rowvec._search_options, rowvec._search_settings,
    rowvec._search_statement, rowvec._shell_words, rowvec._similar, rowvec._similar_pairs,
    rowvec._stray_questions, rowvec._text_config,
    rowvec._text_document, rowvec._text_query, rowvec._vector_of, rowvec._wanted_hash, rowvec._warn_unfilled
TO rowvec_user;

-- Jobs reach the sources by the functions of rowvec_jobs alone, and keep their books here.
GRANT USAGE ON SCHEMA rowvec_jobs TO rowvec_job;
GRANT SELECT, INSERT, UPDATE, DELETE ON rowvec.failure, rowvec.frontier, rowvec.job, rowvec.shard, rowvec.sync,
    rowvec.truncation
TO rowvec_job;
-- To hold a definition while a batch is written (FOR SHARE) takes a right to change a column of it.
GRANT UPDATE (created_at) ON rowvec.embedding TO rowvec_job;
GRANT EXECUTE ON FUNCTION
    rowvec._forget_gone, rowvec._job_functions, rowvec._key_condition, rowvec._path_of,
    rowvec._pending_stamp, rowvec._prepare_jobs, rowvec._record_failure, rowvec._refuse_other_path, rowvec._worker_entry
TO rowvec_job;
