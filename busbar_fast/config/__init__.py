"""Reads, checks and explains the configuration; knows neither sockets nor dialects."""
