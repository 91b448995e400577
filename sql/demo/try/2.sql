-- Printed by `rowvec demo` for a person to try: what is most like a row.
SELECT distance, "row" ->> 'name' AS name
FROM similar('python_api', (SELECT to_jsonb(id) FROM python_api WHERE name = 'shutil.copytree'), k => 5);
