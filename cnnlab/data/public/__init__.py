"""Public datasets by name: found, downloaded, checked and unpacked."""
