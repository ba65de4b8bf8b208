"""Every Redis key of VNOME.

All begin with `vnome:`. Keys that change together in one transaction share a hash tag, so that they lie in one slot of
a Redis Cluster: `{catalogue}`, `{live}` for all that cameras, matchers and relays say to each other, the number for the
track of a video. The look-up table carries its 64 partitions' tags, so that a Cluster spreads it.
"""

CATALOGUE = "vnome:{catalogue}:"

SCHEMA = CATALOGUE + "schema"  # string: JSON {"schema": 1, "encoder": sha256 or null}
NEXT_NUMBER = CATALOGUE + "next-number"  # string: counter of video numbers
VIDEOS = CATALOGUE + "videos"  # hash: video id -> JSON record
NUMBERS = CATALOGUE + "numbers"  # hash: video number -> video id; what is not here is invisible to queries
REBUILD = CATALOGUE + "rebuild"  # string with a time to live: the process that rebuilds it
PENDING = CATALOGUE + "pending"  # hash: video number -> JSON of a change that is not finished
LABELS = CATALOGUE + "labels"  # hash: label -> how many stretches have it
POSTINGS = CATALOGUE + "postings"  # string: postings of all visible videos


def lease(number: int) -> str:
    """String with a time to live: the process that works on this pending number."""
    return f"{CATALOGUE}lease:{number}"


def lut_state(tag: str) -> str:
    """String: how many buckets a partition of the look-up table has, its postings, its generation, its changes."""
    return f"vnome:lut:{{{tag}}}"


def lut_lock(tag: str) -> str:
    """String with a time to live: this partition is being exchanged, and whoever would change it waits."""
    return f"vnome:lut:{{{tag}}}!"


def lut_generations(tag: str) -> str:
    """String: counter of this partition's generations, so that none is ever written twice."""
    return f"vnome:lut:{{{tag}}}#"


def bucket(tag: str, generation: int, number: int) -> str:
    """String: packed postings of a bucket. A partition that is being built anew has two generations side by side."""
    return f"{bucket_begin(tag, generation)}{number:x}"


def bucket_begin(tag: str, generation: int) -> str:
    """The name of a bucket without its number, which follows in hexadecimal digits."""
    return f"vnome:lut:{{{tag}}}{generation:x}:"


def bucket_in(name: bytes) -> tuple[str, int, int] | None:
    """Tag, generation and number in the name of a bucket; None for another name of a partition."""
    tag, _, rest = name[len(b"vnome:lut:{") :].decode().partition("}")
    generation, colon, number = rest.partition(":")
    return (tag, int(generation, 16), int(number, 16)) if colon else None


def confirmed(tag: str) -> str:
    """String: counter, written to see that all before it is on the disk of the server that holds this tag."""
    return f"vnome:confirmed:{{{tag}}}"


LUT = "vnome:lut:*"  # pattern: states and buckets
TRACKS, MOTIONS, SUBTITLES = "vnome:track:*", "vnome:motion:*", "vnome:subtitles:*"  # patterns
POSTERS, LABELS_OF_VIDEOS, SPOKEN = "vnome:poster:*", "vnome:labels:*", "vnome:spoken:*"  # patterns


def track(number: int, block: int) -> str:
    """String: packed runs of one minute of the video with this number."""
    return f"vnome:track:{{{number}}}:{block}"


def first_block(number: int) -> str:
    """String: the first block that is kept of a channel's track; absent: 0."""
    return f"vnome:track:{{{number}}}:first"


def channel_done(number: int) -> str:
    """String: how many seconds of a channel are indexed."""
    return f"vnome:track:{{{number}}}:done"


def motion(number: int) -> str:
    """String: packed motion of the still stretches; absent when there are none."""
    return f"vnome:motion:{{{number}}}"


def subtitles(number: int) -> str:
    """Hash: language -> subtitle file text, of the video with this number."""
    return f"vnome:subtitles:{{{number}}}"


def poster(number: int) -> str:
    """String: a small JPEG picture, of the video with this number; absent when it has none."""
    return f"vnome:poster:{{{number}}}"


def labels(number: int) -> str:
    """String: JSON of what the video with this number shows and when; absent when nothing is known of it."""
    return f"vnome:labels:{{{number}}}"


def label(name: str) -> str:
    """Sorted set: `number:start:end`, in tenths of a second, of the stretches with this label -> score."""
    return f"{CATALOGUE}label:{name}"


def spoken(number: int) -> str:
    """String: the words that the subtitles of the video with this number say; absent when it has none."""
    return f"vnome:spoken:{{{number}}}"


def word(name: str) -> str:
    """Set: the numbers of the videos that say this word."""
    return f"{CATALOGUE}word:{name}"


def letters(name: str) -> str:
    """Set: the words that have these letters in a row, `^` for the beginning."""
    return f"{CATALOGUE}letters:{name}"


def number_in(name: bytes) -> int:
    """The video number in the name of a track's block, a motion, subtitles or a poster."""
    return int(name[name.index(b"{") + 1 : name.index(b"}")])


TICKETS = "vnome:{gateway}:tickets"  # string: 32 bytes that sign the addresses of films
API_KEYS = "vnome:{gateway}:keys"  # hash: key id -> JSON, with the SHA-256 of its secret

CAMERAS = "vnome:{live}:cameras"  # sorted set: camera -> time of its newest frame, epoch seconds
CHANNELS = "vnome:{live}:channels"  # hash: channel -> JSON {"keep": seconds, "seen": newest capture time, ms}
MATCHERS = "vnome:{live}:matchers"  # sorted set: matcher process -> when it was last alive, epoch seconds
MATCHES = "vnome:{live}:matches"  # stream: field `event`, a match event as JSON
SIGHTINGS = "vnome:{live}:sightings"  # hash: sighting -> JSON
SIGHTINGS_BY_END = "vnome:{live}:sightings:by-end"  # sorted set: sighting -> end, epoch seconds


def attempts(group: str) -> str:
    """Hash: what the processors of a consumer group are working on, by partition, and what killed one, by offset."""
    return f"vnome:{{live}}:attempts:{group}"


def camera_codes(camera: str) -> str:
    """Stream: a frame an entry, its id the capture time (ms) and the frame's number."""
    return f"vnome:{{live}}:camera:{camera}:codes"


def camera_state(camera: str) -> str:
    """Hash: `last` id and `offset:TOPIC:PARTITION` of its codes, and the matcher's `session` and view to `follow`."""
    return f"vnome:{{live}}:camera:{camera}:state"


def camera_frame(camera: str) -> str:
    """Hash with a time to live: `ts` (ns since the epoch) and `jpeg`, a small picture, of a camera's newest frame."""
    return f"vnome:{{live}}:camera:{camera}:frame"


def sighting_frame(sighting: str) -> str:
    """Hash with a time to live: as `camera_frame`, of when a sighting began."""
    return f"vnome:{{live}}:sighting-frame:{sighting}"


def camera_matcher(camera: str) -> str:
    """String with a time to live: the matcher process that follows this camera."""
    return f"vnome:{{live}}:camera:{camera}:matcher"


def reference_codes(video: str) -> str:
    """Stream: as `camera_codes`, of a video that is being sent to be indexed."""
    return f"vnome:reference:{{{video}}}:codes"


def reference_state(video: str) -> str:
    """Hash: `last` and `offset:...` as of a camera."""
    return f"vnome:reference:{{{video}}}:state"


def channel_indexer(channel: str) -> str:
    """String with a time to live: the process that indexes this channel."""
    return f"vnome:{{live}}:channel:{channel}:indexer"


def relay(name: str) -> str:
    """String with a time to live: which process hands match events on under this name."""
    return f"vnome:{{live}}:relay:{name}"


def sightings_of(video: str) -> str:
    """Sorted set: sighting of this video -> end, epoch seconds."""
    return f"vnome:{{live}}:sightings:video:{video}"
