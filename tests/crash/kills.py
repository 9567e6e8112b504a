"""kill -9 of chillbox's processes at random moments, under a stream of webhooks and of visitors. Behind it every delivery that was answered has
exactly one job, each job ended once, no visitor got anything but a version that was asked for, and the host agrees with itself.
usage: kills.py [--count N] [--seconds N] [--seed N] [--load]   (--load: nobody is killed, for whoever cuts the power from outside)"""
import argparse
import collections
import json
import os
import random
import re
import signal
import threading
import time

import host
from invariants import disagreements, processes

# What may become of a job when its neighbours are rollbacks and newer deploys, when the vault is killed in it (sealed), or the program that it
# waits for (137, also a child of the monitor that was killed before its exec). Everything else that fails is a finding.
EXPECTED = re.compile(r'is older than installed|no earlier good release|was live with another secret set|the stager (?:ended without an answer, exit code 137|answered and then failed)'
                      r'|ended with code 137|exit 137')


class Stream(threading.Thread):
    """Sends webhooks, each until it was answered; the same delivery again and again is the same job."""

    def __init__(self, seed, load):
        super().__init__(daemon=True)
        self.random, self.laptop, self.stopping = random.Random(seed), host.Laptop(), False
        # For a power cut there shall always be a job that runs.
        self.pause, self.weights = (0.05, (6, 3, 3, 1, 0)) if load else (0.5, (6, 2, 2, 1, 2))
        self.versions, self.words, self.jobs, self.findings = set(), set(), {}, []
        self.run_id = f'k{int(time.time())}'

    def one(self, number):
        kind = self.random.choices(('site.deploy', 'secrets.update', 'site.rollback', 'site.restart', 'host.ping'), self.weights)[0]
        if kind == 'site.deploy':
            version = f'3.{number}.{int(time.time()) % 100000}'
            self.versions.add(version)
            return self.laptop.pack(version, [f'd{number % 2}.example'])
        if kind == 'secrets.update':
            self.words.add(f'word{number}')
            return self.laptop.pack_secrets(f'word{number}')
        return kind

    def deliver(self, what, identifier):
        if not isinstance(what, str):
            status, answer = what.announce(identifier)
            if status in (200, 202):
                self.note(identifier, answer['job'])
                return what.upload(answer) == 200
            return False
        status, answer = host.announce(what, identifier, **({} if what == 'host.ping' else {'site': host.SITE}))
        if status in (200, 202):
            self.note(identifier, answer['job'])
        return status in (200, 202)

    def note(self, identifier, job):
        if self.jobs.setdefault(identifier, job) != job:
            self.findings.append(f'delivery {identifier} is job {self.jobs[identifier]} and job {job}')
        # For whoever looks after a power cut (settle.py): what we were told must survive it, so our note of it must too.
        with open(f'{host.HOME}/answered', 'a', encoding='utf-8') as file:
            file.write(job + '\n')
            file.flush()
            os.fsync(file.fileno())

    def run(self):
        number = 0
        while not self.stopping:
            number += 1
            what, identifier = self.one(number), f'{self.run_id}-{number}'
            while True:  # what was begun is brought to its end: it may have been taken, and only the answer was lost
                try:
                    if self.deliver(what, identifier):
                        break
                except OSError:
                    pass
                time.sleep(0.05)
            time.sleep(self.random.uniform(0, self.pause))


class Visitors(threading.Thread):
    def __init__(self, stream, pause):
        super().__init__(daemon=True)
        self.stream, self.pause, self.asked, self.findings, self.stopping = stream, pause, 0, [], False
        live = host.visit()
        self.versions, self.words = {live[0]}, {live[1]}
        self.versions |= {row['version'] for row in host.sql("SELECT version FROM releases WHERE state IN ('good', 'unproven')")}
        self.words |= {f'word{n}' for n in range(10000)}

    def run(self):
        while not self.stopping:
            try:
                version, word = host.visit()
                page = host.request('GET', '/version')[1].strip()
            except (OSError, ValueError) as error:
                version, word, page = str(error), '', ''
            known = self.versions | self.stream.versions
            if version not in known or word not in self.words or page not in known:
                self.findings.append(f'a visitor got {version} {word}, the page is {page}')
            self.asked += 1
            time.sleep(self.pause)


class Unlocker(threading.Thread):
    """The operator who unlocks whenever the host is locked."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                if host.control('status', timeout=10)['host']['sealed']:
                    host.control('unlock', host.PASSPHRASE)
            except (OSError, host.Refused, ValueError):
                pass
            time.sleep(0.1)


def kill_one(rng):
    """One of chillbox's own processes, each kind as likely. Its kind, or None when there was nobody."""
    kinds = collections.defaultdict(list)
    for pid, (_, _, _, command) in processes().items():
        words = command.split()
        if words and words[0].endswith('/chillboxd') and len(words) == 1:
            kinds['monitor'].append(pid)
        elif command.startswith('chillboxd: '):
            kinds[words[1]].append(pid)
    if not kinds:
        return None
    kind = rng.choice(sorted(kinds))
    host.forget_restarts()
    try:
        os.kill(rng.choice(kinds[kind]), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return kind


def judge(stream, visitors, mounts):
    wrong = disagreements_now(mounts)
    wrong += stream.findings + visitors.findings
    known = {row['id']: row for row in host.sql('SELECT id, kind, state, message FROM jobs')}
    for identifier, job in stream.jobs.items():
        wrong.expect(job in known, f'delivery {identifier} was answered with job {job}, which is not known')
    deliveries = host.sql("SELECT id, job, count(*) AS n FROM deliveries WHERE id LIKE ? GROUP BY id", stream.run_id + '-%')
    wrong.expect(all(row['n'] == 1 for row in deliveries), 'a delivery is stored twice')
    reasons = collections.Counter()
    for job in set(stream.jobs.values()) & set(known):
        row = known[job]
        if row['state'] == 'failed' and (reason := EXPECTED.search(row['message'])):
            reasons[reason.group()] += 1
        elif row['state'] == 'failed':
            wrong.append(f"job {job} ({row['kind']}) failed: {row['message']}")
    if reasons:
        print('failed: ' + ', '.join(f'{n} {reason}' for reason, n in sorted(reasons.items())))
    states = collections.Counter(f"{known[job]['kind']} {known[job]['state']}" for job in stream.jobs.values() if job in known)
    print('jobs: ' + ', '.join(f'{n} {what}' for what, n in sorted(states.items())))
    return wrong


def disagreements_now(mounts):
    live = host.sql('SELECT version FROM sites JOIN releases ON releases.site = sites.site AND releases.id = live WHERE sites.site = ?', host.SITE)[0]
    return disagreements((live['version'], host.read(f'{host.RUN}/secrets/{host.SITE}/app/word').strip()), mounts)


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--count', type=int, default=0)
    options.add_argument('--seconds', type=float, default=0)
    options.add_argument('--seed', type=int, default=int(time.time()))
    options.add_argument('--load', action='store_true')
    options = options.parse_args()
    rng = random.Random(options.seed)
    mounts = sorted(host.read('/proc/mounts').splitlines())
    stream = Stream(options.seed, options.load)
    visitors, unlocker = Visitors(stream, 0.2 if options.load else 0.01), Unlocker() # a slow machine has enough to do with the jobs
    for thread in (stream, visitors, unlocker):
        thread.start()
    host.wait_until(lambda: stream.jobs, 300)
    print('at work', flush=True)
    killed, end = collections.Counter(), time.monotonic() + (options.seconds or 1e9)
    while time.monotonic() < end and (options.count == 0 or killed.total() < options.count):
        time.sleep(rng.uniform(0.02, 1.5))
        if not options.load and (kind := kill_one(rng)):
            killed[kind] += 1
            if killed.total() % 100 == 0:
                print(f'{killed.total()} kills, {len(stream.jobs)} deliveries answered', flush=True)
    stream.stopping = True
    stream.join(120)
    if stream.is_alive():
        raise TimeoutError('the last delivery was not taken within 120 s')
    host.wait_until(host.answers, 60)
    host.unlock()
    host.wait_until_idle(300)
    visitors.stopping = unlocker.stopping = True
    visitors.join(30)
    unlocker.join(30)
    wrong = judge(stream, visitors, mounts)
    for line in wrong[:50]:
        print(f'  {line}')
    print(f'{killed.total()} kills {json.dumps(killed)}, {len(stream.jobs)} deliveries answered, {visitors.asked} visits, seed {options.seed}: '
          f'{len(wrong)} wrong')
    raise SystemExit(1 if wrong else 0)


if __name__ == '__main__':
    main()
