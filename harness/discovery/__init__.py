"""What --impl names, and the components found in it."""
