"""The main job in one command: a year of taxi trips, from CSV files to answers."""
