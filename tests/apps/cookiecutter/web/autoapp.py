import os

from environs_like import read_env
from flask import Flask, send_from_directory

read_env()
app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]


@app.get("/")
def index():
    return '<link rel="stylesheet" href="/static/build/main_css.bundle.css">' + app.config["SECRET_KEY"][:3]
