"""The rules of a Kubernetes API server for Jobs and JobSets, as far as they need no server.

Facts: Kubernetes 1.36 (batch/v1 and core/v1), JobSet v0.12 (the CRD and its webhooks).
"""
