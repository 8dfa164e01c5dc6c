"""What every slicewatch program needs and none of them is about: strict files, flags, logs, a web server, a terminal.

It knows neither GPUs nor objectives, and imports nothing of the other packages.
"""
