"""Compares a table of measurements with the one that was kept: last.py RESULTS LAST.json [keep]

RESULTS has the rows of lib.sh; LAST.json is a list of {"what", "value", "unit", "better", "noise"}. `value` is the ratio where there is one, for it
depends less on the machine. `noise` is half of the spread of that row's rounds, in parts of the median. What became slower by more than the noise
of both runs, and by more than a tenth, is printed; with `keep` the new table is kept."""
import json
import os
import sys

LEAST = 0.1


def rows(path):
    with open(path, encoding="utf-8") as table:
        for line in table:
            what, ours, _, ratio, aim, _, *noise = line.rstrip("\n").split("\t")
            number, _, unit = ours.partition(" ")
            try:
                value = float(number if ratio == "-" else ratio)
            except ValueError:
                continue
            yield {"what": what, "value": value, "unit": unit if ratio == "-" else "x", "better": "more" if aim.startswith(">=") else "less",
                   "noise": float(noise[0]) if noise and noise[0] else 0.0}


def slower(old, new):
    allowed = 1 + max(LEAST, old["noise"] + new["noise"])
    if new["better"] == "more":
        return new["value"] * allowed < old["value"]
    return new["value"] > old["value"] * allowed


def main(results, last, *options):
    now = list(rows(results))
    before = {}
    if os.path.exists(last):
        with open(last, encoding="utf-8") as kept:
            before = {row["what"]: row for row in json.load(kept)}
    for row in now:
        old = before.get(row["what"])
        if old and old["unit"] == row["unit"] and slower(old, row):
            print(f"slower than the table that was kept: {row['what']}: {row['value']:g} {row['unit']}, was {old['value']:g}")
    if "keep" in options:
        before.update((row["what"], row) for row in now)
        with open(last + ".new", "w", encoding="utf-8") as kept:
            json.dump(list(before.values()), kept, indent=1)
            kept.write("\n")
        os.rename(last + ".new", last)


main(*sys.argv[1:])
