"""Looking into data: clusters, maps, texts coloured by meaning."""
