"""Text for people: amounts, moments, cut and printable forms, masks for what looks like a secret.

Pure. Knows nothing else of marin-build, not even its errors, which are made of it.
"""
