-- Called by the functions that build a search: pgvector's operator of a metric.
CREATE OR REPLACE FUNCTION rowvec._operator(p_metric text)
RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE p_metric
    WHEN 'inner_product' THEN 'OPERATOR(@extschema:vector@.<#>)'
    WHEN 'l2' THEN 'OPERATOR(@extschema:vector@.<->)'
    ELSE 'OPERATOR(@extschema:vector@.<=>)'
END;
