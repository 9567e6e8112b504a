from collections import MutableMapping

from flask import Flask


class Settings(MutableMapping):
    pass


app = Flask(__name__)
