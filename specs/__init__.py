"""One contract sheet per component: what is promised of it."""
