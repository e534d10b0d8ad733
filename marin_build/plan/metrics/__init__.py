"""Metrics: the numbers that steps returned, beside the attributes in which their targets differ.

`returned_numbers` finds the numbers, `varying_attributes` the attributes. `metrics_table` is both
as rows and columns, and `metrics_changes` what changed between two versions of a pipeline. Pure.
"""
