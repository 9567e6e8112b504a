"""Makes the box a chillbox host for the crash tests: set up, one sender, one deployer, unlocked, with two good releases of the site 'crash', of which
1.0.1 is live. chillboxd gets the failpoints preloaded and is started again at once when it dies."""
import os

import host

# Backups are for a laptop, too: any key, nothing of these tests opens one with it.
RECIPIENT = 'age183jdktn5l3sukderwt3hrkw550cvvxmw02ukuu0kse7w3q00zc0qqsv3mq'


def settings():
    os.makedirs('/etc/chillbox/hooks.d/handlers', exist_ok=True)
    host.must('cp', '-r', f'{host.HOME}/handler', '/etc/chillbox/hooks.d/handlers/x-crash')
    with open('/etc/conf.d/chillboxd', 'w', encoding='utf-8') as file:
        file.write(f'export LD_PRELOAD={host.HOME}/failpoint.so CHILLBOX_FAILPOINTS={host.Failpoints.PATH}\n'
                   'respawn_max=0\n')
    # A sender that a power cut ended uploads nothing any more.
    host.must('sed', '-i', 's/^# upload_wait = .*/upload_wait = "30s"/', '/etc/chillbox/chillboxd.toml')
    if os.path.exists('/etc/chillbox/ca.pem'):  # with a CA, the site is on https as well
        host.must('sed', '-i', 's|^# acme = .*|acme = "https://127.0.0.1:14443/dir"\\nca_file = "/etc/chillbox/ca.pem"\\nprofile = "tlsserver"|',
                  '/etc/chillbox/chillboxd.toml')
    backups()
    host.Failpoints()


def backups():
    os.makedirs('/etc/chillbox/backup', exist_ok=True)
    os.mkdir(host.TARGET)
    host.must('chown', 'chillbox-backup:', host.TARGET)
    with open('/etc/chillbox/backup/dir', 'w', encoding='utf-8', opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(f'path={host.TARGET}\n')
    host.must('sed', '-i', f'/^\\[backup\\]/,/^\\[/{{s/^# target = .*/target = "dir"/;s/^# recipients = .*/recipients = ["{RECIPIENT}"]/}}',
              '/etc/chillbox/chillboxd.toml')


def main():
    reading, writing = os.pipe()
    os.write(writing, host.PASSPHRASE.encode() + b'\n')
    os.close(writing)
    host.must('chillboxctl', 'init', '-q', '--work-factor', '10', '--passphrase-fd', str(reading), pass_fds=[reading])
    host.must('chillboxctl', 'keygen', '-q', '-o', f'{host.HOME}/deployer', '--no-password')
    host.must('chillboxctl', 'trust', 'add', f'{host.HOME}/deployer.pub', '--name', 'laptop')
    with open(f'{host.HOME}/hook.key', 'w', encoding='utf-8') as file:
        file.write(host.must('chillboxctl', 'webhook', 'add', 'laptop', '--all-sites', '--all-types'))
    settings()
    host.must('rc-update', '-q', 'add', 'chillboxd', 'default')
    host.must('rc-service', '-q', 'chillboxd', 'start', stdin=-3)
    host.unlock()
    laptop = host.Laptop()
    for artifact in laptop.pack_secrets('word0'), laptop.pack('1.0.0'), laptop.pack('1.0.1', ['two.example']):
        artifact.send(f'prepare-{artifact.sha256[:8]}')
        host.wait_until_idle(300)  # a virtual machine without KVM is slow


main()
