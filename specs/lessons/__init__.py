"""The lessons of ``plumbline study``, one file each, named like the lesson (``norm-placement``: norm_placement.py)."""
