"""The ranking language: part of Python's grammar, checked when it is loaded, run by an evaluator of our own."""

from busbar_fast.reliability.policies.script.script import Script, complaint_of_script

__all__ = ["Script", "complaint_of_script"]
