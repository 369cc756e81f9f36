"""The build of the compiled program, see docs/adr/0015-compiled-hot-modules.md."""
