"""The build tools that are compared, one module each, behind `base.Tool`."""
