"""Performance of busbar-fast, measured side by side with HAProxy: `python -m perf`, read README.md."""
