"""Packs this version of the site and sends it; returns when it is taken. usage: send.py VERSION"""
import sys

import host

host.Laptop().pack(sys.argv[1], ['d0.example']).send(f'send-{sys.argv[1]}')
