import os

import lxml.etree
import numpy
import psycopg
from flask import Flask, request
from PIL import Image

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def index():
    path = os.path.join(os.environ["CHILLBOX_DATA_DIR"], "last.png")
    if request.method == "POST":
        Image.fromarray(numpy.full((4, 6, 3), 200, dtype="uint8")).save(path)
    size = Image.open(path).size if os.path.exists(path) else None
    return "%s %s %s" % (size, lxml.etree.fromstring("<a>b</a>").text, psycopg.__name__)
