"""``plumbline study``: runs lessons over seeds within a budget, decides their questions, and shows them."""
