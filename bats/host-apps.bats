#!/usr/bin/env bats
# Twenty applications of strangers, or ours of the same shape: what has to be written for them, and that they work, redeploy and keep their data.
# `make test-apps` runs it and prints the table.

# bats file_tags=slow

load helpers/box
load helpers/host
load helpers/apps

setup_file() {
    host_possible || return 0
    host_up
    host_set_up
    apps_set_up
}

teardown_file() {
    [ ! -e "$APPS_TABLE" ] || { printf '# %-13s site files app  live\n' name; sed 's/^/# /' "$APPS_TABLE"; } >&3
    host_down
}

setup() { host_or_skip; }

@test "Flask's tutorial" { try_app flaskr; }
@test "a blog with migrations, a queue, a worker and a cron command" { try_app microblog; }
@test "code too old for the host's Python is refused with its own words" { try_app realworld; }
@test "a pyproject.toml for tools only, gevent, a .env that stays at home" { try_app cookiecutter; }
@test "Isso, set up by a file of the secret set" { try_app isso; }
@test "Django with the admin's files" { try_app djangox; }
@test "Django with uploads that NGINX serves" { try_app bakery; }
@test "Django with a gunicorn.conf.py" { try_app heroku; }
@test "Django's tutorial, and its hosts forgotten" { try_app polls; }
@test "Datasette" { try_app datasette; }
@test "FastAPI's chat with a websocket" { try_app fastapi; }
@test "Flask's example of Celery" { try_app celery; }
@test "every kind of the original" { try_app garden; }
@test "what chill init makes" { try_app chill; }
@test "static pages" { try_app blog; }
@test "a manual by Sphinx" { try_app sphinx; }
@test "go-httpbin" { try_app httpbin; }
@test "dufs" { try_app dufs; }
@test "Express" { try_app express; }
@test "wheels with C inside" { try_app numeric; }
