"""Other defaults of gunicorn's settings, for a service that NGINX passes requests to. Its configuration and options override them, as they
override gunicorn's own. gunicorn_start.py imports this; for the kind chill it is the first part of site.cfg."""
import os

import gunicorn.config

REQUEST_TIMEOUT = int(os.environ.get("CHILLBOX_REQUEST_TIMEOUT") or 120)
DEFAULTS = {
    "timeout": REQUEST_TIMEOUT,
    "graceful_timeout": int(os.environ.get("CHILLBOX_STOP_TIMEOUT") or REQUEST_TIMEOUT),
    "limit_request_line": 8190,
    "limit_request_field_size": 32760,
    "control_socket_disable": True,  # since version 25: it is in the home directory, which both slots would share
}
if "FORWARDED_ALLOW_IPS" not in os.environ:
    # Only NGINX and the site itself reach the socket, which has no address to believe, and NGINX replaces what visitors say of themselves.
    DEFAULTS["forwarded_allow_ips"] = "*"
if os.access("/dev/shm", os.W_OK):
    DEFAULTS["worker_tmp_dir"] = "/dev/shm"  # the workers' heartbeats are files, and on a disk each of them could block

for setting in gunicorn.config.KNOWN_SETTINGS:
    if setting.name in DEFAULTS:
        setting.default = DEFAULTS[setting.name]
