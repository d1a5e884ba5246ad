"""The Go server as a process, its parity with Python, and its load test."""
