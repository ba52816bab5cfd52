"""Describing a dataset in Croissant 1.1, the JSON-LD in which tools and search engines read what a dataset is.

The description is a function of the manifest and the statistics: a dataset that has not changed has the same bytes.

mlcroissant 1.1.1 validates it, and loads the record sets `splits/...` and `classes/...`, whose records are in the
description, and `files/...`, which it reads from the tar, after it has checked the tar's hash. It cannot load the
examples, `records/...`: of files in an archive that are described by a pattern it gives names and paths only
(`_add_operations_for_file_object` in its `operation_graph/graph.py`), so that `ReadFields` does not find the features;
and a file described by itself it reads only as CSV, TSV, JSON, JSON Lines, Parquet, ARFF, DICOM, text, MP3, JPEG, PNG
or TIFF (`_read_file_content` in `operation_graph/operations/read.py`), not as TFRecord. The fields name the features
in the records all the same, for tools that can read them. What it unpacked it finds again by the tar's name, even if
that is another version now, so its cache (CROISSANT_CACHE) has to be emptied for a new version.

What Croissant asks for and nothing here knows is left out: the creator, and the address of a dataset without homepage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from loader._format.index import HEADER_NAME
from scripts._build.croissant_fields import Fields, Json, encoded
from scripts._sources.manual import is_tree

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
# it has no media type; Croissant then takes a page
TFRECORD = "https://www.tensorflow.org/tutorials/load_data/tfrecord"
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that mlcroissant takes for the standard one."""

_YEAR = re.compile(r"""\b(?:year|date)\s*=[\s"{]*([12]\d{3})\b""", re.IGNORECASE)
_MEMBER = {"path": "sc:Text", "offset": "sc:Integer", "size": "sc:Integer", "sha256": "sc:Text"}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "cr:TrainingSplit"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "cr:ValidationSplit"),
    **dict.fromkeys(("test", "testing"), "cr:TestSplit"),
}
# not the module `mimetypes`, whose answers depend on the version of Python and on the machine
_MEDIA_TYPES = {
    **dict.fromkeys(("gz", "tgz"), "application/gzip"),
    **dict.fromkeys(("jpeg", "jpg"), "image/jpeg"),
    **dict.fromkeys(("jsonl", "ndjson"), "application/jsonlines"),
    **dict.fromkeys(("h5", "hdf5"), "application/x-hdf5"),
    "7z": "application/x-7z-compressed",
    "arff": "https://ml.cms.waikato.ac.nz/weka/arff.html",
    "bz2": "application/x-bzip2",
    "csv": "text/csv",
    "flac": "audio/flac",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "parquet": "application/x-parquet",
    "png": "image/png",
    "tar": "application/x-tar",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "wav": "audio/wav",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}


def croissant(manifest: Json, statistics: Json | None) -> Json:
    """Return the Croissant description of a dataset, as JSON values.

    Parameters
    ----------
    manifest
        The dataset's manifest, as JSON values.
    statistics
        Its statistics, as JSON values; None if there are none. Only `class_counts` is read, for the names of classes:
        it must list all classes of a feature, also those without examples, in the order of their numbers.

    Notes
    -----
    The `datePublished` is the latest year that the citation states. Without a year there is none, and mlcroissant warns
    of that: Croissant has no other way to leave it out, and any other date would be that of the build.
    """
    name, citation = manifest["name"], manifest["citation"]
    about = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": manifest["description"] or name,
        "conformsTo": CONFORMS_TO,
        "version": manifest["version"],
        "license": _license(manifest["license"]),
        "url": manifest["homepage"],
        "citeAs": citation or f"@misc{{{name},\n  title = {{{name}}},\n  note = {{Version {manifest['version']}}}\n}}",
        "datePublished": max(_YEAR.findall(citation), default=None),
        "isLiveDataset": False,
        "isBasedOn": [_parent(parent, entry) for parent, entry in manifest["parents"].items()],
        "distribution": list(_distribution(manifest)),
        "recordSet": list(_record_sets(manifest, statistics)),
    }
    return {key: value for key, value in about.items() if value not in ("", None, [])}


def _license(license: str) -> str | Json:
    """Return the address of a license at SPDX if it is on its list, itself if it is an address, or else a work."""
    words = re.sub(r"(?i)\b(the|license|version)\b|,", " ", license).split()
    name = "-".join(words)
    if name.upper() == "CC0":  # it has only one version
        name = "CC0-1.0"
    try:
        identifier: str = canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        identifier = ""
    if re.fullmatch(r"(?!LicenseRef-)[\w.-]+", identifier):
        return f"https://spdx.org/licenses/{identifier}"
    return license if re.match("https?://", license) else {"@type": "sc:CreativeWork", "name": license}


def _parent(name: str, entry: Json) -> Json:
    # not an sc:Dataset: mlcroissant takes any of them for the dataset that is described
    tars = [{"@type": "sc:MediaObject", "name": tar, "sha256": sha256} for tar, sha256 in entry["artifacts"].items()]
    return {"@type": "sc:CreativeWork", "name": name, "version": entry["version"], "encoding": tars}


def _distribution(manifest: Json) -> Iterator[Json]:
    sources: dict[str, list[Json]] = {}
    for source in manifest["sources"]:  # two addresses of one file are one source
        if is_tree(source["url"]):
            continue  # it is no file, and its digest is none of Croissant's
        sources.setdefault(source["filename"], []).append(source)
    for filename, [source, *others] in sources.items():
        media_type = _MEDIA_TYPES.get(filename.rpartition(".")[2].lower(), "application/octet-stream")
        found = _file(f"sources/{encoded([filename])}", filename, source["url"], source, media_type)
        yield found | ({"sameAs": [other["url"] for other in others]} if others else {})
    for filename, artifact in manifest["artifacts"].items():
        version = artifact.get("version", manifest["version"])
        folder = "/".join(part for part in (manifest["name"], artifact["config"], version) if part)
        inside = {"containedIn": {"@id": filename}}
        index = f"{folder}/{HEADER_NAME}"
        yield _file(filename, filename, filename, artifact, _MEDIA_TYPES["tar"])
        yield _file(_index(filename), HEADER_NAME, index, artifact["index"], _MEDIA_TYPES["json"]) | inside
        yield {
            "@type": "cr:FileSet",
            "@id": _shards(filename),
            "name": f"The shards of {filename}",
            "encodingFormat": TFRECORD,
            "includes": f"{escape(folder)}/*.tfrecord-*",
            **inside,
        }


def _file(identifier: str, name: str, url: str, entry: Json, media_type: str) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": identifier,
        "name": name,
        "contentUrl": url,
        "contentSize": f"{entry['size']} B",
        "sha256": entry["sha256"],
        "encodingFormat": media_type,
    }


def _index(filename: str) -> str:
    return f"{filename}/index"


def _shards(filename: str) -> str:
    return f"{filename}/shards"


def _record_sets(manifest: Json, statistics: Json | None) -> Iterator[Json]:
    for filename, artifact in manifest["artifacts"].items():
        title = filename.removesuffix(".tar")
        fields = Fields(title, _shards(filename), _class_names(statistics, artifact["config"]))
        features = fields.make(artifact["features"])
        yield _inline(
            f"splits/{title}",
            f"The splits of {title}",
            "cr:Split",
            {"name": "sc:Text", "url": ["sc:URL", "cr:Split"], "examples": "sc:Integer"},
            [(name, _SPLITS.get(name), split["examples"]) for name, split in artifact["splits"].items()],
        )
        for identifier, (label, names) in fields.enumerations.items():
            types = {"number": "sc:Integer", "name": "sc:Text"}
            yield _inline(identifier, f"The classes of {label}", "sc:Enumeration", types, list(enumerate(names)))
        yield {
            "@type": "cr:RecordSet",
            "@id": f"records/{title}",
            "name": title,
            "description": f"The examples of {title}: each is a serialized tf.train.Example in a TFRecord file.",
            "field": [_split_field(manifest["name"], title, artifact, fields), *features],
        }
        yield {
            "@type": "cr:RecordSet",
            "@id": f"files/{title}",
            "name": f"The files of {title}",
            "description": f"The other files in {filename}: path, offset in the tar, number of bytes and SHA-256.",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"files/{title}/{key}",
                    "name": key,
                    "dataType": data_type,
                    "source": {"fileObject": {"@id": _index(filename)}, "extract": {"jsonPath": f"$.members[*].{key}"}},
                }
                for key, data_type in _MEMBER.items()
            ],
        }


def _inline(
    identifier: str, name: str, data_type: str, types: Mapping[str, str | list[str]], rows: Sequence[tuple[Any, ...]]
) -> Json:
    """Return a record set whose records are in the description; its first field tells them apart."""
    fields = [f"{identifier}/{field}" for field in types]
    return {
        "@type": "cr:RecordSet",
        "@id": identifier,
        "name": name,
        "dataType": data_type,
        "key": {"@id": fields[0]},
        "field": [
            {"@type": "cr:Field", "@id": field, "name": name, "dataType": types[name]}
            for field, name in zip(fields, types, strict=True)
        ],
        "data": [dict(zip(fields, row, strict=True)) for row in rows],
    }


def _split_field(name: str, title: str, artifact: Json, fields: Fields) -> Json:
    """Return the field that says which split a record is of, which is in the name of its shard."""
    field = "split"
    while field in fields.names:
        field += "_"
    splits = "|".join(re.escape(split) for split in artifact["splits"])
    source = fields.source(fileProperty="filename") | {"transform": {"regex": rf"^{name}-({splits})\.tfrecord-.*$"}}
    return {
        "@type": "cr:Field",
        "@id": f"records/{title}/{field}",
        "name": field,
        "dataType": "sc:Text",
        "source": source,
        "references": {"field": {"@id": f"splits/{title}/name"}},
    }


def _class_names(statistics: Json | None, config: str | None) -> dict[str, list[str]]:
    """Return the names of the classes of each feature, in the order in which the statistics list them."""
    names: dict[str, dict[str, None]] = {}
    for count in statistics["class_counts"] if statistics else ():
        if count["config"] == config:
            names.setdefault(count["feature"], {})[count["class"]] = None
    return {feature: list(found) for feature, found in names.items()}
