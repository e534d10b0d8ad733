"""What becomes, or became, of runs and attempts."""
