import os

from flask import Flask


def create_app():
    app = Flask(__name__, instance_path=os.environ["FLASK_INSTANCE_PATH"])
    app.config.from_pyfile(os.environ["SECRETS_CONFIG"])

    @app.get("/api/")
    def index():
        return "api %s on %s, process %d\n" % (os.environ["VERSION"], os.environ["API_PORT"], os.getpid())

    @app.get("/api/secret/")
    def secret():
        return "a secret of %d characters\n" % len(app.config["SECRET"])

    return app
