"""Functions of many kinds; the digest of each stands in `code_digests.json` beside this folder."""
