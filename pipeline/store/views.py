"""What a store can hold: the views, and the table of clips.

The `layers` view is (N, L, D): layer 0 is the encoder's input, layer k the output of block k, layer
L-1 the normalised last output, each averaged over the valid frames of one clip. The `frames` view
is ragged, (T, R, D) for each clip: the frames themselves, of chosen layers. A view of codes is
ragged too, (T, R): the number of the centroid that is nearest to each frame, layer by layer.
"""

import re

LAYERS = "layers"
FRAMES = "frames"
CODES = "codes"

CURE = "run 'genser verify --repair' on the store, then extract"  # of what is damaged

_COPY = re.compile(r".+-copy[1-9][0-9]*")

TEXT_SOURCE = "text"  # of a view of layers that is made of texts, in its recipe

# What identifies a clip's audio, in every table that names clips; channel -1 means mixed down, an
# absent start or end is NaN.
SEGMENT_COLUMNS = ("start", "end", "channel")

# The clips of a shard, one row each, and their types; "" and -1 stand for "not known".
CLIP_COLUMNS: dict[str, str] = {
    "utterance_id": "str",
    "start": "float64",
    "end": "float64",
    "channel": "int32",
    "file_digest": "str",  # SHA-256 of the file's bytes
    "audio_digest": "str",  # SHA-256 of the decoded samples of the segment and channel
    "num_samples": "int64",  # at the file's own rate
    "sample_rate": "int32",
    "duration": "float64",  # seconds
    "outcome": "str",
    "message": "str",
    "row": "int32",  # row of the shard's features, -1 without features
}

# Of ragged views, beside those.
NUM_FRAMES = {"num_frames": "int64"}  # 0 without features

# Of records, beside those: what a clip's features are read by without the rest of their shard.
# Views of before lack both columns, and clips of their shards are not told.
PLACED = {
    "features_start": "int64",  # byte of the shard's file, -1 without features
    "features_digest": "str",  # SHA-256 of the features' bytes, "" without
}


def copy_name(view: str, number: int) -> str:
    """Return the view of the augmented copies of a view's clips, by the same ids; from 1."""
    return f"{view}-copy{number}"


def is_copy_name(view: str) -> bool:
    """Say whether a view is one of augmented copies."""
    return bool(_COPY.fullmatch(view))
