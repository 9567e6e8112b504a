"""The service's own site.cfg, overridden by what the host decides: where the database and the frozen files are, and where to listen.

Chill reads this file as its configuration, in the service's folder, once for each start.
"""
import glob
import os
import shutil

SQLITE_JOURNAL_MODE = "wal"  # Chill insists on one
CACHE_NO_NULL_WARNING = True
# Chill loads these again whenever it freezes or starts; its default would be chill-data.yaml alone.
CHILL_DATA = ",".join(sorted(glob.glob("chill-*.yaml")))

if os.path.exists("site.cfg"):
    with open("site.cfg", encoding="utf-8") as site_cfg:
        exec(compile(site_cfg.read(), "site.cfg", "exec"))

CHILL_DATABASE_URI = os.path.join(os.environ["CHILLBOX_BUILD_DIR"], "database")
FREEZER_DESTINATION = os.path.join(os.environ["CHILLBOX_BUILD_DIR"], "frozen")
# Dumped tables would be written into the service's folder, which must not change after the build.
CHILL_SQL_DUMP_TABLES = ""

if "CHILLBOX_SLOT" in os.environ:
    HOST, PORT = "127.0.0.1", 0  # not used: gunicorn uses the sockets that it was handed
    # The release stays as it was built: each slot gets a fresh copy of the database at each start.
    built, CHILL_DATABASE_URI = CHILL_DATABASE_URI, os.path.join(os.environ["CHILLBOX_DATA_DIR"], "chill." + os.environ["CHILLBOX_SLOT"])
    for ending in ("-wal", "-shm"):
        if os.path.exists(CHILL_DATABASE_URI + ending):
            os.remove(CHILL_DATABASE_URI + ending)
    shutil.copyfile(built, CHILL_DATABASE_URI)
    PROC_NAME = "{CHILLBOX_SITE}-{CHILLBOX_SERVICE}.{CHILLBOX_SLOT}".format(**os.environ)

for setting in ("WORKERS", "MAX_REQUESTS", "MAX_REQUESTS_JITTER"):
    if os.environ.get("CHILLBOX_" + setting):
        globals()[setting] = int(os.environ["CHILLBOX_" + setting])
