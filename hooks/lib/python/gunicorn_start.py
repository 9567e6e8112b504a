"""Starts gunicorn with gunicorn_defaults.py: APPLICATION OPTION... [APPLICATION]. The first is for where nothing else names one."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

import gunicorn_defaults  # noqa: F401
import gunicorn.config

sys.path[:] = [folder for folder in sys.path if folder != HERE]
if not sys.argv[1].startswith("-"):  # what an older chillboxd started, and is started again, has no first one
    application = sys.argv.pop(1)
    settings = [setting for setting in gunicorn.config.KNOWN_SETTINGS if setting.name == "wsgi_app"]
    for setting in settings:
        setting.default = application
    if not settings:  # before version 20.1: gunicorn takes the first that is named
        sys.argv.append(application)

from gunicorn.app.wsgiapp import run

run()
