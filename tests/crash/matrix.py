"""kill -9 of chillboxd before each of its changes of files and each start of a program, in each kind of job: after the restart all is as before the
job or as behind it, and the job ends. Before a change is the same moment as behind the one before it.
usage: matrix.py [--every N] [--first N] [--seed N] [--kinds deploy,rollback,secrets,run,snapshot,data,backup,restore,remove]"""
import argparse
import collections
import random
import threading
import time

import host
from invariants import disagreements


class Visitor(threading.Thread):
    """Asks for the site all the time; what is not one of the two allowed answers is a wrong one."""

    def __init__(self):
        super().__init__(daemon=True)
        self.allowed, self.wrong, self.asked, self.stopping = set(), [], 0, False

    def run(self):
        while not self.stopping:
            allowed = self.allowed
            if allowed:
                try:
                    got = host.visit()
                except OSError as error:
                    got = (str(error), '')
                self.asked += 1
                if got not in allowed and allowed is self.allowed:
                    self.wrong.append(f'a visitor got {got}, not one of {sorted(allowed)}')
            time.sleep(0.02)


class Matrix:
    def __init__(self):
        self.points, self.laptop = host.Failpoints(), host.Laptop()
        self.visitor, self.mounts = Visitor(), sorted(host.read('/proc/mounts').splitlines())
        self.live, self.number, self.cases, self.ready = host.visit(), 0, 0, []
        self.backups, self.data = [], None  # [(version of the data, serial)]; what the data must be
        self.findings, self.names, self.run_id = [], collections.Counter(), f'm{int(time.time())}'
        self.visitor.start()

    # One job of each kind: a function that asks for it, and what is live behind it.
    def job(self, kind):
        self.number += 1
        number = self.number
        if kind == 'deploy':
            artifact = self.laptop.pack(f'2.{int(time.time()) % 100000}.{number}', [f'd{number % 2}.example'])
            return lambda: artifact.send(f'{self.run_id}-{number}'), (artifact.version, self.live[1])
        if kind == 'secrets':
            artifact = self.laptop.pack_secrets(f'word{number}')
            return lambda: artifact.send(f'{self.run_id}-{number}'), (self.live[0], f'word{number}')
        if kind == 'snapshot':
            artifact = self.pack_with_data(f'3.{int(time.time()) % 100000}.{number}')
            return lambda: artifact.send(f'{self.run_id}-{number}'), (artifact.version, self.live[1])
        if kind == 'run':
            return self.run_command, self.live
        if kind == 'backup':
            return self.back_up, self.live
        if kind == 'restore':
            self.data, serial = self.backups[number % len(self.backups)]
            return lambda: host.control('restore', site=host.SITE, serial=serial), self.live
        if kind == 'remove':
            return lambda: host.control('remove', site=host.SITE), None
        row = host.sql('SELECT previous_good FROM sites WHERE site = ?', host.SITE)[0]
        target = host.sql('SELECT version, secrets FROM releases WHERE id = ?', row['previous_good'])[0]
        return lambda: host.control('rollback', site=host.SITE, with_data=kind == 'data'), (target['version'], self.live[1])

    def pack_with_data(self, version):
        return self.laptop.pack(version, service=host.RELEASE_COMMAND)

    def prepare(self, kind):
        """Two releases that each have their own data; of each a backup."""
        if kind not in ('snapshot', 'data', 'restore'):
            return
        for _ in range(2):
            self.number += 1
            artifact = self.pack_with_data(f'3.{int(time.time()) % 100000}.{self.number}')
            artifact.send(f'prepare-{artifact.sha256[:12]}')
            host.wait_until_idle(60)
            self.live = (artifact.version, self.live[1])
            if kind == 'restore':
                self.backups.append((artifact.version, host.control('backup_create', site=host.SITE)['backup']['serial']))

    def back_up(self):
        """Asked for once, as `run`: it is no job, and the next one makes it good."""
        try:
            host.control('backup_create', site=host.SITE)
        except OSError:
            pass

    def run_command(self):
        """Asked for once: what the daemon did not acknowledge may have begun."""
        try:
            host.control('run', site=host.SITE, words=['sh', '-c', 'sleep 0.2; exit 3'], detach=True)
        except OSError:
            pass

    def restore(self):
        """Behind a remove: the site once more."""
        for artifact in self.laptop.pack_secrets('word0'), self.laptop.pack(f'1.{self.number}.0'), self.laptop.pack(f'1.{self.number}.1'):
            artifact.send(f'restore-{artifact.sha256[:12]}')
            host.wait_until_idle(60)
        self.live = (f'1.{self.number}.1', 'word0')

    def ask(self, order, job):
        """Until somebody took it: the daemon may have died before. What it had acknowledged is never asked for twice."""
        while True:
            try:
                return order()
            except host.Refused as refused:
                if 'the host is locked' not in str(refused):
                    return None
                time.sleep(0.01)
            except OSError:
                host.wait_until(host.answers, 30)
                if host.newest_job() > job:
                    return None

    def wait_for_restart(self, old):
        host.wait_until(lambda: not host.alive(old), 10)
        host.wait_until(lambda: host.monitor() not in (0, old) and host.alive(host.monitor()), 30)
        host.wait_until(host.answers, 30, 0.002)
        with open(f'/proc/{host.monitor()}/stat', encoding='utf-8') as file:
            began = int(file.read().rsplit(')', 1)[1].split()[19]) / 100
        self.ready.append(time.clock_gettime(time.CLOCK_BOOTTIME) - began)

    def case(self, kind, left):
        """One job that the daemon does not survive. False: it ended before the failpoint came."""
        order, after = self.job(kind)
        # While its data change places a site does not answer.
        self.visitor.allowed = {self.live, after} if after and kind not in ('data', 'restore') else set()
        old, newest = host.monitor(), host.newest_job()
        host.forget_restarts()
        self.points.arm(left)
        asking = threading.Thread(target=self.ask, args=(order, newest))
        asking.start()
        host.wait_until(lambda: self.points.struck() or (not asking.is_alive() and host.idle()), 90)
        struck, name = self.points.struck(), self.points.name()
        self.points.disarm()
        if struck:
            self.wait_for_restart(old)
            host.unlock()
        asking.join(90)
        host.wait_until_idle(90)
        self.judge(kind, f'{kind} {left} {name}' if struck else f'{kind}, undisturbed', after)
        if struck:
            self.names[name.split()[0]] += 1
        if after is None:
            self.restore()
        return struck

    def judge(self, kind, case, after):
        self.visitor.allowed = set()
        data = after[0] if kind in ('snapshot', 'data') else self.data if kind == 'restore' else None
        wrong = disagreements(after, self.mounts, data=data, own=kind in ('snapshot', 'data'))
        wrong += self.visitor.wrong
        jobs = host.sql("SELECT kind, state, step, message FROM jobs WHERE kind <> 'ping' ORDER BY seq DESC LIMIT 1")[0]
        wrong.expect(jobs['state'] == 'done', f'the job ended as {jobs}')
        self.visitor.wrong = []
        self.live = after
        self.cases += 1
        for line in wrong:
            self.findings.append(f'{case}: {line}')
            print(f'  {case}: {line}', flush=True)

    def count(self, kind):
        order, after = self.job(kind)
        self.points.arm(1 << 40)
        self.ask(order, host.newest_job())
        host.wait_until_idle(90)
        hits = self.points.disarm()
        self.judge(kind, f'{kind}, counted', after)
        if after is None:
            self.restore()
        return hits


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--every', type=int, default=1)
    options.add_argument('--first', type=int, default=1)
    options.add_argument('--seed', type=int, default=int(time.time()))
    options.add_argument('--kinds', default='deploy,rollback,secrets,run,snapshot,data,backup,restore,remove')
    options = options.parse_args()
    random.seed(options.seed)
    matrix = Matrix()
    for kind in options.kinds.split(','):
        matrix.prepare(kind)
        hits, before, begun = matrix.count(kind), len(matrix.findings), time.monotonic()
        points = range(options.first + random.randrange(options.every), hits + 1, options.every)
        cases = sum(matrix.case(kind, left) for left in points)
        if kind == 'backup':
            host.control('backup_verify', site=host.SITE)  # the newest one opens
        print(f'{kind}: {hits} failpoints, killed at {cases}: {len(matrix.findings) - before} inconsistent, {time.monotonic() - begun:.0f} s', flush=True)
    ready = sorted(matrix.ready)
    print(f'ready again after p50 {ready[len(ready) // 2]:.3f} s, p95 {ready[len(ready) * 95 // 100]:.3f} s, at most {ready[-1]:.3f} s; '
          f'{matrix.visitor.asked} requests meanwhile; {dict(matrix.names)}')
    print(f'{matrix.cases} cases, seed {options.seed}: {len(matrix.findings)} inconsistent')
    raise SystemExit(1 if matrix.findings else 0)


main()
