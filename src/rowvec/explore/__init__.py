"""Looking into data: texts to try rowvec on."""
