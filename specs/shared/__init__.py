"""What several contract sheets share."""
