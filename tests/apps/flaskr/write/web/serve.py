import os
from flask import Flask
Flask.auto_find_instance_path = lambda app: os.environ["CHILLBOX_DATA_DIR"]
from flaskr import create_app
