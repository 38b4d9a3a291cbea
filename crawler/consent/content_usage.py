"""Usage preferences of the IETF's AI Preferences group: `train-ai=n`, in a header or a line of robots.txt.

The drafts (attach-05, vocab-08) still move, and older names are in use, so this reads leniently. Cloudflare's
`Content-Signal`, which says `no` for `n`, is read in the same way.
"""

from __future__ import annotations

# Adapting a picture by a neural network is the use of a model on it, and may serve as an example to train on; no
# label fits exactly, so a refusal under any that is about models or mining counts. `search` does not: nothing here
# leads people to the picture's own place, which is what it allows or refuses.
CONCERN_US = frozenset(
    {
        "ai", "ai-input", "ai-output", "ai-train", "ai-use", "all", "bots", "genai", "tdm", "train", "train-ai",
        "train-genai",
    }
)  # fmt: skip
_REFUSALS = frozenset({"n", "no", "?0", "0", "disallow"})


def refused_use(preferences: str) -> str | None:
    """The member of a preference dictionary that refuses a use which concerns us, such as `train-ai=n`; or None.

    Of a key that stands twice the last member counts (RFC 9651, section 3.2).
    """
    members: dict[str, tuple[str, str]] = {}
    for member in preferences.split(","):
        key, _, value = member.partition("=")
        # What follows a semicolon are parameters, none of which is defined.
        members[key.strip().lower()] = (value.partition(";")[0].strip().strip('"').lower(), member.strip())
    for key, (value, member) in members.items():
        if key in CONCERN_US and value in _REFUSALS:
            return member
    return None
