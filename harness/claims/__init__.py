"""Generic claims, one per file, each with the sabotage that must break it.

A sabotage runs between the script and a right component. ``sabotage(call, method, arguments, request)`` makes the call
itself, with ``call(arguments)``, and changes what goes in, what comes out, or the global state.
"""
