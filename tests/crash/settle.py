"""After a boot: the host is unlocked, jobs that were under way end, and all must agree. What the interrupted stream had been answered is in
`answered`: each of these jobs is known."""
import os

import host
from kills import disagreements_now


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
    steps = [row['step'] for job in stood for row in host.sql(
        "SELECT step FROM events WHERE job = ? AND text LIKE 'the daemon was restarted %' ORDER BY number DESC LIMIT 1", job['seq'])]
    print(f"{len(known)} jobs, {len(stood)} were open{', in ' if steps else ''}{', '.join(steps)}; {host.visit()[0]} is live: {len(wrong)} wrong", flush=True)
    raise SystemExit(1 if wrong else 0)


main()
