"""Small source files for the definitions of this folder, each with the layout of the real dataset of its kind."""

import csv
import gzip
import io
import json
import subprocess
import tarfile
import wave
import zipfile
from pathlib import Path

import cv2
import numpy as np

LONG_LINE = 200_000_000


def make_sources(mirror: Path, *, only: tuple[str, ...] = ()) -> None:
    """Write the files that can be downloaded to `<mirror>/<name>/`, under the names that their URLs end with."""
    for make in (herbarium, overhead, patched, tracking, two_sensors, crossings, speech, wages, corpus, episodes):
        if make.__name__ in only or not only:
            folder = mirror / make.__name__
            folder.mkdir(parents=True)
            make(folder, np.random.default_rng(0))


def make_scenes(path: Path) -> None:
    """Write the archive of `scenes`, which only a person can download."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("airplane", "beach", "sea_ice"):
            for number in range(4):
                archive.writestr(f"scenes/{label}/{label}_{number:03}.jpg", image(random, 32, 32, ".jpg"))


def make_scans(path: Path) -> None:
    """Write the archive of `herbarium`, which only a person can download."""
    random = np.random.default_rng(0)
    with tarfile.open(path, "w") as archive:
        for number in range(6):
            add(archive, f"{number}.png", image(random, 10 + number, 12, ".png"))


def herbarium(folder, random):
    names = (("Bellis", "Asteraceae"), ("Salix", "Salicaceae"), ("Rosa", "Rosaceae"))
    rows = [f"{number}.png,{','.join(names[number % 3])}" for number in range(6)]
    (folder / "table.csv").write_text("\n".join(["scan,genus,family", *rows]) + "\n")


def overhead(folder, random):
    with tarfile.open(folder / "images.tar.gz", "w:gz") as archive:
        for number in range(8):
            split = "train" if number < 6 else "test"
            add(archive, f"{split}/{number}.png", image(random, 20 + number, 30, ".png"))
    found = [
        {"properties": {"image_id": number, "bounds": [0.1, 0.2, 0.5, 0.75], "type_id": box, "area": 1.5 * box}}
        for number in range(8)
        for box in range(number % 4)  # some images have none
    ]
    with zipfile.ZipFile(folder / "labels.zip", "w") as archive:
        archive.writestr("labels.geojson", json.dumps({"type": "FeatureCollection", "features": found}))


def patched(folder, random):
    rows = io.StringIO()
    table = csv.writer(rows)
    table.writerow(["name", "left", "top", "confidence"])
    with tarfile.open(folder / "patched-v2.tar.bz2", "w:bz2") as archive:
        for number in range(5):
            table.writerow([f"pair{number}", number, 2 * number, repr(random.random())])
            for kind in ("clean", "patched"):
                add(archive, f"patched/{kind}/pair{number}.png", image(random, 24, 24, ".png"))
        add(archive, "patched/pairs.csv", rows.getvalue().encode())


def tracking(folder, random):
    with tarfile.open(folder / "tracking.tgz", "w:gz") as archive:
        for split, names in (("dev", ("walk", "run")), ("eval", ("turn",))):
            for name in names:
                frames = random.integers(0, 256, (6, 16, 24, 3), dtype=np.uint8)
                # PNG frames in an AVI file lose nothing
                encode = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "24x16", "-i", "-", "-c:v", "png", "-f", "avi")
                add(archive, f"{split}/{name}.avi", ffmpeg(frames.tobytes(), *encode))
                for number in range(len(frames)):
                    add(archive, f"{split}/{name}/mask-{number:02}.png", image(random, 16, 24, ".png", channels=1))


def two_sensors(folder, random):
    for sensor, channels in (("radar", 2), ("camera", 3)):
        with zipfile.ZipFile(folder / f"{sensor}.zip", "w") as archive:
            for number in range(16):
                data = io.BytesIO()
                np.save(data, random.random((8, 8, channels), dtype=np.float32))
                archive.writestr(f"{number}.npy", data.getvalue())


def crossings(folder, random):
    frames = []
    for number in range(6):
        points = [{"x": float(x), "y": float(x) / 2} for x in range(number)]
        found = [
            {
                "category": ["car", "pedestrian", "sign"][box % 3],
                "track": list(range(box)),
                "parts": [{"kind": f"part {part}", "polygon": points} for part in range(box)],
                "colors": random.integers(0, 256, (box, 3)).tolist(),
            }
            for box in range(number % 4)
        ]
        frames.append({"objects": found, "lanes": [["left"] * number, [], ["straight", "right"]][: number % 4]})
    (folder / "frames.json").write_text(json.dumps({"frames": frames}))


def speech(folder, random):
    with tarfile.open(folder / "dev-clean.tar.gz", "w:gz") as archive:
        for speaker in (84, 174):
            chapter = f"Speech/dev-clean/{speaker}/121"
            lines = [f"{speaker}-121-{number:04} LINE {number} OF {speaker}" for number in range(3)]
            add(archive, f"{chapter}/{speaker}-121.trans.txt", "".join(f"{line}\n" for line in lines).encode())
            for line in lines:
                sound = io.BytesIO()
                with wave.open(sound, "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(8000)
                    file.writeframes(random.integers(-9000, 9000, 800, dtype=np.int16).tobytes())
                flac = ffmpeg(sound.getvalue(), "-i", "-", "-f", "flac")
                add(archive, f"{chapter}/{line.split()[0]}.flac", flac)


def wages(folder, random):
    rows = ("age,job,wage,since", "41,baker,12.5,2001", ",,1e300,", "33,,nan,1999", "28,smith,,2020")
    (folder / "wages.csv").write_text("".join(f"{row}\n" for row in rows))


def corpus(folder, random):
    words = ["one document\n", "\n", "two wörds\n", "a" * LONG_LINE + "\n", "b" * LONG_LINE]
    with gzip.open(folder / "all.txt.gz", "wt", encoding="utf-8", compresslevel=1) as file:
        file.writelines(words)


def episodes(folder, random):
    with zipfile.ZipFile(folder / "episodes.zip", "w") as archive:
        for number in range(3):
            steps = [
                {
                    "image": random.integers(0, 256, (16, 16, 3), dtype=np.uint8),
                    "state": random.random(10, dtype=np.float32),
                    "action": random.random(4, dtype=np.float32),
                    "instruction": "pick up the cup",
                }
                for _ in range(2 + number)
            ]
            data = io.BytesIO()
            np.save(data, np.array(steps, dtype=object), allow_pickle=True)
            archive.writestr(f"episode_{number}.npy", data.getvalue())


def image(random, height, width, ending, *, channels=3):
    """Return an encoded image of random pixels."""
    pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.imencode(ending, pixels)[1].tobytes()


def add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def ffmpeg(data, *arguments):
    """Return what ffmpeg makes of the data."""
    command = ["ffmpeg", "-loglevel", "error", *arguments, "-"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout
