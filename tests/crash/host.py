"""The crash tests' host, seen from within the box as its operator and its visitors see it: verbs, webhooks, requests, and what must hold when
nothing is under way (`disagreements`). The site 'crash' has a service 'app' that answers "VERSION SECRET" and a folder 'page' with the same
version in a file. Standard library only."""
import base64
import hashlib
import hmac
import http.client
import json
import mmap
import os
import pathlib
import re
import socket
import sqlite3
import struct
import subprocess
import time

SITE, DOMAIN, PASSPHRASE = 'crash', 'crash.example', 'correct horse'
HOME = '/root/crash'
TARGET = '/srv/backups'  # of backups
STATE, RUN, SITES = '/var/lib/chillbox', '/run/chillbox', '/srv/chillbox'
TEMPORARY = re.compile(r'^\..+\.tmp\.[0-9a-f]{8}$')


class Failpoints:
    """The other side of failpoint.cpp."""
    PATH = '/run/failpoints'

    def __init__(self):
        with open(self.PATH, 'ab') as file:
            file.truncate(4096)
        with open(self.PATH, 'r+b') as file:
            self.memory = mmap.mmap(file.fileno(), 4096)

    def _get(self, at):
        return struct.unpack_from('<Q', self.memory, at * 8)[0]

    def _set(self, at, value):
        struct.pack_into('<Q', self.memory, at * 8, value)

    def arm(self, left, error=0):
        self._set(1, error)
        self._set(2, 0)
        self._set(0, left)

    def disarm(self):
        self._set(0, 0)
        return self._get(2)

    def struck(self):
        return self._get(0) == 0

    def name(self):
        return self.memory[32:544].split(b'\0')[0].decode()


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, **options)


def must(*argv, **options):
    done = run(*argv, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def listing(path):
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


# --- the operator

class Refused(Exception):
    """What the daemon answered instead of a result."""


def control(verb, secret=None, timeout=120.0, **args):
    """One exchange on the control socket; OSError when the daemon is not there or goes away."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(f'{RUN}/control.sock')
        for frame in [json.dumps({'v': 1, 'verb': verb, 'args': args}).encode()] + ([secret.encode()] if secret else []):
            s.sendall(struct.pack('<I', len(frame)) + frame)
        stream = s.makefile('rb')
        while True:
            head = stream.read(4)
            if len(head) < 4:
                raise ConnectionError('the daemon went away')
            body = stream.read(size := struct.unpack('<I', head)[0])
            if len(body) < size:
                raise ConnectionError('the daemon went away in the middle of a word')
            answer = json.loads(body)
            if 'result' in answer:
                return answer['result']
            if 'error' in answer:
                raise Refused(answer['error']['message'])


def wait_until(what, seconds, pause=0.005):
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f'not within {seconds} s: {getattr(what, "__name__", what)}')
        time.sleep(pause)


def answers():
    try:
        return control('ping', timeout=10)
    except (OSError, ValueError):
        return None


def unlock():
    def try_once():
        try:
            return control('unlock', PASSPHRASE)
        except (OSError, Refused):
            return None
    return wait_until(try_once, 300, 0.05)


def sql(query, *values):
    database = sqlite3.connect(f'file:{STATE}/state.db?mode=ro', uri=True, timeout=10)
    try:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, values)]
    finally:
        database.close()


def open_jobs():
    return sql('SELECT * FROM jobs WHERE open = 1 ORDER BY seq')


def idle():
    try:
        return not open_jobs() and control('status')  # its answer comes after what was written
    except OSError:
        return None  # it died behind the job's end


def wait_until_idle(seconds):
    """Until each job has ended; else what is open and what it said last."""
    try:
        wait_until(idle, seconds)
    except TimeoutError as error:
        said = [{**job, 'said': sql('SELECT step, kind, text FROM events WHERE job = ? ORDER BY number DESC LIMIT 5', job['seq'])} for job in open_jobs()]
        raise TimeoutError(f'{error}: open jobs: {json.dumps(said, indent=1)}') from None


def newest_job():
    return max((row['seq'] for row in sql('SELECT seq FROM jobs')), default=0)


def monitor():
    try:
        return int(read('/run/openrc/options/chillboxd/child_pid'))
    except (OSError, ValueError):
        return 0


def forget_restarts():
    """What is killed next is started again at once. The pauses of a crash loop have tests of their own (bats/host-attack-crash.bats)."""
    pathlib.Path('/run/chillbox/chillboxd.starts').unlink(missing_ok=True)


def alive(pid):
    try:
        return pid > 0 and ') Z' not in read(f'/proc/{pid}/stat')
    except OSError:
        return False


# --- the laptop and the visitors

def request(method, path, body=None, headers=None, host=DOMAIN, timeout=30.0):
    """(status, body as text); OSError when nobody answers."""
    connection = http.client.HTTPConnection('127.0.0.1', 80, timeout=timeout)
    try:
        connection.request(method, path, body, {'Host': host, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors='replace')
    finally:
        connection.close()


def announce(kind, identifier, **data):
    """A signed webhook; the same identifier and data are the same delivery."""
    body = json.dumps({'type': kind, 'timestamp': '2026-11-20T17:33:34Z', 'data': data}).encode()
    stamp = str(int(time.time()))
    key = base64.b64decode(read(f'{HOME}/hook.key').strip().removeprefix('whsec_'))
    mac = hmac.new(key, f'{identifier}.{stamp}.'.encode() + body, hashlib.sha256).digest()
    status, text = request('POST', '/v1/hooks', body, host='localhost', headers={
        'webhook-id': identifier, 'webhook-timestamp': stamp, 'webhook-signature': 'v1,' + base64.b64encode(mac).decode(),
        'content-type': 'application/json'})
    return status, json.loads(text) if text.startswith('{') else {}


class Artifact:
    """A packed release or secret set."""

    def __init__(self, kind, path, version=''):
        self.kind, self.path, self.version = kind, path, version
        with open(path, 'rb') as file:
            content = file.read()
        self.sha256, self.size = hashlib.sha256(content).hexdigest(), len(content)

    def announce(self, identifier):
        data = {'site': SITE, 'sha256': self.sha256, 'size': self.size}
        return announce(self.kind, identifier, **data, **({'version': self.version} if self.version else {}))

    def upload(self, answer):
        for name, path in (('signature', self.path + '.minisig'), ('artifact', self.path)):
            with open(path, 'rb') as file:
                status, _ = request('PUT', answer['links'][name], file.read(), host='localhost')
            if status not in (200, 201, 409):
                return status
        return 200

    def send(self, identifier, seconds=300):
        """As a careful sender does: again until it was taken. The job's id."""
        end = time.monotonic() + seconds
        while True:
            try:
                status, answer = self.announce(identifier)
                if status in (200, 202) and self.upload(answer) == 200:
                    return answer['job']
            except OSError:
                pass
            if time.monotonic() > end:
                raise TimeoutError(f'{self.path}: not taken within {seconds} s')
            time.sleep(0.05)


# What a release does to the data: afterwards they name it.
RELEASE_COMMAND = '"release_command": ["sh", "-c", "printf %s \\"$VERSION\\" >\\"$CHILLBOX_DATA_DIR/version\\""], '
DATA = f'/var/lib/{SITE}/app/version'


def site_json(version, domains, more='', service=''):
    return ('{"name": "Crash", "server_name": "%s", "version": "%s", "watch": "0s", "keep_releases": 3, "tls": {"redirect": false}, "domain_list": %s,%s "services": ['
            '{"name": "app", "lang": "x-crash", "secrets_config": "word", %s"health": {"deadline": "20s"}}, {"name": "page", "lang": "static"}]}'
            % (DOMAIN, version, json.dumps([DOMAIN, *domains]), more, service))


def next_serial():
    """Grows with each pack, in whatever process: hundredths of a second, and a pack takes longer than one."""
    return str(int(time.time() * 100))


class Laptop:
    def __init__(self):
        self.recipient = read(f'{STATE}/recipient.txt').strip()
        self.sign = ['-r', self.recipient, '-k', f'{HOME}/deployer.key', '-o', f'{HOME}/out']

    def pack(self, version, domains=(), more='', service=''):
        folder = f'{HOME}/{SITE}'
        subprocess.run(['rm', '-rf', folder], check=True)
        os.makedirs(f'{folder}/app')
        os.makedirs(f'{folder}/page')
        must('cp', f'{HOME}/site', f'{folder}/app/site')
        for path, text in ((f'{folder}/page/version', version), (f'{folder}/{SITE}.site.json', site_json(version, domains, more, service))):
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text + '\n')
        path = must('chillboxctl', 'pack', '-q', folder, *self.sign, '--serial', next_serial()).split()[-1]
        return Artifact('site.deploy', path, version)

    def pack_secrets(self, word):
        folder = f'{HOME}/secrets'
        os.makedirs(f'{folder}/app', exist_ok=True)
        with open(f'{folder}/app/word', 'w', encoding='utf-8') as file:
            file.write(word + '\n')
        return Artifact('secrets.update', must('chillboxctl', 'secrets', 'pack', '-q', folder, '-s', SITE, *self.sign, '--serial',
                                               next_serial()).split()[-1])


def visit():
    """(version, secret) as a visitor gets them, from one answer; None when nobody serves the site."""
    status, body = request('GET', '/app/')
    return tuple(body.split()) if status == 200 else (str(status), '')
