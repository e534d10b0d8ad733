"""What the performance claims of marin-build are measured with; see README.md."""
