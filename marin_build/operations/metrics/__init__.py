"""The numbers that steps returned."""
