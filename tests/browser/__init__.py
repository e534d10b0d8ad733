"""The page that `graph --format html` writes, in a real browser."""
