-- Applied by migrate after the functions.
SELECT 1;
