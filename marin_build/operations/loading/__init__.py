"""From options to targets: configuration, parameters, the pipeline, its store."""
