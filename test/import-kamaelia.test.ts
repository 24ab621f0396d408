// A greylist.conf of Kamaelia Grey as TOML.

import t from 'tap'
import { loadConfig } from '../lib/cli/config/load.ts'
import { importKamaelia } from '../lib/cli/import-kamaelia.ts'
import { run } from './fixtures/command.ts'

const CONF = `
# Kamaelia Grey
port = 8025
servername = mail.example.org
serverid = Kamaelia-SMTP 1.0
smtp_ip = 192.168.0.25
smtp_port=25
inactivity_timeout = 60
greylist_log = /var/log/greylist.log
greylist_debuglog = /var/log/greylist-debug.log
colour = blue

allowed_senders:
    127.0.0.1
    localhost

allowed_sender_nets:
    192.168.2
    10.
    nonsense
allowed_domains:
    localdomain
    example.org
whitelisted_triples:
    192.0.2.7  <anna@example.net>   <bob@example.org>
    192.0.2.7 <anna@example.net>
whitelisted_nonstandard_triples:
    out.facebook.example 66.220 <bob@example.org>
stray`

const withoutUpstream = (toml: string): string => toml.replace(/\[upstream\]\n.*\n\n/, '')

t.test('every key has its place, and the result is a good configuration', t => {
  const toml = importKamaelia(CONF)
  t.match(toml, /\n\[upstream\]\naddress = "192\.168\.0\.25:25"\n/)
  const { config } = loadConfig('m.toml', withoutUpstream(toml))
  t.match(config, {
    name: 'mail.example.org',
    listen: [{ address: { host: '::', port: 8025 } }],
    recipients: { domains: ['localdomain', 'example.org'] },
    timeouts: { idle: 60_000 },
    log: { file: '/var/log/greylist.log', debugFile: '/var/log/greylist-debug.log', format: 'kamaelia' },
    greylist: {
      preset: 'kamaelia',
      hold: 'all',
      allowClients: ['127.0.0.1', '192.168.2.0/24', '10.0.0.0/8'],
      triples: ['192.0.2.7 anna@example.net bob@example.org'],
      nonstandardTriples: ['out.facebook.example 66.220.0.0/16 bob@example.org'],
    },
  })
  t.end()
})

t.test('it says what has changed its meaning, and what was left out', t => {
  const toml = importKamaelia(CONF)
  for (const note of [
    /^# - line 11: colour was not known/m,
    /^# - line \d+ was left out: stray$/m,
    /^# - allowed_senders: localhost is no address/m,
    /^# - allowed_sender_nets: 192\.168\.2 is 192\.168\.2\.0\/24 now; it also let in every address that begins/m,
    /^# - allowed_sender_nets: nonsense is no prefix/m,
    /^# - allow_clients: .* may not send to other domains any more/m,
    /^# - whitelisted_triples: 192\.0\.2\.7 <anna@example\.net> is left out/m,
    /^# - serverid = Kamaelia-SMTP 1\.0: the greeting tells no version/m,
    /^# - recipients: other domains get 550/m,
  ]) {
    t.match(toml, note)
  }
  t.end()
})

t.test('an empty file, and text that would end a string', t => {
  t.doesNotThrow(() => loadConfig('m.toml', withoutUpstream(importKamaelia('allowed_domains:\n example.org\n'))))
  const hostile = importKamaelia('servername = a"\\nb\nallowed_domains:\n x"]\\n[log]\n')
  t.throws(() => loadConfig('m.toml', withoutUpstream(hostile)), /name/)
  t.end()
})

t.test('the command', async t => {
  const folder = t.testdir({ 'greylist.conf': CONF })
  t.match(await run(['import-kamaelia', 'greylist.conf'], folder), { code: 0, stdout: /^\[greylist\]$/m })
  t.match(await run(['import-kamaelia'], folder), { code: 2, stderr: /import-kamaelia takes a file/ })
  t.match(await run(['import-kamaelia', 'none'], folder), { code: 1, stderr: /none: there is no such file/ })
})
