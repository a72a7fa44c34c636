"""Read a store, train something of one's own on it, score it, and score a loose file.

Run it where the demo has run (`make demo`, or its commands); each `# %%` is a cell.
"""

# %% The store: every layer of every clip, by its id
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestCentroid

from pipeline.evaluation.bootstrap import cluster_counts, intervals
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import read_manifest
from pipeline.scoring.loose_files import views_of_head
from pipeline.scoring.loose_tables import predict_files
from pipeline.scoring.predictions import write_predictions
from pipeline.scoring.predictor import Predictor
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.store.reader import FeatureStore

MANIFEST, AUDIO = Path("data_manifests/demo.csv"), Path("demo/audio")
STORE, HEAD = Path("features/demo"), Path("models/demo")

layers = FeatureStore.open(STORE).view("layers")
print(layers.records["outcome"].value_counts().to_dict())

# %% A table of what can be used, and its features
table = read_manifest(MANIFEST).table
outcomes = layers.lookup(table["utterance_id"])["outcome"].to_numpy()
table = table[outcomes == "ok"].reset_index(drop=True)
features = layers.read(table["utterance_id"].tolist()).astype(np.float32)  # (N, L, D)
last = features[:, -1]  # the encoder's normalised last output
is_train = (table["split"] == "train").to_numpy()

# %% A classifier of one's own
mine = NearestCentroid().fit(last[is_train], table["emotion"][is_train])
print("nearest centroid, of test:", mine.score(last[~is_train], table["emotion"][~is_train]))

# %% The same clips by a trained head, as `genser score` does it
trained = load_head(HEAD)
config = ScoreConfig()
predictions = score_manifest(read_manifest(MANIFEST), {"": STORE}, trained, config, device="cpu")
write_predictions(Path("example.parquet"), predictions)
said = predictions.table.to_pandas().merge(table[["utterance_id", "speaker"]], on="utterance_id")
test = said[said["split"] == "test"].dropna(subset=["label", "predicted"])

# %% Unweighted accuracy with an interval that resamples speakers
index = {name: number for number, name in enumerate(trained.classes)}
counts = cluster_counts(
    test["label"].map(index).to_numpy(),
    test["predicted"].map(index).to_numpy(),
    test["speaker"].tolist(),
    num_classes=len(index),
)
ua = intervals(counts)["ua"]
print(f"{trained.record.kind}: UA {ua.value:.3f} [{ua.low:.3f}, {ua.high:.3f}]")

# %% A recording that is in no store
recording = AUDIO / table["path"][0]
views = views_of_head(trained, None, "cpu")
predictor = Predictor(trained=trained, views=views, score=config, device="cpu")
((result,),) = predict_files([recording], predictor, workers=1)
print(recording.name, result.predicted, result.probabilities)
