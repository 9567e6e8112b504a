"""Puts into a database of chillboxd, which is stopped, as much history as it keeps: fill.py STATE.DB SITES.

10,000 jobs with 37 events each, 100,000 audit entries with the right chain, 200,000 deliveries, 50 removed releases of each site."""
import hashlib
import sqlite3
import sys


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


def main(path, sites):
    db = sqlite3.connect(path)
    db.execute("PRAGMA foreign_keys = OFF")
    source = "bench"
    first = db.execute("SELECT max(seq) FROM jobs").fetchone()[0] + 1
    copies(db, "jobs", "kind = 'deploy'", lambda i: {"seq": first + i, "id": f"job{i}", "source": source, "number": i + 1, "site": f"site{i % sites + 1}",
                                                     "sha256": hashlib.sha256(b"%d" % i).hexdigest()}, 10000)
    db.executemany("INSERT INTO events VALUES(?, ?, ?, 'stage', 'info', ?)", ((first + i, n, i, "unpacked 3 files, 1.2 KB") for i in range(10000) for n in range(1, 38)))
    copies(db, "deliveries", "true", lambda i: {"sender": source, "number": i + 1, "id": f"msg{i}", "body": hashlib.sha256(b"%d" % i).hexdigest()}, 200000)
    db.executemany("INSERT INTO audit VALUES(?, ?, ?, ?, ?, ?, ?, ?)", audit(db, 100000))
    first = db.execute("SELECT max(seq) FROM releases").fetchone()[0] + 1
    for site in range(1, sites + 1):
        copies(db, "releases", f"site = 'site{site}'", lambda i: {"seq": first + site * 100 + i, "id": f"old-{i}", "state": "removed", "sha256": f"{site}-{i}"}, 50)
    db.commit()


main(sys.argv[1], int(sys.argv[2]))
