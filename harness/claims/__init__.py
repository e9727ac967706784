"""Generic claims, one per file, each with the sabotage that must break it.

A sabotage stands between the script and a right component: ``sabotage(call, method, arguments, request)`` makes the call
itself, with ``call(arguments)``, and spoils what goes in, what comes out, or the world around it.
"""
