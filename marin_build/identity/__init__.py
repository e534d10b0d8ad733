"""The identity of a step: canonical values, the payload that is hashed, code digests.

Knows no step, no pipeline and no store.
"""
