"""After a boot: the host is unlocked, jobs that were under way end, and all must agree. What the interrupted stream had been answered is in
`answered`: each of these jobs is known."""
import os
import time

import host
from kills import disagreements_now


def booted_ms():
    with open('/proc/1/stat', encoding='utf-8') as file:
        began = int(file.read().rsplit(')', 1)[1].split()[19]) / 100
    return int((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + began) * 1000)


def main():
    host.wait_until(host.answers, 300)
    stood = host.open_jobs()
    host.unlock()
    host.wait_until_idle(300)
    wrong = disagreements_now(None)
    known = {row['id'] for row in host.sql('SELECT id FROM jobs')}
    answered = host.read(f'{host.HOME}/answered').split() if os.path.exists(f'{host.HOME}/answered') else []
    wrong.expect(known.issuperset(answered), f'jobs that were acknowledged are not known: {set(answered) - known}')
    for line in wrong:
        print(f'  {line}')
    steps = [f"{row['kind']} in {row['step']}" for row in host.sql(
        "SELECT jobs.kind, events.step FROM events JOIN jobs ON jobs.seq = events.job"
        " WHERE events.text LIKE 'the daemon was restarted %' AND events.time_ms >= ?", booted_ms())]
    print(f"{len(known)} jobs, {len(stood)} still open, interrupted: {', '.join(steps) or 'none'}; {host.visit()[0]} is live: {len(wrong)} wrong", flush=True)
    raise SystemExit(1 if wrong else 0)


main()
