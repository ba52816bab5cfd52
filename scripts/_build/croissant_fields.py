"""The features of a dataset as fields of Croissant.

A feature is told by the kind of its message in `features.json`, so that a builder's own subclass of one of TFDS's
features is described as what it stores:

    tensor                sc:Integer, sc:Float, sc:Boolean or sc:Text, and its exact type if Croissant has one, like
                          cr:UInt8; complex numbers have one more axis, of the real and the imaginary part
    classLabel            sc:Integer and cr:Label; refers to the enumeration of the classes if their names are known
    text                  sc:Text
    image, video, audio   sc:ImageObject (a LabeledImage cr:SegmentationMask too), sc:VideoObject, sc:AudioObject
    boundingBox           cr:BoundingBox
    featuresDict          a field with a subField for each feature; one without features is left out
    translation           a field with a subField for each language, or with language and translation
    sequence              its feature as an array, of as many axes as sequences are nested

All others were saved by a class in a form of its own, which only that class can read: they are sc:Text, and the
description names the class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from scripts._build.statistics.artifact import MAX_CLASSES

Json = dict[str, Any]

_EXACT = {
    **{f"{kind.lower()}{bits}": f"cr:{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"cr:Float{bits}" for bits in (16, 32, 64)},
}
_TEXT: Json = {"pythonClassName": "Text", "text": {}}
_BOX_FORMATS = ("REL_YXYX", "YXYX")  # those in which TFDS stores coordinates; of others it keeps the builder's order


class Fields:
    """The fields of a record set, made from features.

    Parameters
    ----------
    title
        The name of the record set; the `@id` of each field begins with `records/<title>/`.
    file_set
        The `@id` of the files that hold the records.
    class_names
        The names of the classes of each ClassLabel, by path (`objects/label`), in the order of their numbers.

    Attributes
    ----------
    names
        The names of the top-level features.
    enumerations
        The enumerations that the fields refer to: `@id` -> path of the ClassLabel, class names. Their key is `number`.
    """

    def __init__(self, title: str, file_set: str, class_names: Mapping[str, Sequence[str]]) -> None:
        self._title = title
        self._file_set = file_set
        self._class_names = class_names
        self.names: list[str] = []
        self.enumerations: dict[str, tuple[str, Sequence[str]]] = {}

    def make(self, features: Json) -> list[Json]:
        """Return the fields of the features of a dataset, which are a FeaturesDict or sequences of one."""
        axes: tuple[int, ...] = ()
        while "sequence" in features:
            axes += (int(features["sequence"].get("length", 0)),)
            features = features["sequence"]["feature"]
        children = features["featuresDict"].get("features", {})
        self.names = sorted(children)
        return self._children(children, (), axes)

    def source(self, **extract: str) -> Json:
        """Return a source that extracts something from the files."""
        return {"fileSet": {"@id": self._file_set}, "extract": extract}

    def _children(self, features: Json, path: tuple[str, ...], axes: tuple[int, ...] = ()) -> list[Json]:
        fields = (self._field(features[name], (*path, name), axes) for name in sorted(features))
        return [field for field in fields if field is not None]

    def _field(self, feature: Json, path: tuple[str, ...], axes: tuple[int, ...] = ()) -> Json | None:
        """Return the field of a feature, an array with these axes; None if it has no values."""
        field = {"@type": "cr:Field", "@id": f"records/{self._title}/{encoded(path)}", "name": path[-1]}
        if description := feature.get("description"):
            field["description"] = description
        match feature:
            case {"sequence": inner}:
                found = self._field(inner["feature"], path, (*axes, int(inner.get("length", 0))))
                return found and found | field  # if both have a description, it is that of the sequence
            case {"featuresDict": content}:
                children = self._children(content.get("features", {}), path)
                return field | _array(axes) | {"subField": children} if children else None
            case {"translation": {"variableLanguagesPerExample": True}}:
                texts = {"language": _TEXT, "translation": _TEXT}
                return field | _array((*axes, -1)) | {"subField": self._children(texts, path)}
            case {"translation": content}:
                texts = dict.fromkeys(content.get("languages", ()), _TEXT)
                return field | _array(axes) | {"subField": self._children(texts, path)}
        return field | self._leaf(feature, path, axes)

    def _leaf(self, feature: Json, path: tuple[str, ...], axes: tuple[int, ...]) -> Json:
        source = self.source(column="/".join(path))
        match feature:
            case {"tensor": content}:
                types, more = _types(content["dtype"])
                sizes = content.get("shape", {}).get("dimensions", ())
                return {"dataType": types, **_array((*axes, *map(int, sizes), *more)), "source": source}
            case {"classLabel": content}:
                label: Json = {"dataType": ["sc:Integer", "cr:Label"], **_array(axes), "source": source}
                names = self._class_names.get("/".join(path), ())
                if names and len(names) == int(content.get("numClasses", 0)) <= MAX_CLASSES:
                    enumeration = f"classes/{self._title}/{encoded(path)}"
                    self.enumerations[enumeration] = "/".join(path), names
                    label["references"] = {"field": {"@id": f"{enumeration}/number"}}
                return label
            case {"text": _}:
                types = "sc:Text"
            case {"image": {"label": _}}:
                types = ["sc:ImageObject", "cr:SegmentationMask"]
            case {"image": _}:
                types = "sc:ImageObject"
            case {"video": _}:
                types = "sc:VideoObject"
            case {"audio": content}:
                types = "sc:AudioObject"
                if rate := int(content.get("sampleRate", 0)):
                    source["samplingRate"] = rate
            case {"boundingBox": content}:
                types = "cr:BoundingBox"
                if content.get("bboxFormat") in _BOX_FORMATS:
                    source["format"] = content["bboxFormat"]
            case _:
                class_name = feature.get("pythonClassName") or feature.get("type")
                unknown = {"dataType": "sc:Text", "description": f"A {class_name}, which only this class can decode."}
                return {**unknown, **_array(axes), "source": source}
        return {"dataType": types, **_array(axes), "source": source}


def encoded(path: Sequence[str]) -> str:
    """Return a path as a part of an `@id`, which is a relative IRI: it may not hold spaces, `#`, or `..` for a name."""
    return "/".join(quote(name, safe="") if name.strip(".") else name.replace(".", "%2E") for name in path)


def _types(dtype: str) -> tuple[str | list[str], tuple[int, ...]]:
    """Return the types of a dtype, and the axes that a value of it has."""
    if dtype == "bool":
        return "sc:Boolean", ()
    if dtype.startswith("complex"):
        return "sc:Float", (2,)
    for start, basic in {"int": "sc:Integer", "uint": "sc:Integer", "float": "sc:Float", "bfloat": "sc:Float"}.items():
        if dtype.startswith(start):
            return [basic, _EXACT[dtype]] if dtype in _EXACT else basic, ()
    return "sc:Text", ()


def _array(axes: tuple[int, ...]) -> Json:
    return {"isArray": True, "arrayShape": ",".join(map(str, axes))} if axes else {}
