"""A folder of submissions, each judged in a process of its own, becomes grades: what ``plumbline grade`` stands on."""
