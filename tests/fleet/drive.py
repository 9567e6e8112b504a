"""Rollouts, local changes and forgeries in a fleet of three hosts, while faults.py is at work: drive.py SECONDS SEED HISTORY. All that was done and seen
is in the history, which judge.py judges."""
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

import faults
import fleet

DEADLINE_S = 60
JOB = ('id', 'version', 'sha256', 'actor', 'state', 'release', 'created_ms', 'started_ms', 'finished_ms', 'message')


class Watch(threading.Thread):
    """What watch.py prints in a host goes into the history."""

    def __init__(self, name, history):
        super().__init__(daemon=True)
        self.name_of, self.history, self.live = name, history, ''
        self.program = subprocess.Popen([f'{fleet.TOP}/tests/host/box', 'run', fleet.WATCHED[fleet.HOSTS.index(name)], '-i', '--', 'python3', '-I', '/root/watch.py'],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def run(self):
        for line in self.program.stdout:
            seen = json.loads(line)
            self.live = seen['live'][-1]
            self.history.note('seen', host=self.name_of, second=seen['at'], live=seen['live'], ok=seen['ok'], failed=seen['failed'])

    def end(self):
        self.program.stdin.close()
        self.join(15)


class Forger(threading.Thread):
    """Puts reports into the engine that no host has signed, of hosts that are in the order and of one that is not; the real one comes back."""

    def __init__(self, seed, history, stop):
        super().__init__(daemon=True)
        self.random, self.history, self.stop, self.number = random.Random(seed), history, stop, 0

    def run(self):
        while not self.stop.wait(self.random.uniform(2, 8)):
            order = fleet.value_of('orders/hello')
            if order:
                self.forge(f"reports/hello/{order.split(chr(10), 1)[0]}/")

    def forge(self, prefix):
        how, name = self.random.choice(('unsigned', 'of another text', 'broken')), self.random.choice((*fleet.HOSTS, 'web9'))
        reports = {host: fleet.value_of(prefix + host) for host in (*fleet.HOSTS, 'web9')}
        there, model = reports[name], reports[name] or next(filter(None, reports.values()), None)
        if there is None or not model:
            return
        self.number += 1
        signed, words = json.loads(model), f'forged {self.number}'
        report = json.loads(signed['report'])
        report |= {'host': name, 'state': self.random.choice(('failed', 'done', 'stuck')), 'seq': report['seq'] + 50, 'message': words}
        signature = {'unsigned': '', 'of another text': signed['signature'], 'broken': signed['signature'][::-1]}[how]
        forged = json.dumps({'report': json.dumps(report, separators=(',', ':')), 'signature': signature}, separators=(',', ':'))
        revision = fleet.put(prefix + name, forged)
        time.sleep(1)
        shown = [host for host in fleet.HOSTS if words in json.dumps(fleet.ctl_json(host, 'rollout', 'reports', 'hello'))]
        self.history.note('forged', what='report', how=how, key=prefix + name, rev=revision, value=forged, shown=shown)
        faults.wait_until(lambda: fleet.replace(prefix + name, forged, there), 60)


class Operator:
    def __init__(self, seed, history):
        self.random, self.history, self.number, self.operations = random.Random(seed), history, 0, 0
        self.replayed, self.staging = [], threading.Event()

    def version(self, kind):
        self.number += 1
        version = f'1.{self.number}.0'
        path = f'{fleet.LAPTOP}/hello/hello.site.json'
        with open(path, encoding='utf-8') as file:
            site = json.load(file)
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(site | {'version': version}, file)
        self.history.note('version', version=version, how=kind)
        return version

    def rules(self, **rules):
        with open(f'{fleet.LAPTOP}/hello/chillbox.toml', 'w', encoding='utf-8') as file:
            file.write('host = ["web1", "web2", "web3"]\n[rollout]\nby = "hosts"\n')
            file.writelines(f'{key} = {json.dumps(value)}\n' for key, value in rules.items())

    def lives(self):
        """What is live on each host, by its own disk."""
        return {name: re.sub(r'-\d+$', '', os.path.basename(fleet.host(name, 'readlink', '/srv/chillbox/hello/current')[1].strip())) for name in fleet.HOSTS}

    def bad(self, name, version):
        fleet.host(name, 'sh', '-c', 'mkdir -p /var/lib/hello/api && echo "$1" >/var/lib/hello/api/bad && chmod 644 /var/lib/hello/api/bad', 'sh', version)

    def over(self, version, seconds):
        """Until nobody does any more of this version's order."""
        def ended():
            for name in fleet.HOSTS:
                told = fleet.ctl_json(name, 'rollout', 'reports', 'hello')
                if told and told['rollouts'] and told['rollouts'][0]['version'] == version:
                    states = [one['state'] for one in told['rollouts'][0]['hosts']]
                    return told['rollouts'][0].get('ended') or not {'begun', 'live', 'failed'} & set(states) and told['rollouts'][0].get('stop')
            return False
        return faults.wait_until(ended, seconds)

    def forget(self):
        """The laptop's note of a rollout that it does not follow any more."""
        path = f'{os.environ["LAPTOP_HOME"]}/state/chillbox/rollouts/hello.json'
        if os.path.exists(path):
            os.unlink(path)

    def run(self, seconds):
        """rollout run; while it stages by ssh, staging is set."""
        self.staging.set()
        lines = []
        with subprocess.Popen([f'{fleet.TOP}/tests/host/box', 'net', fleet.WATCHED[0], '--', 'chillboxctl', 'rollout', 'run', '-y'], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', env=fleet.laptop_env(), cwd=f'{fleet.LAPTOP}/hello') as program:
            killed = []
            late = threading.Timer(seconds, lambda: killed.append(1) or program.kill())
            late.start()
            for line in program.stdout:
                lines.append(line)
                if line.startswith('ordered'):
                    self.staging.clear()
            late.cancel()
        self.staging.clear()
        return 124 if killed else program.returncode, ''.join(lines)

    def rollout(self, variant):
        self.forget()
        version = self.version('rollout')
        on_failure, drain = self.random.choice(('stop', 'rollback')), self.random.choice(('0s', '1s'))
        rules = {'batch': self.random.choice((1, 2)), 'bake': self.random.choice(('0s', '2s')), 'on_failure': on_failure, 'drain': drain, 'deadline': f'{DEADLINE_S}s'}
        self.rules(**rules)
        bad = {'canary': 'web1', 'third': 'web3'}.get(variant)
        if bad:
            self.bad(bad, version)
        stop_after, killed_after = self.random.uniform(3, 10), self.random.uniform(3, 8)
        before, begun = self.lives(), time.time()
        self.history.note('begin', op='rollout', variant=variant, version=version, bad=bad, rules=rules, lives=before)
        stopping = threading.Timer(stop_after, lambda: self.history.note('stop', version=version, exit=fleet.on_laptop('chillboxctl', 'rollout', 'stop')[0]))
        if variant == 'stopped':
            stopping.start()
        code, said = self.run(killed_after if variant == 'laptop' else DEADLINE_S + 90)
        if variant == 'stopped':
            stopping.join()
        over = self.over(version, DEADLINE_S + 20 if code in (9, 10, 11, 0, 124) else 3)
        self.history.note('end', op='rollout', variant=variant, version=version, exit=code, over=over, lives=self.lives(), took_s=round(time.time() - begun, 1),
                          rules=rules, before=before, said=said[-600:])
        if variant in ('stopped', 'laptop') and self.random.random() < 0.5:
            before = self.lives()
            code, said = fleet.on_laptop('chillboxctl', 'rollout', 'resume', seconds=DEADLINE_S + 90)
            over = self.over(version, DEADLINE_S + 20)
            self.history.note('end', op='resume', version=version, exit=code, over=over, lives=self.lives(), rules=rules, before=before, said=said[-600:])
        return code

    def local_deploy(self):
        name, version = self.random.choice(fleet.HOSTS), self.version('deploy')
        self.rules()
        self.history.note('begin', op='deploy', host=name, version=version)
        code, said = fleet.on_laptop('chillboxctl', 'deploy', '-H', name, '-y', seconds=90)
        self.history.note('end', op='deploy', host=name, version=version, exit=code, said=said[-300:])

    def local_rollback(self):
        name = self.random.choice(fleet.HOSTS)
        self.history.note('begin', op='rollback', host=name)
        code, said = fleet.host(name, 'chillboxctl', 'rollback', 'hello', '-y', seconds=60)
        self.history.note('end', op='rollback', host=name, exit=code, said=said[-300:])

    def drain(self):
        name = self.random.choice(fleet.HOSTS)
        code, _ = fleet.host(name, 'chillboxctl', 'drain', 'hello')
        self.history.note('drain', host=name, exit=code)
        time.sleep(self.random.uniform(1, 4))
        code, _ = fleet.host(name, 'chillboxctl', 'undrain', 'hello')
        self.history.note('undrain', host=name, exit=code)

    def forge(self):
        """The owner of the engine: an edited order, an old one. What was there is put back."""
        key, kind = 'orders/hello', self.random.choice(('edited', 'replayed'))
        order = fleet.value_of(key)
        if not order:
            return
        if order not in self.replayed:
            self.replayed.append(order)
        forged = self.replayed[0] if kind == 'replayed' else re.sub(r'("version\\*":\\*")[^"\\]*', r'\g<1>66.6.6', re.sub(r'^\d+', f'{99:020}', order))
        if forged == order:
            return
        revision = fleet.put(key, forged)
        self.history.note('forged', what=kind, key=key, rev=revision, value=forged)
        time.sleep(2)
        put_back = faults.wait_until(lambda: fleet.put(key, order), 30)
        self.history.note('put back', key=key, done=put_back)

    def once(self):
        deck = ['good', 'good', 'good', 'canary', 'third', 'stopped', 'laptop', 'deploy', 'rollback', 'drain', 'forge', 'forge']
        what = self.random.choice(deck)
        self.operations += 1
        if what in ('good', 'canary', 'third', 'stopped', 'laptop'):
            self.rollout(what)
        else:
            {'deploy': self.local_deploy, 'rollback': self.local_rollback, 'drain': self.drain, 'forge': self.forge}[what]()


def views(history):
    """Whether what each host shows is what the engine has, and after how many seconds."""
    begun = time.monotonic()
    waiting = set(fleet.HOSTS)
    while waiting and time.monotonic() - begun < 30:
        order = fleet.value_of('orders/hello') or ''
        serial = order.split('\n', 1)[0]
        reports = {}
        for name in fleet.HOSTS:
            value = fleet.value_of(f'reports/hello/{serial}/{name}')
            reports[name] = json.loads(json.loads(value)['report'])['state'] if value else 'waiting'
        for name in sorted(waiting):
            told = fleet.ctl_json(name, 'rollout', 'reports', 'hello')
            shown = {one['host']: one['state'] for one in told['rollouts'][0]['hosts']} if told and told['rollouts'] else {}
            if shown == reports and told['rollouts'][0]['serial'] == int(serial or 0):
                history.note('view', host=name, equal=True, after_s=round(time.monotonic() - begun, 2))
                waiting.discard(name)
            else:
                last = {'shown': shown, 'engine': reports}
    for name in sorted(waiting):
        history.note('view', host=name, equal=False, after_s=round(time.monotonic() - begun, 2), **last)


def switches(name):
    """(processes of the courier, how often they waited for something until now)"""
    _, said = fleet.host(name, 'sh', '-c', 'pids=$(pgrep -f "^chillboxd: (courier|dialer)") && echo $pids && for pid in $pids; do cat /proc/$pid/task/*/status; done')
    pids, _, statuses = said.partition('\n')
    return pids, sum(int(line.split()[1]) for line in statuses.splitlines() if line.startswith('voluntary_ctxt'))


def idle(history):
    """Whether couriers wake while nothing is asked of them: between two minutes, in which entries of the crontab are due."""
    while not 20 <= time.time() % 60 < 25:
        time.sleep(0.5)
    before = {name: switches(name) for name in fleet.HOSTS}
    begun = time.monotonic()
    time.sleep(30)
    for name in fleet.HOSTS:
        pids, count = switches(name)
        history.note('idle', host=name, seconds=round(time.monotonic() - begun, 1), switches=count - before[name][1], same=pids == before[name][0] != '')


def collect(history):
    """What hosts and the engine know of all that was."""
    events = fleet.all_events()
    for event in events:
        history.note('engine', **event)
    for name in fleet.HOSTS:
        for job in (fleet.ctl_json(name, 'jobs', 'hello', '-n', '1000') or {'jobs': []})['jobs']:
            history.note('job', host=name, what=job['kind'], **{key: job.get(key) for key in JOB})
        for line in fleet.host(name, 'sh', '-c', 'cat /var/lib/hello/api/ran 2>/dev/null')[1].splitlines():
            entry, run, fence, at = (line.split() + [''] * 4)[:4]
            history.note('ran', host=name, entry=entry, run=run, fence=int(fence or 0), started=float(at or 0))
        runs = (fleet.ctl_json(name, 'cron', 'history', 'hello') or {'runs': []})['runs']
        history.note('cron', host=name, **{state: sum(run['state'] == state for run in runs) for state in ('done', 'failed', 'lost', 'skipped')})
    secrets = {'passphrase': os.environ['PASSPHRASE']}
    for what, path in {'password of etcd': 'engine/host/password', 'webhook key': 'hook.key', 'deployer': 'me/deployer.key'}.items():
        with open(f'{fleet.LAPTOP}/{path}', encoding='utf-8') as file:
            secrets[what] = file.read().strip().splitlines()[-1]
    secrets['age'] = 'AGE-SECRET-KEY'
    values = [event['key'] + (event['value'] or '') for event in events]
    history.note('secrets', scanned=len(values), found=[what for what, secret in secrets.items() if any(secret in value for value in values)])


def main():
    seconds, seed, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    history = fleet.History(path)
    history.note('start', seed=seed, seconds=seconds, hosts=fleet.HOSTS, max_unavailable=1, entries=int(os.environ['ENTRIES']), deadline_s=DEADLINE_S)
    watches = [Watch(name, history) for name in fleet.HOSTS]
    for watch in watches:
        watch.start()
    operator = Operator(seed, history)
    code = operator.rollout('good')
    history.note('first', exit=code)
    stop, taken = threading.Event(), {'lock': threading.Lock()}
    threads = [Forger(seed, history, stop), *(faults.Faults(seed + 1000 * n, history, taken, stop, operator.staging) for n in (1, 2))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        operator.once()
        time.sleep(operator.random.uniform(0, 2))
    stop.set()
    for thread in threads:
        thread.join(120)
    faults.heal(history)
    views(history)
    history.note('last', exit=operator.rollout('good'), lives=operator.lives())
    free = faults.wait_until(lambda: fleet.value_of('slots/hello/0') == '', 10)
    history.note('left', slots=[] if free else [fleet.value_of('slots/hello/0')])
    idle(history)
    for watch in watches:
        watch.end()
    collect(history)
    history.note('complete', operations=operator.operations)


main()
