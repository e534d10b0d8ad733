"""What a person says of a target: good enough, adopted, committed, bad, free."""
