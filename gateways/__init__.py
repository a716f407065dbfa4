"""The outer world behind `models/outside.py`: one file, one outside system."""
