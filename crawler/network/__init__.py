"""Network: what may be requested and connected to, what sites permit, and what becomes of failures."""
