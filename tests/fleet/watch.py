"""Within a host: asks for the site five times a second, and prints a JSON line each second: what was answered, how often, what failed, which release
is live and whether the site is drained. Ends with its standard input."""
import collections
import http.client
import json
import os
import re
import select
import sys
import time


def live():
    try:
        return re.sub(r'-\d+$', '', os.path.basename(os.readlink('/srv/chillbox/hello/current')))
    except OSError:
        return ''


def visit():
    connection = http.client.HTTPConnection('127.0.0.1', 80, timeout=10)
    try:
        connection.request('GET', '/', headers={'Host': 'hello.example', 'Connection': 'close'})
        answer = connection.getresponse()
        body = answer.read(200).decode('utf-8', 'replace').strip()
        return (body, None) if answer.status == 200 else (None, f'{answer.status} {body[:80]}')
    except (OSError, http.client.HTTPException) as error:
        return None, repr(error)
    finally:
        connection.close()


def main():
    deployed = False  # before that, NGINX answers with something else
    while not select.select([sys.stdin], [], [], 0)[0]:
        second = time.time()
        lives, good, failed = [live()], collections.Counter(), []
        for n in range(5):
            if deployed:
                begun = time.time()
                body, error = visit()
                if error:
                    failed.append({'at': round(begun, 3), 'error': error})
                else:
                    good[body] += 1
            lives.append(live())
            time.sleep(max(0, second + (n + 1) * 0.2 - time.time()))
        deployed = deployed or visit()[0] in filter(None, lives)
        print(json.dumps({'at': round(second, 3), 'live': list(dict.fromkeys(lives)), 'ok': good, 'failed': failed}), flush=True)


main()
