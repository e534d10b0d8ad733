"""What experiments of Marin's artifact era are started with."""
