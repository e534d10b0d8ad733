"""Experiments of Marin, rewritten text by text into pipelines of marin-build. Pure."""
