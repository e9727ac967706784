"""Components that compute with NumPy, JAX, MLX or CuPy arrays."""
