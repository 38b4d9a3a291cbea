"""DECODING: strangers' bytes are decoded in processes of their own, with a limit on time and one on memory."""
