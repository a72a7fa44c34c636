"""What can become of a clip: it has features, or one of these says why not."""

OK = "ok"
SILENT = "silent"  # every sample is the same
DECODE_ERROR = "decode_error"  # not audio, a channel or a segment that is not there
TOO_SHORT = "too_short"  # not one frame for the encoder
TOO_LONG = "too_long"  # beyond what a recogniser, or an augmented copy, takes at once
TRUNCATED = "truncated"  # the header promises more than the file holds
NONFINITE = "nonfinite"  # NaN or infinity in the samples or the features
LENGTH_MISMATCH = "length_mismatch"  # the manifest's num_samples or sample_rate is another
MISSING = "missing"  # no such file
NO_TEXT = "no_text"  # nothing is written in the column that texts are embedded from
