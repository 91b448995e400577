"""`rowvec doctor`: whether all that rowvec needs is there, and what to run where it is not."""
