"""What goes wrong in the fleet, by a seeded choice: each fault begins, holds, is mended, and is told to the history. A host or member has one at a time."""
import os
import random
import shutil
import struct
import threading
import time

import fleet

PROCESSES = {'courier': '^chillboxd: courier', 'dialer': '^chillboxd: dialer', 'monitor': None}


def signal_of(name, process, which):
    if PROCESSES[process] is None:
        return fleet.host(name, 'sh', '-c', f'kill -{which} "$(cat /run/openrc/options/chillboxd/child_pid)"')
    return fleet.host(name, 'pkill', f'-{which}', '-f', PROCESSES[process])


def set_clock(name, ahead):
    """Seconds; for chillboxd alone (clock.cpp)."""
    octal = ''.join(f'\\{byte:03o}' for byte in struct.pack('<q', ahead))
    fleet.host(name, 'sh', '-c', f"printf '{octal}' | dd of=/root/clock conv=notrunc status=none")


def healthy_rest(number):
    return [n for n in fleet.MEMBERS if n != number and fleet.answers(n)]


def rejoin(number):
    """A member that lost its data: taken out of the engine, and put in again as a new one. What came of it."""
    rest = healthy_rest(number)
    if len(rest) < 2:
        return 'not done: no majority is left'
    _, members = fleet.etcdctl('member', 'list', members=rest)
    identity = next((line.split(',')[0] for line in members.splitlines() if f'{fleet.address(number)}:2380' in line), None)
    fleet.member('ended', number, 'KILL')
    data = f'{fleet.member_dir(number)}/data'
    shutil.rmtree(f'{data}/member', ignore_errors=True)
    if identity:
        fleet.etcdctl('member', 'remove', identity, members=rest)
    for _ in range(20):
        code, said = fleet.etcdctl('member', 'add', 'abc'[number - 1], f'--peer-urls=https://{fleet.address(number)}:2380', members=rest)
        if code == 0:
            break
        time.sleep(0.5)
    conf = f'{fleet.member_dir(number)}/etc/conf.yml'
    with open(conf, encoding='utf-8') as file:
        text = file.read()
    with open(conf, 'w', encoding='utf-8') as file:
        file.write(text.replace('initial-cluster-state: new', 'initial-cluster-state: existing'))
    fleet.member('start', number)
    return said.strip().splitlines()[0] if code == 0 and said.strip() else f'exit {code}'


class Faults(threading.Thread):
    """One of these at a time; two threads make two."""

    def __init__(self, seed, history, taken, stop, staging):
        super().__init__(daemon=True)
        self.random, self.history, self.taken, self.stop, self.staging = random.Random(seed), history, taken, stop, staging
        self.kinds = [(self.cut_member, 5), (self.pause_member, 4), (self.kill_member, 4), (self.cut_host, 4), (self.kill_process, 6),
                      (self.pause_process, 4), (self.wipe_member, 2), (self.full_disk, 2), (self.set_clock, 4)]

    def run(self):
        while not self.stop.wait(self.random.uniform(1, 5)):
            kind = self.random.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]
            on_member = kind in (self.cut_member, self.pause_member, self.kill_member, self.wipe_member, self.full_disk)
            number = 3 if kind == self.full_disk else self.random.randint(1, 3)
            # The laptop needs every host until there is an order: mostly it gets so far.
            if not on_member and self.staging.is_set() and self.random.random() < 0.8:
                continue
            where = f'{"member" if on_member else "web"}{number}'
            seconds = self.random.choice((1, 3, 6, 12, 20))
            with self.taken['lock']:
                free = where not in self.taken
                if free:
                    self.taken[where] = kind.__name__
            if free:
                try:
                    kind(number, where, seconds)
                finally:
                    with self.taken['lock']:
                        del self.taken[where]

    def hold(self, name, where, seconds, begin, mend, **more):
        self.history.note('fault', what=name, where=where, seconds=seconds, **more)
        begin()
        self.stop.wait(seconds)
        said = mend()
        self.history.note('mended', what=name, where=where, said=said if isinstance(said, str) else '')

    def cut_member(self, number, where, seconds):
        self.hold('link cut', where, seconds, lambda: fleet.link(f'm{number}', 'down'), lambda: fleet.link(f'm{number}', 'up'))

    def cut_host(self, number, where, seconds):
        # The first host has the bridge: its network is all of them.
        name = 'wire' if number == 1 else f'wire{number}'
        self.hold('link cut', where, seconds, lambda: fleet.link(name, 'down'), lambda: fleet.link(name, 'up'))

    def pause_member(self, number, where, seconds):
        self.hold('SIGSTOP', where, seconds, lambda: fleet.member('signal', number, 'STOP'), lambda: fleet.member('signal', number, 'CONT'))

    def kill_member(self, number, where, seconds):
        self.hold('kill -9', where, seconds, lambda: fleet.member('ended', number, 'KILL'), lambda: fleet.member('start', number))

    def kill_process(self, number, where, _):
        name, process = f'web{number}', self.random.choice(list(PROCESSES))
        self.hold(f'kill -9 {process}', where, 1, lambda: signal_of(name, process, 'KILL'),
                  lambda: fleet.unlock(name)[1].strip()[-100:] if process == 'monitor' else '')

    def pause_process(self, number, where, seconds):
        name, process = f'web{number}', self.random.choice(list(PROCESSES))
        self.hold(f'SIGSTOP {process}', where, seconds, lambda: signal_of(name, process, 'STOP'), lambda: signal_of(name, process, 'CONT'))

    def set_clock(self, number, where, seconds):
        ahead = self.random.choice((-3600, -90, -20, 20, 90, 400, 3600))
        self.hold('clock', where, seconds, lambda: set_clock(f'web{number}', ahead), lambda: set_clock(f'web{number}', 0), ahead_s=ahead)

    def wipe_member(self, number, where, _):
        self.hold('wiped', where, 0, lambda: None, lambda: rejoin(number))

    def full_disk(self, number, where, seconds):
        filler = f'{fleet.member_dir(number)}/data/filler'

        def fill():
            with open(filler, 'wb', buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1 << 20))
                except OSError:
                    pass

        def free():
            os.unlink(filler)
            if not fleet.is_running(number):
                fleet.member('ended', number, 'KILL')
                fleet.member('start', number)
                return 'it had ended'
            return 'it had gone on'

        self.hold('disk full', where, seconds, fill, free)


def heal(history):
    """All that may be wrong is mended; how long it took until all members and hosts were well."""
    begun = time.monotonic()
    for name in ('wire', 'wire2', 'wire3', 'm1', 'm2', 'm3'):
        fleet.link(name, 'up')
    for number in fleet.MEMBERS:
        fleet.member('signal', number, 'CONT')
        if not fleet.is_running(number):
            fleet.member('ended', number, 'KILL')
            fleet.member('start', number)
    for name in fleet.HOSTS:
        set_clock(name, 0)
        for process in PROCESSES:
            signal_of(name, process, 'CONT')
        fleet.unlock(name)
        fleet.host(name, 'chillboxctl', 'undrain', 'hello')
        fleet.host(name, 'sh', '-c', ': >/var/lib/hello/api/bad')
    well = wait_until(lambda: all(fleet.answers(n) for n in fleet.MEMBERS), 60)
    if not well:
        for number in fleet.MEMBERS:
            if not fleet.answers(number):
                history.note('note', text=f'member {number} does not answer: {rejoin(number)}')
    reached = wait_until(lambda: all(reaches(name) for name in fleet.HOSTS), 60)
    history.note('healed', members=well, hosts=reached, after_s=round(time.monotonic() - begun, 1))


def reaches(name):
    return ((fleet.ctl_json(name, 'status') or {}).get('host', {}).get('engine') or {}).get('reachable') is True


def wait_until(what, seconds):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True
