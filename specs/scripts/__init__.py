"""Small training scripts in the styles in which people write them. Mistakes are planted in them, one at a time."""
