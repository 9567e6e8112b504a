"""Fails when a statement of agent/store reads more because more is kept: each is asked for its plan by SQLite, on the schema that the migrations make.

SQL is only ever a literal there (store/sql.hpp), so the sources have all of it: a new statement is looked at without being named anywhere. A plan may
search by an index. What it may scan or sort is listed here, with the reason why it stays small. plans.py [DIR of the sources]"""
import glob
import os
import re
import sqlite3
import sys

# As many as there are sites, people, targets or rules, whatever was done with them.
FEW = {"sites", "hosts", "holds", "counters", "totals", "secret_sets", "assets", "certificates", "unlock_failures", "outbox_targets",
       "CONSTANT", "sqlite_sequence", "sqlite_master", "sqlite_schema"}
# Partial indexes: of what is open, or still needed.
OPEN = {"jobs_open", "jobs_open_source", "cron_runs_open", "notices_open", "notices_tell", "outbox_open", "releases_needed", "releases_kept"}
# Forgotten soon, and looked at by the hour, when a notice is sent, or on request.
BOUNDED = {
    "notices": "as many are kept as may be open",
    "outbox": "what was sent goes after two days, what could not be after a month",
    "hours": "a site's newest week of hours",
    "certificate_orders": "eight days of them, of which a CA allows few",
    "withdrawn": "a person withdraws each",
    "found": "as many as there are senders",
}
# Sorted in memory, by what comes first in the statement.
SORTED = {
    "SELECT id FROM releases WHERE site = ?1 AND state IN ('good', 'unproven')": "releases of one site that are kept to go back to",
    "SELECT site, sha256, serial, signer, signer_key, kept_by FROM used_sets WHERE site = ?1": "secret sets of one site's kept releases",
    "SELECT site, sha256, version, serial, actor, why, time_ms FROM withdrawn": "a person withdraws each",
    "SELECT site FROM sites UNION": "sites",
    "WITH RECURSIVE found(source)": "senders",
    "SELECT name, file, disabled, error, sent_ms FROM outbox_targets UNION": "targets",
    "SELECT rank, count(*) FROM notices WHERE state = 'open'": "open notices",
    "DELETE FROM notices WHERE number = (SELECT number FROM notices WHERE state = 'open'": "open notices",
    "SELECT number, event, site, subject, state, text, first_ms, last_ms, count FROM notices ORDER BY": "notices, of which few are kept",
    "DELETE FROM outbox_notices WHERE message = ?1": "notices of one message",
    "SELECT number, event, site, subject, state, text, first_ms, last_ms, count, what FROM outbox_notices": "notices of one message",
    "SELECT id, kind, site, version, sha256, size, service, actor, options, state, step,": "jobs that have not ended",
}

STRING = r'"(?:[^"\\]|\\.)*"'


def text_of(words, macros):
    return "".join(word[1:-1] if word.startswith('"') else macros[word] for word in words)


def literals(source):
    """Each literal with its line; neighbours and macros of literals are one, as the compiler sees them."""
    source = re.sub(r"(?<!:)//[^\n]*", "", source)
    define = re.compile(r"#define (\w+)((?:\\\n|[^\n])*)")
    macros = {m[1]: text_of(re.findall(STRING, m[2]), {}) for m in define.finditer(source) if re.search(STRING, m[2])}
    source = define.sub(lambda m: "\n" * m[0].count("\n"), source)
    word = "|".join([STRING, *(rf"\b{name}\b" for name in macros)])
    for m in re.finditer(rf"(?:{word})(?:\s*(?:{word}))*", source):
        yield source.count("\n", 0, m.start()) + 1, text_of(re.findall(word, m[0]), macros)


def schema(directory):
    """A database with all steps of migrations.cpp, in their order."""
    text = "".join(open(f"{directory}/{name}", encoding="utf-8").read() for name in ("migrations_seen.hpp", "hours.hpp", "migrations.cpp"))
    steps = dict(re.findall(r'string_view (k_\w+) = R"sql\((.*?)\)sql"', text, re.S))
    steps.update((name, words[1:-1]) for name, words in re.findall(rf"string_view (k_\w+) = ({STRING});", text))
    db = sqlite3.connect(":memory:")
    for name in re.findall(r"k_\w+", text[text.index("std::array k_steps") + len("std::array k_steps"):text.index("migrations() {")]):
        db.executescript(steps[name])
    return db


def plan(db, sql):
    arguments = [None] * max([int(n) for n in re.findall(r"\?(\d+)", sql)] or [0])
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, arguments)]


def complaint(sql, step):
    if "TEMP B-TREE" in step:
        return not any(sql.startswith(known) for known in SORTED)
    scanned = re.match(r"SCAN (?:TABLE )?(\w+)(?: (?:AS \w+ )?USING (?:COVERING )?INDEX (\w+))?", step)
    if not scanned:
        return False
    table, index = scanned.groups()
    aliases = dict((alias, name) for name, alias in re.findall(r"(?:FROM|JOIN) (\w+) (?:AS )?(\w)\b", sql))
    table = aliases.get(table, table)
    if table in FEW or table in BOUNDED or index in OPEN:
        return False
    return not re.search(r" ORDER BY (\w+\.)?(seq|number|id) DESC LIMIT (\?\d+|1)$", sql) # the newest, by the key


def main(directory="agent/store"):
    db = schema(directory)
    bad = count = 0
    for path in sorted(glob.glob(f"{directory}/*.[ch]pp")):
        if os.path.basename(path).startswith("migrations"):
            continue
        with open(path, encoding="utf-8") as source:
            for line, sql in literals(source.read()):
                if not re.match(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\b", sql):
                    continue
                count += 1
                for step in plan(db, sql):
                    if complaint(sql, step):
                        bad += 1
                        print(f"{path}:{line}: {step}: {sql}")
    print(f"{count} statements, {bad} that read more because more is kept" + (": give them an index, or a reason here" if bad else ""))
    sys.exit(bad > 0 or count < 100)


main(*sys.argv[1:])
