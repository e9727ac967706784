"""The pytest plug-in, and the decorator that ``plumbline`` hands on: what ``plumbline.py`` needs of the harness."""

from harness.discovery.implements import implements

__all__ = ["implements"]
