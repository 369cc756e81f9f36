"""Composes everything below it into the gateway; nobody imports it but the command line."""
