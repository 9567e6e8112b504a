"""kill -9 of chillboxd before each of its changes of files and each start of a program, while a certificate is renewed: a visitor by https gets the
site at every moment, under the old or the new certificate; after the restart file, row and NGINX have the same one, with its own key, and nothing is
left over. A person's order that died before it was in the store is lost, and he was told so: it is not made behind his back.
usage: certificate.py [--every N] [--first N] [--seed N]"""
import argparse
import collections
import hashlib
import http.client
import random
import sqlite3
import ssl
import threading
import time

import host
from invariants import Findings, disagreements

PEM = f'{host.STATE}/certs/{host.SITE}.pem'


def row():
    found = [c for c in host.control('tls')['certificates'] if c['id'] == host.SITE]
    return found[0] if found else {'state': 'none', 'sha256': ''}


def settled():
    """The row, once nothing is under way or due; None before, and while the daemon is not there."""
    try:
        due = host.sql('SELECT 1 FROM certificates WHERE next_ms <= ?', int(time.time() * 1000))
        now = row()
    except (OSError, ValueError, host.Refused):
        return None
    return now if now['state'] == 'valid' and not due else None


class Visitor(threading.Thread):
    """Asks by https all the time, with a connection each, and checks the certificate as a browser does."""

    def __init__(self):
        super().__init__(daemon=True)
        self.trust = ssl.create_default_context(cafile=f'{host.HOME}/root.pem')
        self.wrong, self.asked, self.expected = [], 0, None

    def visit(self):
        """What the site says, and the certificate that came with it."""
        connection = http.client.HTTPSConnection('127.0.0.1', 443, timeout=30, context=self.trust)
        connection.connect = lambda: self.connect(connection)
        try:
            connection.request('GET', '/app/', headers={'Host': host.DOMAIN})
            leaf = connection.sock.getpeercert(binary_form=True)
            return tuple(connection.getresponse().read().decode().split()), hashlib.sha256(leaf).hexdigest()
        finally:
            connection.close()

    def connect(self, connection):
        http.client.HTTPConnection.connect(connection)
        connection.sock = self.trust.wrap_socket(connection.sock, server_hostname=host.DOMAIN)

    def run(self):
        while True:
            try:
                got, _ = self.visit()
                if self.expected and got != self.expected:
                    self.wrong.append(f'a visitor got {got}')
            except OSError as error:
                self.wrong.append(f'a visitor got {error}')
            self.asked += 1
            time.sleep(0.02)


class Certificates:
    def __init__(self):
        self.points, self.visitor, self.live = host.Failpoints(), Visitor(), host.visit()
        self.mounts = sorted(host.read('/proc/mounts').splitlines())
        self.findings, self.names, self.cases, self.orders = [], collections.Counter(), 0, 0
        host.wait_until(settled, 120, 0.2)
        self.visitor.expected = self.live
        self.visitor.start()

    def ask(self):
        try:
            host.control('tls_renew', site=host.SITE)
        except (OSError, host.Refused) as error:
            self.refusal = error

    def begin(self, left):
        """One renewal; the budget of the ones before it is forgotten, because nobody renews hundreds of times within an hour."""
        database = sqlite3.connect(f'{host.STATE}/state.db', timeout=10)
        with database:
            self.orders += database.execute('DELETE FROM certificate_orders').rowcount
        database.close()
        self.refusal, self.visitor.wrong = None, []
        before = row()['sha256']
        host.forget_restarts()
        self.points.arm(left)
        asking = threading.Thread(target=self.ask)
        asking.start()
        return before, asking

    def judge(self, case):
        now = host.wait_until(settled, 120, 0.05)
        wrong = disagreements(self.live, self.mounts)
        wrong += self.visitor.wrong + look(now['sha256'], self.visitor.visit()[1])
        self.cases += 1
        for line in wrong:
            self.findings.append(line)
            print(f'  {case}: {line}', flush=True)

    def count(self):
        before, asking = self.begin(1 << 40)
        asking.join(120)
        host.wait_until(settled, 120, 0.05)
        hits = self.points.disarm()
        self.judge('undisturbed')
        if self.refusal or row()['sha256'] == before:
            raise SystemExit(f'the certificate was not renewed: {self.refusal}')
        return hits

    def case(self, left):
        old = host.monitor()
        _, asking = self.begin(left)
        host.wait_until(lambda: self.points.struck() or not asking.is_alive(), 120)
        struck, name = self.points.struck(), self.points.name()
        self.points.disarm()
        if struck:
            host.wait_until(lambda: host.monitor() not in (0, old) and host.alive(host.monitor()), 30)
            host.wait_until(host.answers, 30)
            host.unlock()
            self.names[name.split()[0]] += 1
        asking.join(120)
        self.judge(f'{left} {name}' if struck else 'undisturbed')


def look(in_row, served):
    wrong = Findings()
    with open(PEM, encoding='ascii') as file:
        text = file.read()
    begin = text.index('-----BEGIN CERTIFICATE')
    leaf = text[begin:text.index('-----END CERTIFICATE-----', begin) + len('-----END CERTIFICATE-----')]
    in_file = hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()
    wrong.expect(in_file == in_row == served, f'the file has {in_file[:8]}, the store {in_row[:8]}, NGINX {served[:8]}')
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(PEM)
    except ssl.SSLError as error:
        wrong.append(f'{PEM}: {error}')
    extra = [name for name in host.listing(f'{host.STATE}/certs') if name not in (f'{host.SITE}.pem', f'{host.SITE}.conf')]
    wrong.expect(not extra, f'left among the certificates: {extra}')
    wrong.expect(len(host.sql('SELECT 1 FROM certificate_orders')) <= 2, 'more than two orders for one renewal')
    return wrong


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--every', type=int, default=1)
    options.add_argument('--first', type=int, default=1)
    options.add_argument('--seed', type=int, default=int(time.time()))
    options = options.parse_args()
    random.seed(options.seed)
    certificates = Certificates()
    hits, begun = certificates.count(), time.monotonic()
    for left in range(options.first + random.randrange(options.every), hits + 1, options.every):
        certificates.case(left)
    print(f'renewal: {hits} failpoints, {certificates.cases} cases in {time.monotonic() - begun:.0f} s, {certificates.orders} orders, '
          f'{certificates.visitor.asked} requests by https meanwhile; {dict(certificates.names)}')
    print(f'{certificates.cases} cases, seed {options.seed}: {len(certificates.findings)} inconsistent')
    raise SystemExit(1 if certificates.findings else 0)


main()
