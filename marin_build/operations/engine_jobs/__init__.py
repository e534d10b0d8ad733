"""Code and work for engines: bundles, calls, and the jobs of queues."""
