import os


def read_env(path=".env"):
    if os.path.exists(path):
        for line in open(path):
            name, _, value = line.strip().partition("=")
            os.environ.setdefault(name, value)
