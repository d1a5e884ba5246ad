"""The Go server as a process: started, asked, compared and put under load."""
