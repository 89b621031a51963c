"""Alarms: noticing what is wrong or absent, and telling people of it without ever standing in a sync's way."""
