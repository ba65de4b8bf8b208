"""Every Redis key of VNOME.

All begin with `vnome:`. Keys that change together in one transaction share the hash tag `{catalogue}`; buckets of
the look-up table carry none, so that a Cluster spreads them.
"""

CATALOGUE = "vnome:{catalogue}:"

SCHEMA = CATALOGUE + "schema"  # string: JSON {"schema": 1, "encoder": sha256 or null}
NEXT_NUMBER = CATALOGUE + "next-number"  # string: counter of video numbers
VIDEOS = CATALOGUE + "videos"  # hash: video id -> JSON record
NUMBERS = CATALOGUE + "numbers"  # hash: video number -> video id; what is not here is invisible to queries
PENDING = CATALOGUE + "pending"  # hash: video number -> JSON of a change that is not finished
POSTINGS = CATALOGUE + "postings"  # string: postings of all visible videos
CONFIRMED = CATALOGUE + "confirmed"  # string: counter, written to see that all before it is on disk


def lease(number: int) -> str:
    """String with a time to live: the process that works on this pending number."""
    return f"{CATALOGUE}lease:{number}"


def bucket(prefix: int) -> str:
    """String: packed postings of the mixed codes with this 16-bit prefix."""
    return f"vnome:lut:{prefix:04x}"


def track(number: int) -> str:
    """Hash: block of the track -> packed runs."""
    return f"vnome:track:{number}"


def motion(number: int) -> str:
    """String: packed motion of the still stretches; absent when there are none."""
    return f"vnome:motion:{number}"


def subtitles(number: int) -> str:
    """Hash: language -> subtitle file text, of the video with this number."""
    return f"vnome:subtitles:{number}"
