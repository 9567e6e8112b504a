"""The judge finds nothing in a good history, and in each history that breaks an invariant it finds that one: python3 judge_test.py"""
import copy
import json
import unittest

from judge import NAMES, Judge

HOSTS = ['web1', 'web2', 'web3']
FIRST_DUE = 1795831200.0  # 2026-11-28T02:00Z


def signed(kind, body):
    return json.dumps({kind: json.dumps(body), 'signature': 'x'})


def order(serial, version):
    return f'{serial:020}\n' + signed('order', {'serial': serial, 'version': version, 'batches': [{'hosts': ['web1']}, {'hosts': ['web2', 'web3']}]})


class History(list):
    """A first release by rollout 1, then 1.2.0 by rollout 2, host after host; one entry of the crontab that ran in two minutes."""

    def __init__(self):
        self.rev, self.second = 1, 0
        self.add('start', seed=1, hosts=HOSTS, max_unavailable=1, deadline_s=60)
        self.add('version', version='1.1.0', how='rollout')
        for n, host in enumerate(HOSTS):
            self.add('job', host=host, what='deploy', version='1.1.0', sha256='aa', actor='rollout:me', state='done', release='1.1.0-2', started_ms=100 + n * 100, finished_ms=150 + n * 100,
                     message='')
            self.see(host, '1.1.0')
        self.add('version', version='1.2.0', how='rollout')
        self.add('begin', op='rollout', variant='good', version='1.2.0', bad=None)
        self.engine('orders/hello', order(2, '1.2.0'))
        for n, host in enumerate(HOSTS):
            self.walk(host, n)
        self.end(0, {host: '1.2.0' for host in HOSTS})
        for n, minute in enumerate(('02:00', '02:01')):
            self.run(f'hello/cron/abcd/2026-11-28T{minute}Z', 'web2', FIRST_DUE + 60 * n + 1)
        self.run('hello/release/1.2.0/api', 'web1')
        self.add('secrets', scanned=10, found=[])
        for host in HOSTS:
            self.add('view', host=host, equal=True, after_s=0.5)
            self.add('idle', host=host, seconds=30.0, switches=0, same=True)
        self.add('forged', what='report', key=f'reports/hello/{2:020}/web1', rev=None)
        self.add('last', exit=0, lives={})
        self.add('left', slots=[])
        self.add('complete', operations=1)

    def add(self, kind, **fields):
        self.append({'at': float(len(self)), 'kind': kind, **fields})
        return self[-1]

    def engine(self, key, value):
        self.rev += 1
        return self.add('engine', key=key, value=value, rev=self.rev)

    def report(self, host, state, serial=2, **more):
        return self.engine(f'reports/hello/{serial:020}/{host}', signed('report', {'host': host, 'state': state, 'message': '', 'seq': self.rev, **more}))

    def see(self, host, version, **more):
        self.second += 1
        self.add('seen', host=host, second=float(self.second), **{'live': [version], 'ok': {version: 5}, 'failed': [], **more})

    def walk(self, host, n):
        self.engine('slots/hello/0', f'{host} nonce')
        self.report(host, 'begun')
        self.rev -= 1  # both by one transaction
        self[-1]['rev'] = self.rev
        self.add('job', host=host, what='deploy', version='1.2.0', sha256='bb', actor='rollout:me', state='done', release='1.2.0-2', started_ms=1000 + n * 100,
                 finished_ms=1050 + n * 100, message='')
        self.see(host, '1.2.0')
        self.engine('slots/hello/0', None)
        self.report(host, 'done')

    def end(self, code, lives, **more):
        before = {host: '1.1.0' for host in HOSTS}
        return self.add('end', **{'op': 'rollout', 'variant': 'good', 'version': '1.2.0', 'exit': code, 'lives': lives, 'before': before, 'took_s': 10, 'over': True, **more})

    def run(self, name, host, started=0.0):
        claim = self.engine(f'claims/{name}', json.dumps({'host': host, 'id': 'x'}, separators=(',', ':')))
        return self.add('ran', host=host, run=name, fence=claim['rev'], started=started)

    def find(self, kind, **fields):
        return next(one for one in self if one['kind'] == kind and all(one.get(key) == value for key, value in fields.items()))


def broken_in(history):
    return {name for name, wrong in Judge(copy.deepcopy(list(history))).judge().wrong.items() if wrong}


class Judged(unittest.TestCase):
    def setUp(self):
        self.history = History()

    def breaks(self, *names):
        self.assertEqual(broken_in(self.history), set(names))

    def test_a_good_one_breaks_nothing_and_all_is_looked_at(self):
        self.breaks()
        checked = Judge(self.history).judge().checked
        self.assertEqual([name for name in NAMES if not checked[name]], [])

    def test_i1_a_version_that_nobody_had_signed(self):
        self.history.remove(self.history.find('version', version='1.2.0'))
        self.breaks('I1')

    def test_i1_a_version_before_it_was_signed(self):
        self.history.find('version', version='1.2.0')['at'] = 1e6
        self.breaks('I1')

    def test_i1_other_bytes_of_a_version(self):
        self.history.find('job', version='1.2.0', host='web3')['sha256'] = 'cc'
        self.breaks('I1')

    def test_i2_two_hosts_switch_at_the_same_time(self):
        self.history.find('job', version='1.2.0', host='web1')['finished_ms'] = 1150
        self.breaks('I2')

    def test_i2_but_not_one_whose_slot_was_taken_away(self):
        self.history.find('job', version='1.2.0', host='web1')['finished_ms'] = 1150
        self.history.report('web1', 'outside')
        self.breaks()

    def test_i2_nor_one_whose_clock_was_wrong(self):
        job = self.history.find('job', version='1.2.0', host='web2')
        self.history.find('job', version='1.2.0', host='web1')['finished_ms'] = job['started_ms'] + 10
        self.breaks('I2')
        self.history.add('fault', what='clock', where='web2', ahead_s=-100).update(at=100.0)
        self.history.add('mended', what='clock', where='web2').update(at=102.0)
        self.breaks()

    def test_i2_a_slot_more_than_there_may_be(self):
        self.history.engine('slots/hello/1', 'web1 nonce')
        self.breaks('I2')

    def test_i2_two_hosts_have_slots(self):
        self.history.engine('slots/hello/0', 'web1 nonce')
        self.history.engine('slots/hello/1', 'web2 nonce')
        self.breaks('I2')

    def test_a_host_gave_its_slot_back_and_says_that_it_was_taken(self):
        at = self.history.index(self.history.find('engine', key='slots/hello/0', value=None))
        done = self.history[at + 1]
        self.history[at]['rev'] = done['rev']
        self.breaks()
        self.history.report('web1', 'outside', message='outside the rollout: its slot was taken away before it was through')
        self.breaks('slot')

    def test_i3_a_batch_before_is_not_done(self):
        for one in [one for one in self.history if one['kind'] == 'engine' and one['key'].endswith('/web1') and 'done' in (one['value'] or '')]:
            self.history.remove(one)
        self.breaks('I3')

    def test_i3_an_older_report_was_put_back(self):
        done = next(one for one in self.history if one['kind'] == 'engine' and one['key'].endswith('/web1') and 'done' in (one['value'] or ''))
        at = self.history.index(done) + 1
        self.history.insert(at, {**done, 'value': signed('report', {'host': 'web1', 'state': 'live', 'message': '', 'seq': 1})})
        self.breaks()
        self.history[at]['value'] = signed('report', {'host': 'web1', 'state': 'live', 'message': '', 'seq': 1_000})
        self.breaks('I3')

    def test_i3_a_stop_was_there(self):
        stop = {'at': 1.0, 'kind': 'engine', 'key': f'stops/hello/{2:020}', 'value': '{}', 'rev': 1}
        self.history.insert(1, stop)
        self.breaks('I3')
        self.history.insert(2, {**stop, 'value': None})
        self.breaks()

    def test_i4_exit_0_and_one_has_the_old_one(self):
        self.history.find('end')['lives']['web2'] = '1.1.0'
        self.breaks('I4')

    def test_i4_rolled_back_and_one_has_the_new_one(self):
        self.history.find('end').update(exit=10, lives={'web1': '1.1.0', 'web2': '1.2.0', 'web3': '1.1.0'})
        self.breaks('I4')

    def test_i4_a_failed_canary_and_another_host_has_changed(self):
        self.history.find('end').update(exit=9, lives={'web1': '1.1.0', 'web2': '1.1.0', 'web3': '1.0.9'})
        self.breaks('I4')

    def test_i4_a_host_that_went_back_from_the_order_before_is_no_change_by_this_one(self):
        last = self.history.end(9, {'web1': '1.2.0', 'web2': '1.1.0', 'web3': '1.2.0'})
        last.update(version='1.3.0', before={host: '1.2.0' for host in HOSTS})
        self.breaks('I4')
        self.history.report('web3', 'failed', code='unhealthy')
        self.history.report('web2', 'rolled_back', live='1.1.0-2')
        self.breaks()
        last['lives']['web3'] = '1.1.0'
        self.breaks('I4')

    def test_i4_a_host_that_has_it_was_not_reported(self):
        for one in [one for one in self.history if one['kind'] == 'engine' and one['key'].endswith('/web3')]:
            self.history.remove(one)
        self.history.find('end').update(exit=11)
        self.breaks('I4')

    def test_i4_nothing_was_ordered_and_a_host_has_it(self):
        self.history.remove(self.history.find('engine', key='orders/hello'))
        self.history.find('end').update(exit=5)
        self.breaks('I4')

    def test_i4_it_took_longer_than_its_deadline(self):
        self.history.find('end')['took_s'] = 300
        self.breaks('I4')

    def test_i5_one_due_time_twice(self):
        self.history.append({**self.history.find('ran'), 'host': 'web3'})
        self.breaks('I5')

    def test_i5_without_a_claim_or_with_anothers(self):
        ran = self.history.find('ran')
        ran['host'] = 'web1'
        self.breaks('I5')
        ran.update(host='web2', fence=ran['fence'] + 1)
        self.breaks('I5')

    def test_i5_a_fence_that_falls(self):
        first, second = [one for one in self.history if one['kind'] == 'ran'][:2]
        claims = [one for one in self.history if one['kind'] == 'engine' and one['key'].startswith('claims/hello/cron')]
        first['run'], second['run'] = second['run'], first['run']
        claims[0]['key'], claims[1]['key'] = claims[1]['key'], claims[0]['key']
        self.breaks()  # the clock of a host was a minute ahead
        first['started'], second['started'] = second['started'], first['started']
        self.breaks('I5')

    def test_i6_a_release_command_twice(self):
        self.history.append({**self.history.find('ran', run='hello/release/1.2.0/api'), 'host': 'web1'})
        self.breaks('I6')

    def test_i7_a_visitor_without_an_answer(self):
        self.history.see('web1', '1.2.0', failed=[{'at': 1.0, 'error': '502'}])
        self.breaks('I7')

    def test_i7_the_answer_of_a_version_that_is_not_live(self):
        self.history.see('web1', '1.2.0')
        self.history.see('web1', '1.2.0')
        self.history.see('web1', '1.2.0', ok={'1.1.0': 1})
        self.breaks('I7')

    def test_i7_the_answer_of_a_version_that_is_bad_there(self):
        self.history.find('begin')['bad'] = 'web2'
        self.breaks('I7')

    def test_i8_live_without_a_job(self):
        self.history.remove(self.history.find('job', version='1.2.0', host='web2'))
        self.breaks('I8')

    def test_i8_live_before_its_job_but_for_a_wrong_clock(self):
        job = self.history.find('job', version='1.2.0', host='web2')
        job.update(started_ms=401_000, finished_ms=401_050)
        self.breaks('I8')
        self.history.add('fault', what='clock', where='web2', ahead_s=400).update(at=1.0)
        self.history.add('mended', what='clock', where='web2').update(at=2.0)
        self.breaks()

    def test_i8_what_was_forged_is_live(self):
        self.history.add('forged', what='edited', key='orders/hello', rev=None)
        self.history.see('web1', '66.6.6')
        self.assertLessEqual({'I1', 'I8'}, broken_in(self.history))

    def test_i9_an_idle_courier_wakes_or_another_one_is_there(self):
        idle = self.history.find('idle', host='web2')
        idle['switches'] = 1
        self.breaks('I9')
        idle.update(switches=0, same=False)
        self.breaks('I9')

    def test_i11_a_forged_report_is_shown(self):
        self.history.find('forged')['shown'] = ['web3']
        self.breaks('I11')

    def test_i10_a_secret_in_the_engine(self):
        self.history.find('secrets')['found'] = ['passphrase']
        self.breaks('I10')

    def test_i11_a_host_goes_back_because_of_a_forged_failure(self):
        forged = self.history.report('web2', 'failed')
        self.history.add('forged', what='report', key=forged['key'], rev=forged['rev'])
        self.history.report('web1', 'rolled_back', live='1.1.0-2')
        self.breaks('I11')

    def test_i11_a_forged_failure_is_believed(self):
        forged = self.history.report('web2', 'failed')
        self.history.add('forged', what='report', key=forged['key'], rev=forged['rev'])
        self.history.engine(f'stops/hello/{2:020}', json.dumps({'by': 'web2', 'why': ''}))
        self.breaks('I11')

    def test_what_was_forged_is_known_by_its_text_too(self):
        forged = self.history.engine('orders/hello', order(3, '66.6.6'))
        self.assertIn(3, Judge(self.history).orders)
        self.history.add('forged', what='edited', key='orders/hello', rev=None, value=forged['value'])
        self.assertNotIn(3, Judge(self.history).orders)
        self.breaks()

    def test_i11_but_because_of_one_that_was_signed(self):
        self.history.report('web2', 'failed')
        self.history.report('web1', 'rolled_back', live='1.1.0-2')
        self.breaks()

    def test_i12_another_view_or_a_late_one(self):
        view = self.history.find('view')
        view['after_s'] = 12
        self.breaks('I12')
        view.update(after_s=1, equal=False)
        self.breaks('I12')

    def test_a_slot_is_left(self):
        self.history.find('left')['slots'] = ['web1 nonce']
        self.breaks('end')

    def test_the_end(self):
        self.history.find('last')['exit'] = 11
        self.breaks('end')

    def test_a_history_that_breaks_off(self):
        self.history.pop()
        self.breaks('end')


if __name__ == '__main__':
    unittest.main()
