"""Feature classes of a builder that only encode: their values are those of a class of TFDS, and are recorded as such.

TFDS writes the name of each feature's class to `features.json`, and imports the class to read the dataset. A class that
changes nothing but how values are given, for example a mask as text, is not needed for that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts._tfds.features import are_stateless

_TFDS = "tensorflow_datasets.core.features."
_ENCODING = {"encode_example", "repr_html", "repr_html_batch"}  # what decoding does not call
_DESCRIBING = {"get_tensor_info", "get_serialized_info", "to_json_content", "from_json_content"}


def write_plain_features(features: Any, folder: Path) -> None:
    """Name the classes of TFDS in `features.json` instead of those of the builder that only encode.

    Parameters
    ----------
    features
        The dataset's features.
    folder
        The version folder, to which TFDS has written `features.json`.
    """
    if are_stateless(features):  # all classes are TFDS's
        return
    path = folder / "features.json"
    document = _plain(json.loads(path.read_text(encoding="utf-8")), features)
    path.write_text(json.dumps(document, indent=4, sort_keys=True), encoding="utf-8")  # as TFDS does


def _plain(document: Any, feature: Any) -> Any:
    document = dict(document)
    if "featuresDict" in document:
        inner = document["featuresDict"]["features"]
        document["featuresDict"] = {"features": {name: _plain(inner[name], feature[name]) for name in inner}}
    for kind in ("sequence", "dataset"):
        if kind in document:
            document[kind] = {**document[kind], "feature": _plain(document[kind]["feature"], feature.feature)}
    if type(feature).__module__.startswith(_TFDS):
        return document
    return next((each for each in _candidates(document, feature) if _is_equal(each, feature)), document)


def _candidates(document: Any, feature: Any) -> list[Any]:
    """Return how TFDS could describe a feature of an own class, if its class does not change the decoding."""
    import tensorflow_datasets as tfds

    classes = type(feature).__mro__
    base = next(each for each in classes if each.__module__.startswith(_TFDS))
    own = {name for each in classes[: classes.index(base)] for name in vars(each) if hasattr(base, name)}
    own = {name for name in own if not name.startswith("__") and name != "_abc_impl"}  # what any class has
    if base is tfds.features.FeatureConnector:  # which decodes nothing
        info = feature.get_tensor_info()
        if own - _ENCODING - _DESCRIBING or isinstance(info, dict) or info.sequence_rank:
            return []
        return [tfds.features.Tensor(shape=info.shape, dtype=info.dtype).to_json()]
    if own - _ENCODING:
        return []
    return [{**document, "pythonClassName": f"{base.__module__}.{base.__name__}"}]


def _is_equal(document: Any, feature: Any) -> bool:
    import tensorflow_datasets as tfds

    try:
        plain = tfds.features.FeatureConnector.from_json(document)
    except Exception:  # the content is not that of the class of TFDS
        return False
    return all(
        repr(getattr(plain, name)()) == repr(getattr(feature, name)())
        for name in ("get_tensor_info", "get_serialized_info")
    )
