"""Harness of the stories: real API server, real operator, simulated Proxmox. Nothing here asserts; stories do."""
