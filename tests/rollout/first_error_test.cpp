#include "rollout/first_error.hpp"

#include "catch.hpp"

using namespace chillbox::rollout;

TEST_CASE("[fault-286] the reason is the first line that says an error, not the last line of the output") {
  CHECK(
      reason_in("INFO  [alembic.runtime.migration] Context impl SQLiteImpl.\n"
                "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n"
                "    raise ValueError('Error: no')\nsqlite3.OperationalError: no such table: t\n\n"
                "The above exception was the direct cause of the following exception:\n"
                "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table\n") ==
      "sqlite3.OperationalError: no such table: t");
  CHECK(reason_in("npm ERR! x\nerror: no space\nnote: this is no problem of pip\n") ==
      "error: no space");
  CHECK(reason_in("fatal: not a git repository\nbye\n") == "fatal: not a git repository");
  CHECK(reason_in("[2026-11-28] [ERROR] Exception in worker process\nx\n") ==
      "[2026-11-28] [ERROR] Exception in worker process");
  CHECK(reason_in("[ERROR] Exception in worker process\nTraceback:\n  File \"x: Error: y\"\n"
                  "ModuleNotFoundError: No module named 'x'\n[ERROR] Worker failed to boot.\n") ==
      "ModuleNotFoundError: No module named 'x'");
}

TEST_CASE("[fault-1236] the reason is what gunicorn could not load, not how its worker ended") {
  CHECK(first_error("[2026-12-01] [1388] [INFO] Booting worker with pid: 1388\n"
                    "Failed to find attribute 'create_app' in 'shop_web.app'.\n"
                    "[2026-12-01] [1388] [INFO] Worker exiting (pid: 1388)\n"
                    "[2026-12-01] [1385] [ERROR] Worker (pid:1388) exited with code 4.\n"
                    "[2026-12-01] [1385] [ERROR] Shutting down: Master\n"
                    "[2026-12-01] [1385] [ERROR] Reason: App failed to load.\n") ==
      "Failed to find attribute 'create_app' in 'shop_web.app'.");
  CHECK(first_error("[1385] [ERROR] Worker (pid:1388) exited with code 3.\n") ==
      "[1385] [ERROR] Worker (pid:1388) exited with code 3.");
  CHECK(first_error("Failed to warm the cache, going on without\n[ERROR] no database\n") ==
      "[ERROR] no database");
}

TEST_CASE("[fault-1154] a reason that ends with a colon is said with what it announces") {
  CHECK(
      first_error(
          "Error: class uri 'gevent' invalid or not found: \n\n[Traceback (most recent call last):\n"
          "  File \"util.py\", line 1\nRuntimeError: gevent worker requires gevent 24.10.1 or higher\n]\n") ==
      "Error: class uri 'gevent' invalid or not found: RuntimeError: gevent worker requires gevent 24.10.1 or higher");
  CHECK(first_error("error: these are missing:\n\n    one\n") == "error: these are missing: one");
  CHECK(first_error("error: nothing follows:\n") == "error: nothing follows: ");
}

TEST_CASE("without such a line it says that this is only the last one; without any, nothing") {
  CHECK(reason_in("INFO [alembic] Will assume non-transactional DDL.\n") ==
      "its last line: INFO [alembic] Will assume non-transactional DDL.");
  CHECK(reason_in("column exists\n\n") == "its last line: column exists");
  CHECK(reason_in(" \n\n").empty());
  CHECK(reason_in("").empty());
  CHECK(first_error("all is well\n").empty());
}
