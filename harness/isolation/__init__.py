"""The implementation in a process of its own: the judge never loads its code.

The judge sends requests and gets answers, in frames of plain data. What an answer holds is checked as it is read; no
code travels in either direction.
"""
