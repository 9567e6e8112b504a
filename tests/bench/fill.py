"""Puts into a database of chillboxd, which is stopped, as much history as it keeps: fill.py STATE.DB SITES [--releases N] [--parts N]

10,000 jobs with 37 events each, 100,000 audit entries with the right chain, 200,000 deliveries, or one of N parts of each; 50 removed releases of each
site, or N: more than is kept."""
import argparse
import hashlib
import sqlite3


def link(previous, number, time, texts):
    digest = hashlib.blake2b(previous)
    for value in (number, time):
        digest.update(value.to_bytes(8, "little"))
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.digest()[:32]


def audit(db, count):
    number, previous = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    for number in range(number + 1, number + 1 + count):
        texts = ("webhook:laptop", "deploy", "site1", "deployed 1.0.0", "ok")
        previous = link(previous, number, number, texts)
        yield (number, number, *texts, previous)


def columns(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def copies(db, table, where, changed, count):
    """Rows like the one there is, with some columns as `changed` says by the row's number."""
    names = columns(db, table)
    row = dict(zip(names, db.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1").fetchone()))
    marks = ", ".join("?" * len(names))
    db.executemany(f"INSERT INTO {table} VALUES({marks})",
                   (tuple({**row, **changed(i)}[name] for name in names) for i in range(count)))


def main(path, sites, releases, parts):
    db = sqlite3.connect(path)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA synchronous = OFF")
    source = "bench"
    jobs = 10000 // parts
    first = db.execute("SELECT max(seq) FROM jobs").fetchone()[0] + 1
    copies(db, "jobs", "kind = 'deploy'", lambda i: {"seq": first + i, "id": f"job{i}", "source": source, "number": i + 1, "site": f"site{i % sites + 1}",
                                                     "sha256": hashlib.sha256(b"%d" % i).hexdigest()}, jobs)
    db.executemany("INSERT INTO events VALUES(?, ?, ?, 'stage', 'info', ?)", ((first + i, n, i, "unpacked 3 files, 1.2 KB") for i in range(jobs) for n in range(1, 38)))
    copies(db, "deliveries", "true", lambda i: {"sender": source, "number": i + 1, "id": f"msg{i}", "body": hashlib.sha256(b"%d" % i).hexdigest()}, 200000 // parts)
    db.executemany("INSERT INTO audit VALUES(?, ?, ?, ?, ?, ?, ?, ?)", audit(db, 100000 // parts))
    # Older than what is there, and without NGINX's text, as the host keeps them.
    db.execute("UPDATE releases SET seq = seq + ?", ((sites + 1) * releases,))
    for site in range(1, sites + 1):
        copies(db, "releases", f"site = 'site{site}'", lambda i: {"seq": (site - 1) * releases + i + 1, "id": f"old-{i}", "state": "removed", "nginx": "", "last_log": "",
                                                                  "sha256": f"{site}-{i}"}, releases)
    db.commit()


arguments = argparse.ArgumentParser()
arguments.add_argument("path")
arguments.add_argument("sites", type=int)
arguments.add_argument("--releases", type=int, default=50)
arguments.add_argument("--parts", type=int, default=1)
main(**vars(arguments.parse_args()))
