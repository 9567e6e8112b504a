"""What must hold on the crash tests' host when nothing is under way: store, links, OpenRC, NGINX, processes, mounts and directories tell the same.
`disagreements` looks from outside and returns what is wrong, one line each."""
import hashlib
import json
import os
import time

from host import DATA, DOMAIN, RUN, SITE, SITES, STATE, TARGET, TEMPORARY, control, link, listing, must, read, request, run, sql, visit

SLOT = f'chillbox.{SITE}.app.'


class Findings(list):
    def expect(self, holds, text):
        if not holds:
            self.append(text)


def processes():
    """pid: (parent, user id, name, command line) of every process that has not ended."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            status = dict(line.split(':\t', 1) for line in read(f'/proc/{pid}/status').splitlines() if ':\t' in line)
            command = read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()
        except OSError:
            continue
        if status['State'][0] not in 'ZX':
            found[int(pid)] = (int(status['PPid']), status['Uid'].split()[0], status['Name'].strip(), command)
    return found


def check_jobs(wrong):
    for job in sql("SELECT id, kind, state, seq FROM jobs WHERE kind <> 'ping'"):
        ends = sql("SELECT count(*) AS n, max(number) AS last FROM events WHERE job = ? AND kind = 'end'", job['seq'])[0]
        last = sql('SELECT max(number) AS last FROM events WHERE job = ?', job['seq'])[0]['last']
        wrong.expect(ends['n'] == 1, f"job {job['id']} ({job['kind']}, {job['state']}) has {ends['n']} ends")
        wrong.expect(ends['last'] == last, f"job {job['id']} ({job['kind']}) went on behind its end")
    told = sql("SELECT count(*) AS n FROM audit WHERE site = ? AND outcome <> 'interrupted' AND verb IN (SELECT kind FROM jobs)", SITE)[0]['n']
    ended = sql("SELECT count(*) AS n FROM jobs WHERE kind <> 'ping' AND state IN ('done', 'failed')")[0]['n']
    wrong.expect(told == ended, f'{ended} jobs ended, the audit trail tells of {told}')
    for row in sql('SELECT site, id FROM releases WHERE state = "staged"'):
        wrong.append(f"release {row['id']} is still being made")
    wrong.expect(run('chillboxctl', 'audit', 'verify').returncode == 0, 'the audit trail does not verify')


def check_runs(wrong):
    """Of the commands of `chillboxctl run`: each has one end, and nothing else of it is left. A run that the daemon outlived says how its command ended."""
    for row in sql("SELECT id, state, ended_ms, code FROM cron_runs WHERE kind = 'command'"):
        ended = (row['state'] == 'failed' and row['code'] == 3) or (row['state'] == 'lost' and row['code'] is None)
        wrong.expect(row['ended_ms'] > 0 and ended, f"run {row['id']} is {row['state']}, code {row['code']}, ended {row['ended_ms']}")
    wrong.expect(not listing(f'{RUN}/tasks'), f"files of no task: {listing(f'{RUN}/tasks')}")
    groups = [name for name in listing('/sys/fs/cgroup') if name.startswith('chillbox.task.')]
    wrong.expect(not groups, f'control groups of no task: {groups}')


def check_site(wrong, live):
    row = sql('SELECT * FROM sites WHERE site = ?', SITE)
    release = sql('SELECT * FROM releases WHERE site = ? AND id = ?', SITE, row[0]['live'] if row else '')
    if not release:
        return wrong.append('the store has no live release')
    release = release[0]
    wrong.expect(release['version'] == live[0], f"the store says {release['version']} is live, wanted {live[0]}")
    serial = sql("SELECT value FROM counters WHERE site = ? AND what = 'site'", SITE)
    wrong.expect(serial and serial[0]['value'] >= release['serial'], f"serial {release['serial']} is live, installed is {serial}")
    wrong.expect(release['state'] in ('good', 'unproven'), f"the live release is {release['state']}")
    wrong.expect(link(f'{SITES}/{SITE}/current') == 'releases/' + release['id'], f"current is {link(f'{SITES}/{SITE}/current')}")
    wrong.expect(link(f'{RUN}/live/{SITE}/app.sock') == f"{RUN}/slots/{SITE}/app.{release['slot']}.sock",
                 f"the live socket is {link(f'{RUN}/live/{SITE}/app.sock')}, its slot is {release['slot']}")
    wrong.expect(visit() == live, f'a visitor gets {visit()}, wanted {live}')
    wrong.expect(request('GET', '/version')[1].strip() == live[0], f"the page is {request('GET', '/version')}")
    wrong.expect(read(nginx_file(SITE)) == release['nginx'], 'NGINX has another text than the store')
    hosts = {host['host'] for host in sql('SELECT host FROM hosts WHERE site = ?', SITE)}
    wrong.expect(DOMAIN in hosts and all(host in release['nginx'] for host in hosts), f'the claimed hosts are {sorted(hosts)}')
    for host in ('d0.example', 'd1.example', 'two.example'):
        status = request('GET', '/', host=host)[0]
        wrong.expect((status == 308) == (host in hosts), f'NGINX answers {status} as {host}, the claimed hosts are {sorted(hosts)}')
    secrets = sql('SELECT sha256 FROM secret_sets WHERE site = ?', SITE)
    wrong.expect(secrets and secrets[0]['sha256'] == release['secrets'], 'the live release has another secret set than the store')
    wrong.expect(read(f'{RUN}/secrets/{SITE}/app/word').strip() == live[1], 'another secret is staged')
    slots = [name for name in listing('/etc/init.d') if name.startswith('chillbox.')]
    wrong.expect(slots == [SLOT + release['slot']], f'OpenRC has {slots}, the slot is {release["slot"]}')
    good = {row['id'] for row in sql('SELECT id FROM releases WHERE site = ? AND state IN ("good", "unproven")', SITE)}
    wrong.expect(set(listing(f'{SITES}/{SITE}/releases')) == good, f"releases on disk: {listing(f'{SITES}/{SITE}/releases')}, good: {sorted(good)}")
    wrong.expect(row[0]['previous_good'] == '' or row[0]['previous_good'] in good, f"the release to go back to is {row[0]['previous_good']}")


def check_snapshots(wrong, data, own):
    """Each is whole and of a release that is kept; `own`: it has the data that its release made."""
    top = f'{STATE}/snapshots/{SITE}'
    good = {row['id']: row['version'] for row in sql('SELECT id, version FROM releases WHERE site = ? AND state IN ("good", "unproven")', SITE)}
    wrong.expect(not os.path.exists(f'{top}/exchange.json'), 'the record of an exchange is left')
    wrong.expect(not listing(f'{RUN}/snapshots/{SITE}'), f"snapshots that are not on the disk: {listing(f'{RUN}/snapshots/{SITE}')}")
    for number in listing(top):
        try:
            about = json.loads(read(f'{top}/{number}/about.json'))
        except (OSError, ValueError):
            wrong.append(f'snapshot {number} is not whole')
            continue
        wrong.expect(about['release'] in good, f'snapshot {number} is of {about["release"]}')
        if own and about['release'] in good and good[about['release']].startswith('3.'):
            kept = read(f'{top}/{number}/data/app/version')
            wrong.expect(kept == good[about['release']], f"snapshot {number} of {about['release']} has the data of {kept}")
    if data:
        wrong.expect(read(DATA) == data, f'the data are those of {read(DATA)}, wanted {data}')


def check_backups(wrong):
    """What is said to be stored is at the target, whole and signed, and nothing else is on this host."""
    waiting = set()
    for backup in control('backup_list', site=SITE)['backups']:
        path = f"{TARGET}/{backup['name']}"
        if not backup.get('stored_ms'):
            waiting |= {os.path.basename(path), os.path.basename(path) + '.minisig'}
            continue
        try:
            with open(path, 'rb') as file:
                digest = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            digest = str(error)
        wrong.expect(digest == backup['sha256'], f"backup {backup['name']} is {digest} at the target, wanted {backup['sha256']}")
        wrong.expect(os.path.isfile(path + '.minisig'), f"backup {backup['name']} has no signature")
    here = set(listing(f'{STATE}/backups/{SITE}'))
    wrong.expect(here == waiting, f'on this host: {sorted(here)}, waiting to be stored: {sorted(waiting)}')
    for scratch in ('work', 'proof'):
        wrong.expect(not listing(f'{STATE}/backups/{scratch}'), f"scratch is left: {listing(f'{STATE}/backups/{scratch}')}")


def check_gone(wrong):
    for table in ('sites', 'releases', 'hosts', 'secret_sets'):
        wrong.expect(not sql(f'SELECT 1 FROM {table} WHERE site = ?', SITE), f'{table} still has the site')
    for path in (f'{SITES}/{SITE}', f'{RUN}/live/{SITE}', f'{RUN}/slots/{SITE}', f'{RUN}/secrets/{SITE}', nginx_file(SITE)):
        wrong.expect(not os.path.lexists(path), f'{path} is still there')
    wrong.expect(visit()[0] in ('404', '421'), f'a visitor still gets {visit()}')
    wrong.expect(not listing(f'{STATE}/secrets'), f"secret sets stay: {listing(f'{STATE}/secrets')}")


def nginx_file(site):
    directory = '/etc/nginx/http.d' if os.path.isdir('/etc/nginx/http.d') else '/etc/nginx/conf.d'
    return f'{directory}/chillbox.{site}.conf'


def check_openrc(wrong, names):
    """What has an init script runs, and nothing else is known of."""
    for directory, ending in (('/etc/init.d', ''), ('/etc/conf.d', ''), (f'{RUN}/slots', '.json'), ('/run/openrc/started', '')):
        found = [name for name in listing(directory) if name.startswith('chillbox.') and name.endswith(ending)]
        wrong.expect(found == [name + ending for name in names], f'{directory} has {found}, wanted {names}')
    for directory in ('starting', 'stopping', 'failed', 'inactive'):
        found = [name for name in listing(f'/run/openrc/{directory}') if name.startswith('chillbox')]
        wrong.expect(not found, f'OpenRC says {directory}: {found}')


def check_processes(wrong, names):
    all_of_them = processes()
    by_user = {}
    for pid, (parent, uid, _, command) in all_of_them.items():
        by_user.setdefault(uid, []).append((pid, parent, command))
    site = run('id', '-u', SITE).stdout.strip()
    own = [p for p in by_user.get(site, [])]
    wrong.expect(len(own) == len(names), f'processes of the site: {own}')
    for user, most in (('chillbox', 1), ('chillbox-vault', 1)):
        found = by_user.get(must('id', '-u', user).strip(), [])
        wrong.expect(len(found) <= most, f'processes of {user}: {found}')
    jobs = {uid: found for uid, found in by_user.items() if 65024 <= int(uid) <= 65279}
    wrong.expect(not jobs, f'processes of users of jobs: {jobs}')
    supervisors = [c for _, _, _, c in all_of_them.values() if 'supervise-daemon' in c]
    wrong.expect(len(supervisors) == len(names) + 1, f'supervisors: {supervisors}')
    daemons = [(pid, c) for pid, (_, _, _, c) in all_of_them.items() if c.endswith('/chillboxd')]
    wrong.expect(len(daemons) == 1, f'monitors: {daemons}')
    group = next((f'/sys/fs/cgroup/{name}/cgroup.procs' for name in ('openrc.chillboxd', 'chillboxd') if os.path.isdir(f'/sys/fs/cgroup/{name}')), '')
    if os.path.exists(group):
        expected = ('supervise-daemon', 'chillboxd')
        left = [all_of_them[int(pid)] for pid in read(group).split() if int(pid) in all_of_them]
        wrong.expect(all(any(word in c for word in expected) for _, _, _, c in left), f'left in the daemon\'s cgroup: {left}')


def check_files(wrong, mounts):
    now = sorted(read('/proc/mounts').splitlines())
    wrong.expect(mounts is None or now == mounts, 'the mounts are others')
    wrong.expect(sum(f' {RUN}/' in line for line in now) == 4, f'mounts of chillbox: {[line for line in now if RUN in line]}')
    wrong.expect(not os.path.exists(f'{RUN}/nginx-candidate'), 'the candidate of nginx -t is left')
    begun = [name for name in listing(f'{RUN}/secrets') if name.startswith('.')]
    wrong.expect(not begun, f'secret sets of nobody: {begun}')
    for path in (f'{RUN}/stage', f'{STATE}/inbox'):
        wrong.expect(not listing(path), f'{path} has {listing(path)}')
    for top in (STATE, SITES, RUN, '/etc/nginx', '/etc/init.d', '/etc/conf.d'):
        for directory, folders, files in os.walk(top):
            left = [name for name in folders + files if TEMPORARY.match(name) or name.endswith('.part')]
            wrong.expect(not left, f'left in {directory}: {left}')
    for site in listing(SITES):
        wrong.expect(bool(sql('SELECT 1 FROM sites WHERE site = ?', site)), f'a directory of no site: {site}')
    kept = {row['sha256'] for row in sql("SELECT sha256 FROM releases WHERE state IN ('good', 'unproven') UNION SELECT sha256 FROM jobs WHERE state = 'failed'")}
    stray = {name.split('.')[0] for name in listing(f'{STATE}/artifacts')} - kept
    wrong.expect(not stray, f'artifacts of nobody: {sorted(stray)}')
    sets = {f"{row['site']}-{row['sha256']}.age" for row in sql("SELECT site, sha256 FROM secret_sets UNION"
                                                                " SELECT site, secrets FROM releases WHERE state IN ('good', 'unproven') AND secrets <> ''")}
    stray = set(listing(f'{STATE}/secrets')) - sets
    wrong.expect(not stray, f'secret sets that were replaced: {sorted(stray)}')
    wrong.expect(run('nginx', '-t').returncode == 0, '`nginx -t` is not content')


def disagreements(live, mounts, seconds=10.0, data=None, own=False):
    """live: (version, secret) that a visitor must get; None: the site was removed. mounts: /proc/mounts as it was, sorted; None: not known.
    data: the version that the data must name; None: any. own: each snapshot has the data of its release.
    What is old goes behind a job's end, so that what is wrong has some seconds to be put right."""
    end = time.monotonic() + seconds
    while (wrong := look(live, mounts, data, own)) and time.monotonic() < end:
        time.sleep(0.2)
    return wrong


def look(live, mounts, data=None, own=False):
    wrong = Findings()
    check_jobs(wrong)
    check_runs(wrong)
    check_site(wrong, live) if live else check_gone(wrong)
    check_snapshots(wrong, data, own)
    if live:
        check_backups(wrong)
    names = [name for name in listing('/etc/init.d') if name.startswith('chillbox.')]
    check_openrc(wrong, names)
    check_processes(wrong, names)
    check_files(wrong, mounts)
    return wrong
