"""Counts images and bytes of each series; an example of a site's own product."""

import json
import os
from collections import Counter
from pathlib import Path

in_folder, out_folder = Path(os.environ["MERCURE_IN_DIR"]), Path(os.environ["MERCURE_OUT_DIR"])
settings = json.loads((in_folder / "task.json").read_text())["process"]["settings"]
divisor = {"MB": 1024 * 1024, "kB": 1024}[settings["unit"]]

images: Counter[str] = Counter()
total = 0
files = sorted(in_folder.glob("*.dcm"))
for number, file in enumerate(files, 1):
    images[file.name.split("#")[0]] += 1
    total += file.stat().st_size
    print(json.dumps({"progress": number / len(files), "step": "Counting"}), flush=True)

with open(out_folder / "series.csv", "w") as table:
    table.write("series,images\n")
    table.writelines(f"{position},{count}\n" for position, (_, count) in enumerate(sorted(images.items()), 1))

result = {
    "values": [
        {"name": "images", "label": "Images", "value": sum(images.values())},
        {"name": "size", "label": "Size", "value": round(total / divisor, 3), "unit": settings["unit"]},
    ],
    "notes": ["An example: these numbers describe the files, not the patient."],
}
(out_folder / "result.json").write_text(json.dumps(result))
