"""Measurements of the running product; they assert nothing, print everything and keep it.

`make bench` starts `rev up` in an empty directory, drives it over HTTP from a load generator
on the same machine, takes medians of 3 and writes bench/results/*.json with the commit.
"""
