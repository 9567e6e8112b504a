import os

from flask import Flask


def create_app():
    app = Flask(__name__)

    @app.get("/")
    def index():
        return "Hello from @SITE@ %s\n" % os.environ.get("VERSION", "at home")

    # The host asks here before it lets visitors in.
    @app.get("/up")
    def up():
        return "ok\n"

    return app
