"""Everything that speaks SQL: connections, the schema, the catalog, statements over sources."""
