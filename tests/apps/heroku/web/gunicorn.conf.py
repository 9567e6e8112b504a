import os

reuse_port = True
workers = 2
timeout = 20
