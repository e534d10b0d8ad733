"""Continuous integration: what a change reaches, reviews, workflows."""
