"""What a real installation does when its parts are killed, cut off, held up and lied to.

`make faults` does all of it and prints a table; docs/reliability.md says what is promised.
"""
