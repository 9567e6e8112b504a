import os

import redis
import rq
from dotenv import load_dotenv
from flask import Flask, request
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

load_dotenv(".env")
app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite:///app.db")
db = SQLAlchemy(app)
migrate = Migrate(app, db)
queue = rq.Queue("posts", connection=redis.from_url(os.environ.get("REDIS_URL", "redis://")))


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    body = db.Column(db.String(140))


def save(body):
    with app.app_context():
        db.session.add(Post(body=body))
        db.session.commit()


@app.get("/")
def index():
    return "".join("<p>%s</p>" % post.body for post in Post.query.all())


@app.post("/")
def post():
    queue.enqueue("app.save", request.form["body"])
    return "queued", 202


@app.cli.command()
def tidy():
    with app.app_context():
        print(Post.query.count(), "posts")
