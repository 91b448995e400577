-- A sync ends; those that could not say so are forgotten after a day.
DELETE FROM rowvec.sync WHERE session = %(session)s OR seen_at < now() - interval '1 day';
