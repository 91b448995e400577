-- The rows whose vectors are nearest to that of an image.
SELECT n.key, n.distance, n.rank, n."row"
FROM rowvec._definition(%(source)s::pg_catalog.regclass, %(embedding)s) AS d,
    rowvec.nearest(
        d.source, rowvec.embed_image(d.model, %(image)s, d.kwargs), %(k)s, embedding => d.name
    ) AS n
ORDER BY n.rank;
