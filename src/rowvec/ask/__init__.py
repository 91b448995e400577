"""Questions answered from the rows of a table, with sources that are checked."""
