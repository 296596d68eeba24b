"""Timers: a command for every outcome and every month whose time has come."""
