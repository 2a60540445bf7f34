"""Adds up the volume that the images of each series cover; takes its folders as arguments, as modules for mercure do."""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pydicom

in_folder, out_folder = Path(sys.argv[1]), Path(sys.argv[2])
settings = {"unit": "ml"}
task = json.loads((in_folder / "task.json").read_text())
settings.update(task.get("process", {}).get("settings", {}))

slices: dict[str, dict[tuple[float, ...], float]] = defaultdict(dict)
for file in in_folder.glob("*.dcm"):
    series, _, _ = file.name.partition("#")
    image = pydicom.dcmread(file, stop_before_pixels=True)
    height, width = (float(one) for one in image.PixelSpacing)
    area = image.Rows * height * image.Columns * width
    # Each place once, however many directions were measured there.
    slices[series][tuple(image.ImagePositionPatient)] = area * float(image.SliceThickness)

volume = sum(sum(places.values()) for places in slices.values()) / 1000
if settings["unit"] == "litre":
    volume /= 1000
(out_folder / "result.json").write_text(json.dumps({"series": len(slices), "volume": round(volume, 6)}))
