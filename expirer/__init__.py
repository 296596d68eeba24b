"""Timers: an expire command for every outcome whose time has come."""
