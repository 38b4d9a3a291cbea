"""Hosts: how often each may be asked, whose turn it is, and what each has said of that."""
