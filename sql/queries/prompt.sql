-- What a language model is asked.
SELECT rowvec._prompt(%(question)s, %(passages)s::text[]);
