"""`Project`: what the command line can do, for notebooks and programs."""
