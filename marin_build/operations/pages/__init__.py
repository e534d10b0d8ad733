"""Pictures and pages about a pipeline."""
