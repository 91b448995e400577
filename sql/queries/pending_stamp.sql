-- What the index on pending rows has to be built from, in short.
SELECT rowvec._pending_stamp(%(id)s);
