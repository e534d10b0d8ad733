"""Views: one file per command shows its result, as text for people and JSON for programs."""
