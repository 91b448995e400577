-- Printed by `rowvec demo` for a person to try: a search among some of the rows.
SELECT distance, "row" ->> 'name' AS name
FROM search('python_api', 'wait for several tasks', k => 5, filter => $$name LIKE 'asyncio.%'$$);
