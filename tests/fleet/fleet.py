"""Hosts, members of the engine and the laptop as the driver sees them, and the history that all of it is written to."""
import base64
import json
import os
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAPTOP = os.environ['LAPTOP']
WATCHED = os.environ['WATCHED'].split()
HOSTS = [f'web{n}' for n in range(1, len(WATCHED) + 1)]
MEMBERS = (1, 2, 3)
PREFIX = '/chillbox/shop/'


class History:
    def __init__(self, path):
        self.file, self.lock = open(path, 'w', encoding='utf-8'), threading.Lock()

    def note(self, kind, **fields):
        fields = {'at': round(time.time(), 3), 'kind': kind, **fields}
        with self.lock:
            self.file.write(json.dumps(fields) + '\n')
            self.file.flush()
        return fields['at']


def call(argv, seconds=60, text=None, env=None, cwd=None, errors=subprocess.STDOUT):
    """(exit code, output); 124 if it took longer."""
    try:
        done = subprocess.run(argv, input=text, stdin=subprocess.DEVNULL if text is None else None, stdout=subprocess.PIPE, stderr=errors,
                              timeout=seconds, env=env, cwd=cwd, text=True, errors='replace', check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        return 124, (late.stdout or b'').decode('utf-8', 'replace')


def box(*argv, **options):
    return call([f'{TOP}/tests/host/box', *argv], **options)


def host(name, *argv, **options):
    return box('run', WATCHED[HOSTS.index(name)], '--', *argv, **options)


def ctl_json(name, *argv):
    code, output = host(name, 'chillboxctl', *argv, '--json', seconds=20)
    try:
        return json.loads(output) if code == 0 else None
    except ValueError:
        return None


def laptop_env():
    home = os.environ['LAPTOP_HOME']
    env = {key: value for key, value in os.environ.items() if key not in ('SSH_AUTH_SOCK', 'CHILLBOX_HOST', 'CI')}
    return env | {'HOME': home, 'XDG_CONFIG_HOME': f'{home}/config', 'XDG_CACHE_HOME': f'{home}/cache', 'XDG_STATE_HOME': f'{home}/state',
                  'XDG_RUNTIME_DIR': f'{home}/run', 'TERM': 'xterm', 'PATH': f'{LAPTOP}/bin:{os.environ["PATH"]}'}


def on_laptop(*argv, seconds=60):
    return box('net', WATCHED[0], '--', *argv, seconds=seconds, env=laptop_env(), cwd=f'{LAPTOP}/hello')


def unlock(name, seconds=40):
    end = time.monotonic() + seconds
    while True:
        code, output = box('run', WATCHED[HOSTS.index(name)], '-i', '--', 'sh', '-c', 'exec 3<&0 </dev/null; exec chillboxctl unlock --passphrase-fd 3',
                           text=os.environ['PASSPHRASE'] + '\n', seconds=30)
        if code == 0 or time.monotonic() > end:
            return code == 0, output
        time.sleep(0.5)


def address(member):
    return f'10.77.0.1{member}'


def member_dir(member):
    return f'{LAPTOP}/members/{address(member)}'


def member(verb, number, *argv):
    return call([f'{TOP}/tests/host/member', verb, member_dir(number), *argv], seconds=30)


def is_running(number):
    try:
        with open(f'{member_dir(number)}/pid', encoding='utf-8') as file:
            pid = file.read().strip()
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


def link(what, state):
    return box('net', WATCHED[0], '--', 'ip', 'link', 'set', what, state)


def etcdctl_argv(members, *argv):
    engine = f'{LAPTOP}/engine'
    with open(f'{engine}/root.password', encoding='utf-8') as file:
        password = file.read().strip()
    return [f'{TOP}/tests/host/box', 'net', WATCHED[0], '--', 'env', 'ETCDCTL_API=3', f'{os.environ["ETCD"]}/usr/bin/etcdctl',
            '--endpoints', ','.join(f'https://{address(n)}:2379' for n in members), '--cacert', f'{engine}/ca.crt', '--cert', f'{engine}/host/host.crt',
            '--key', f'{engine}/host/host.key', '--user', f'root:{password}', *argv]


def etcdctl(*argv, seconds=8, members=MEMBERS, text=None):
    return call(etcdctl_argv(members, '--command-timeout', f'{seconds}s', *argv), seconds=seconds + 4, errors=subprocess.DEVNULL, text=text)


def answers(number):
    return etcdctl('endpoint', 'health', seconds=3, members=(number,))[0] == 0


def value_of(key):
    code, output = etcdctl('get', '--print-value-only', PREFIX + key)
    return output.rstrip('\n') if code == 0 else None


def put(key, value):
    """The revision, None: it was not to be had."""
    code, output = etcdctl('put', PREFIX + key, value, '-w', 'json')
    try:
        return json.loads(output)['header']['revision'] if code == 0 else None
    except (ValueError, KeyError):
        return None


def replace(key, old, new):
    """Whether the key has not that old value any more; new '': none. What a host writes meanwhile stays."""
    code, output = etcdctl('get', PREFIX + key, '-w', 'json')
    try:
        found = json.loads(output).get('kvs', []) if code == 0 else None
    except ValueError:
        found = None
    if found is None:
        return False
    if not found or base64.b64decode(found[0].get('value', '')).decode('utf-8', 'replace') != old:
        return True
    change = f'put {PREFIX}{key} {json.dumps(new)}' if new else f'del {PREFIX}{key}'
    return etcdctl('txn', text=f'mod("{PREFIX}{key}") = "{found[0]["mod_revision"]}"\n\n{change}\n\n\n')[0] == 0


def all_events():
    """Everything that was ever written to the engine, oldest first."""
    last, events, newest = put('fleet/end-of-history', 'x'), [], 0
    argv = ['timeout', '60', *etcdctl_argv((1,), 'watch', '--prefix', PREFIX, '--rev', '1', '-w', 'json')]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as watch:
        while newest < last:
            line = watch.stdout.readline()
            if not line:
                raise RuntimeError('the engine does not show its history')
            for event in json.loads(line).get('Events') or []:
                pair = event['kv']
                newest = max(newest, pair['mod_revision'])
                gone = event.get('type') in (1, 'DELETE')
                events.append({'rev': pair['mod_revision'], 'key': base64.b64decode(pair['key']).decode()[len(PREFIX):],
                               'value': None if gone else base64.b64decode(pair.get('value', '')).decode('utf-8', 'replace')})
        watch.terminate()
    return sorted(events, key=lambda event: event['rev'])
