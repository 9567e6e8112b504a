"""Decides from a history of drive.py which invariants of a fleet held: judge.py HISTORY. A pure function of the history, which judge_test.py feeds with
histories that break each of them. Prints a table; exit 1 if one was broken, or if the history is not complete."""
import collections
import datetime
import json
import sys

OUT = 'begun'  # the state of a host that is out by a rollout's doing
NAMES = {
    'I1': 'a host runs only what was signed, and the same bytes of a version everywhere',
    'I2': 'no more hosts are out by a rollout than may be',
    'slot': 'a host is outside of a rollout for its slot only if another one could take that',
    'I3': 'no host begins before all of the batches before are done, nor after a stop',
    'I4': 'a rollout ends with all new, all as before, or each host named',
    'I5': 'run once: at most one start for each due time, fences rise',
    'I6': 'a release command of the fleet starts at most once',
    'I7': 'each visitor is answered, by a version that is live there',
    'I8': 'nothing but a signed order, or a person, changes what is live',
    'I9': 'a courier of which nobody asks anything does not wake',
    'I10': 'no secret is in the engine',
    'I11': 'a report that no host signed changes nothing',
    'I12': 'within 10 s after all is mended each host shows what the engine has',
    'end': 'after all is mended a rollout reaches every host',
}


class Judge:
    def __init__(self, history):
        self.history = history
        self.start = next(self.of('start'))
        self.hosts, self.most = self.start['hosts'], self.start['max_unavailable']
        self.checked, self.wrong = collections.Counter(), collections.defaultdict(list)
        # An old order is one that somebody had signed; the answer to who forged may have got lost.
        forged = {(one['key'], one.get('value')) for one in self.of('forged') if one['what'] != 'replayed'}
        self.forged = {one['rev'] for one in self.of('forged')} | {event['rev'] for event in self.of('engine') if (event['key'], event['value']) in forged}
        self.orders = {}  # serial: order, of those that somebody signed
        for event in self.of('engine'):
            if event['key'] == 'orders/hello' and event['value'] and event['rev'] not in self.forged:
                order = json.loads(json.loads(event['value'].split('\n', 1)[1])['order'])
                self.orders[order['serial']] = order

    def of(self, *kinds):
        return (one for one in self.history if one['kind'] in kinds)

    def expect(self, invariant, holds, what):
        self.checked[invariant] += 1
        if not holds:
            self.wrong[invariant].append(what)

    def reports(self):
        """(event, serial, host, report) of what hosts told, oldest first; without what was forged, and without what is older than what was told
        before: the owner of the engine put it back, and hosts do not hear it."""
        newest = {}
        for event in self.of('engine'):
            if event['key'].startswith('reports/hello/') and event['value'] and event['rev'] not in self.forged:
                _, _, serial, host = event['key'].split('/')
                report = json.loads(json.loads(event['value'])['report'])
                if report['seq'] >= newest.get((serial, host), 0):
                    newest[serial, host] = report['seq']
                    yield event, int(serial), host, report

    def set_right(self):
        """A job's time may be that of a clock that was wrong: `sure` is false then, and `since` the earliest that it may have begun."""
        for job in self.of('job'):
            times = [job['started_ms']]
            for fault in self.of('fault'):
                if fault['what'] == 'clock' and fault['where'] == job['host'] and job['started_ms']:
                    ended = next((one['at'] for one in self.of('mended') if one['what'] == 'clock' and one['where'] == fault['where'] and one['at'] > fault['at']), 1e12)
                    times += [ms - fault['ahead_s'] * 1000 for ms in (job['started_ms'], job['finished_ms'] or 0) if fault['at'] <= ms / 1000 - fault['ahead_s'] <= ended + 1]
            job['sure'], job['since'] = len(times) == 1, min(times) if times[0] else None

    def signed_alone(self):
        signed, digests = {one['version']: one['at'] for one in self.of('version')}, {}
        for seen in self.of('seen'):
            for version in filter(None, {*seen['live'], *seen['ok']}):
                self.expect('I1', signed.get(version, seen['at'] + 1) <= seen['at'], f"{seen['host']} ran {version}, which nobody had signed")
        for job in self.of('job'):
            if job['what'] == 'deploy' and job['sha256'] and job['version']:
                self.expect('I1', digests.setdefault(job['version'], job['sha256']) == job['sha256'], f"{job['host']} took other bytes of {job['version']}")

    def unavailable(self):
        holders = {}
        for event in self.of('engine'):
            if not event['key'].startswith('slots/hello/'):
                continue
            if event['value'] is None:
                holders.pop(event['key'], None)
                continue
            holders[event['key']] = event['value'].split(' ')[0]
            self.expect('I2', len(set(holders.values())) <= self.most and int(event['key'].rsplit('/', 1)[1]) < self.most,
                        f"revision {event['rev']}: {sorted(holders.values())} have slots")
        # Whose slot was taken away while it switched.
        outside = {(host, self.orders[serial]['version']) for _, serial, host, report in self.reports() if report['state'] == 'outside' and serial in self.orders}
        jobs = sorted((job['started_ms'], job['finished_ms'] or job['started_ms'], job['host']) for job in self.of('job')
                      if (job['actor'] or '').startswith('rollout:') and job['started_ms'] and job['sure'] and (job['host'], job['version']) not in outside)
        for at, (begun, _, host) in enumerate(jobs):
            out = {host} | {other for other_begun, ended, other in jobs[:at] if ended > begun}
            self.expect('I2', len(out) <= self.most, f'{sorted(out)} switched at the same time, at {begun / 1000:.1f}')

    def slots(self):
        by_revision, holders = {}, {}
        for event, serial, host, report in self.reports():
            by_revision.setdefault(event['rev'], []).append((serial, host, report))
        given = {}  # host: the order for which it gave its slot back by its own report
        for event in self.of('engine'):
            told = by_revision.get(event['rev'], [])
            if event['key'].startswith('slots/hello/'):
                if event['value'] is not None:
                    holders[event['key']] = event['value'].split(' ')[0]
                else:
                    holder = holders.pop(event['key'], None)
                    for serial, host, _ in told:
                        if host == holder:
                            given[host] = serial
            elif event['key'].startswith('reports/hello/'):
                for serial, host, report in told:
                    if report['state'] == 'outside' and 'slot was taken' in report['message']:
                        self.expect('slot', given.get(host) != serial, f'{host} says so in order {serial}, for which it gave its slot back itself')
                    else:
                        self.checked['slot'] += 1

    def barriers(self):
        states, stopped = {}, set()
        by_revision = {}
        for event, serial, host, report in self.reports():
            by_revision.setdefault(event['rev'], []).append((serial, host, report))
        for event in self.of('engine'):
            if event['key'].startswith('stops/hello/'):
                serial = int(event['key'].rsplit('/', 1)[1])
                (stopped.discard if event['value'] is None else stopped.add)(serial)
            for serial, host, report in by_revision.pop(event['rev'], []):
                before = states.get((serial, host))
                states[serial, host] = report['state']
                order = self.orders.get(serial)
                if report['state'] != OUT or before == OUT or order is None:
                    continue
                earlier = []
                for batch in order['batches']:
                    if host in batch['hosts']:
                        break
                    earlier += batch['hosts']
                late = [one for one in earlier if states.get((serial, one)) != 'done']
                self.expect('I3', not late, f'{host} began order {serial} while {late} were not done')
                self.expect('I3', serial not in stopped, f'{host} began order {serial} after its stop')

    def ends(self):
        final, back = {}, {}  # back: what a host went back to from an order's version, perhaps while the next rollout had begun
        for _, serial, host, report in self.reports():
            final.setdefault(serial, {})[host] = report
            if report['state'] == 'rolled_back' and serial in self.orders:
                back[host, self.orders[serial]['version']] = self.version_of(report.get('live'))
        serials = {order['version']: serial for serial, order in self.orders.items()}
        for end in self.of('end'):
            if end['op'] not in ('rollout', 'resume'):
                continue
            version, lives, code = end['version'], end['lives'], end['exit']
            new = [host for host in self.hosts if lives[host] == version]
            told = f"{end['op']} of {version}, exit {code}: {lives}"
            if code == 0:
                self.expect('I4', len(new) == len(self.hosts), told)
            elif code in (9, 10):
                before = end['before']
                self.expect('I4', not new and all(lives[host] in (before[host], back.get((host, before[host]))) for host in self.hosts), told)
            elif version not in serials:
                self.expect('I4', not new, f'{told}, and nothing was ordered')
            elif end.get('over'):
                reports = final.get(serials[version], {})
                self.expect('I4', all(host in reports for host in new), f'{told}: not each of them has reported')
            if end.get('took_s') and code in (0, 9, 10):
                self.expect('I4', end['took_s'] <= self.start['deadline_s'] + 90, f"{told}: after {end['took_s']} s")
        for serial, reports in final.items():
            for host, report in reports.items():
                if report['state'] == 'rolled_back':
                    self.expect('I4', report.get('live', '') != self.orders.get(serial, {}).get('version'), f'{host} is back of order {serial}, and has it')

    def once(self):
        claims = {}
        for event in self.of('engine'):
            if event['key'].startswith('claims/') and event['value'] and event['key'].removeprefix('claims/') not in claims:
                claims[event['key'].removeprefix('claims/')] = event
        starts, newest = collections.defaultdict(list), {}
        for run in self.of('ran'):
            starts[run['run']].append(run)
        for name, runs in starts.items():
            invariant = 'I5' if '/cron/' in name else 'I6'
            self.expect(invariant, len(runs) == 1, f"{name} started {len(runs)} times: {[one['host'] for one in runs]}")
            claim = claims.get(name)
            self.expect(invariant, claim is not None and claim['rev'] == runs[0]['fence'] and f"\"host\":\"{runs[0]['host']}\"" in claim['value'],
                        f"{name} ran on {runs[0]['host']} with fence {runs[0]['fence']}, the claim is {claim}")
        for name in sorted(name for name in starts if '/cron/' in name):  # the due time is the end of the name
            entry, run = name.rsplit('/', 1)[0], starts[name][0]
            due = datetime.datetime.fromisoformat(name.rsplit('/', 1)[1].replace('Z', '+00:00')).timestamp()
            # A host whose clock is a minute off claims out of turn: once all the same, and with the fence of its own moment.
            if -5 <= run['started'] - due <= 55:
                self.expect('I5', newest.get(entry, 0) < run['fence'], f'{name} has fence {run["fence"]}, after {newest.get(entry)}')
                newest[entry] = run['fence']

    def visitors(self):
        bad = {(one['bad'], one['version']) for one in self.of('begin') if one.get('bad')}
        before = {}
        seen_of = collections.defaultdict(list)
        for seen in self.of('seen'):
            seen_of[seen['host']].append(seen)
        for host, all_seen in seen_of.items():
            for at, seen in enumerate(all_seen):
                after = all_seen[at + 1]['live'] if at + 1 < len(all_seen) else []
                # What was live up to two seconds ago may still be what an open connection gets.
                may = {*before.get(host, []), *seen['live'], *after}
                self.checked['I7'] += sum(seen['ok'].values()) + len(seen['failed'])
                for version in seen['ok']:
                    if version not in may or (host, version) in bad:
                        self.wrong['I7'].append(f"{host} answered with {version} at {seen['second']}, live: {sorted(may)}")
                self.wrong['I7'] += [f"{host} at {one['at']}: {one['error']}" for one in seen['failed']]
                before[host] = all_seen[max(0, at - 1)]['live'] + seen['live']

    @staticmethod
    def version_of(release):
        return (release or '').rsplit('-', 1)[0]

    def changes(self):
        jobs = collections.defaultdict(list)
        for job in self.of('job'):
            jobs[job['host']].append(job)
        live = {}
        for seen in self.of('seen'):
            for version in seen['live']:
                was = live.get(seen['host'])
                live[seen['host']] = version
                if version in ('', was):
                    continue
                begun = [job for job in jobs[seen['host']] if job['since'] and job['since'] / 1000 <= seen['second'] + 2]
                makes = [job for job in begun if version in (job['version'], self.version_of(job['release']), self.version_of(job['version'])) or version in (job['message'] or '')]
                self.expect('I8', makes, f"{seen['host']} has {version} at {seen['second']}, and no job made it")
        for forged in self.of('forged'):
            self.expect('I8', not any('66.6.6' in seen['live'] for seen in self.of('seen')), f'{forged} is live')

    def forgeries(self):
        failures, backs = collections.defaultdict(list), []
        for event, serial, host, report in self.reports():
            if report['state'] in ('failed', 'stuck'):
                failures[serial].append(event['rev'])
            if report['state'] == 'rolled_back':
                backs.append((event, serial, host, report))
        ends = {one['version']: one for one in self.of('end') if one['op'] == 'rollout'}
        for event, serial, host, report in backs:
            reasons = [rev for rev in failures[serial] if rev <= event['rev']]
            took = ends.get(self.orders.get(serial, {}).get('version'), {}).get('took_s') or 0
            late = 'deadline' in report.get('message', '') or took >= self.start['deadline_s']
            self.expect('I11', reasons or late, f'{host} went back of order {serial}, which no host said had failed')
        stops = {event['key'].rsplit('/', 1)[1]: event for event in self.of('engine') if event['key'].startswith('stops/hello/') and event['value']}
        for one in self.of('forged'):
            serial = one['key'].rsplit('/', 2)[-2]
            self.expect('I11', not one.get('shown'), f"{one['key']}, which was forged, is shown by {one.get('shown')}")
            if one['what'] == 'report' and serial.isdigit():
                host, stop = one['key'].rsplit('/', 1)[1], stops.get(serial)
                believed = stop and stop['rev'] > (one['rev'] or 1e18) and json.loads(stop['value'])['by'] == host and not failures[int(serial)]
                self.expect('I11', not believed, f"{one['key']} was believed: {stop}")

    def rest(self):
        for one in self.of('secrets'):
            self.checked['I10'] += one['scanned']
            self.wrong['I10'] += [f'{what} is in the engine' for what in one['found']]
        for one in self.of('idle'):
            self.expect('I9', one['same'] and one['switches'] == 0, f"{one['host']}: {one['switches']} times in {one['seconds']} s, the same processes: {one['same']}")
        for one in self.of('view'):
            self.expect('I12', one['equal'] and one['after_s'] <= 10, f"{one['host']} after {one['after_s']} s: {one.get('shown')}, not {one.get('engine')}")
        for one in self.of('left'):
            self.expect('end', not one['slots'], f"there is still a slot: {one['slots']}")
        for one in self.of('last'):
            self.expect('end', one['exit'] == 0, f"exit {one['exit']}: {one['lives']}")

    def judge(self):
        for check in (self.set_right, self.signed_alone, self.unavailable, self.slots, self.barriers, self.ends, self.once, self.visitors, self.changes,
                      self.forgeries, self.rest):
            check()
        self.expect('end', any(self.of('complete')), 'the history is not complete')
        return self


def counts(history):
    ops, found = collections.Counter(), collections.Counter()
    for one in history:
        if one['kind'] == 'end':
            ops[f"{one['op']} {one['variant']}" if one.get('variant') else one['op']] += 1
        if one['kind'] in ('fault', 'ran', 'forged', 'drain'):
            found[one['kind']] += 1
        if one['kind'] == 'seen':
            found['requests'] += sum(one['ok'].values()) + len(one['failed'])
        if one['kind'] == 'cron':
            found['missed on a host'] += one['skipped']
            found['lost'] += one['lost']
    return ops, found


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        history = [json.loads(line) for line in file]
    judged = Judge(history).judge()
    ops, found = counts(history)
    first, last = (next((one['at'] for one in history if one['kind'] == kind), 0) for kind in ('first', 'last'))
    due = (int(last // 60) - int(first // 60)) * judged.start.get('entries', 0)
    faults = collections.Counter(one['what'] for one in history if one['kind'] == 'fault')
    ends = collections.Counter(one['exit'] for one in history if one['kind'] == 'end' and one['op'] in ('rollout', 'resume'))
    print(f"seed {judged.start['seed']}: {dict(ops)}; exits of rollouts {dict(sorted(ends.items()))}")
    print(f"{found['fault']} faults {dict(faults)}; {found['forged']} forgeries, {found['requests']} requests, "
          f"{sum(1 for one in history if one['kind'] == 'ran' and '/cron/' in one['run'])} runs of the crontab where about {due} were due, {found['missed on a host']} missed on a host, {found['lost']} lost")
    for invariant, name in NAMES.items():
        print(f'{invariant:4} {judged.checked[invariant]:7} checked {len(judged.wrong[invariant]):4} violations  {name}')
        for what in judged.wrong[invariant][:5]:
            print(f'       {what}')
    raise SystemExit(1 if any(judged.wrong.values()) or not all(judged.checked[name] for name in ('I1', 'I7', 'I9', 'end')) else 0)


if __name__ == '__main__':
    main()
