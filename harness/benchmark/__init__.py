"""How long, how much, how it grows: measuring. It judges nothing, and knows neither components nor implementations."""
