-- A load with --embed: fails where the model cannot be had, before anything is loaded.
SELECT rowvec.embed(%(model)s, 'rowvec');
