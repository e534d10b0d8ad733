"""Where a project and its outputs lie: folders and URLs, the configuration file, files made there.

Knows no steps, no targets and no stores.
"""
