-- Nothing needs to be remembered of rows that are gone.
SELECT rowvec._forget_gone(%(id)s);
