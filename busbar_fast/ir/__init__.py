"""One lossless model between the dialects: requests, answers, streams as calls, and a report of every loss."""
