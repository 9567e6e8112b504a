"""A Flask application as small as one can be that still has a secret and says which release answers."""

import os

from flask import Flask


def create_app():
    app = Flask(__name__)
    app.config.from_pyfile(os.environ["SECRETS_CONFIG"])

    @app.get("/")
    def index():
        return f"hello from {os.environ['VERSION']}\n"

    @app.get("/up")
    def up():
        return f"{os.environ['VERSION']}\n"

    @app.get("/whisper")
    def whisper():
        # Shows that the secret exists without showing it.
        return f"a secret of {len(app.config['WHISPER'])} characters\n"

    return app
