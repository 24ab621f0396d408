import t from 'tap'
import { listenDescriptors } from '../lib/server/systemd.ts'

t.test('descriptors with and without names', async t => {
  const mine = { LISTEN_PID: '77', LISTEN_FDS: '2' }
  t.same(listenDescriptors(mine, 77), [
    { fd: 3, name: 'unknown' },
    { fd: 4, name: 'unknown' },
  ])
  t.same(listenDescriptors({ ...mine, LISTEN_FDNAMES: 'smtp:submission' }, 77), [
    { fd: 3, name: 'smtp' },
    { fd: 4, name: 'submission' },
  ])
  t.same(listenDescriptors({ ...mine, LISTEN_FDNAMES: ':smtp' }, 77), [
    { fd: 3, name: '' },
    { fd: 4, name: 'smtp' },
  ])
})

t.test('nothing was passed to this process', async t => {
  t.same(listenDescriptors({}, 77), [])
  t.same(listenDescriptors({ LISTEN_FDS: '1' }, 77), [])
  t.same(listenDescriptors({ LISTEN_PID: '77' }, 77), [])
  t.same(listenDescriptors({ LISTEN_PID: '78', LISTEN_FDS: '1' }, 77), [])
  t.same(
    listenDescriptors({ LISTEN_PID: '78', LISTEN_FDS: 'wrong' }, 77),
    [],
    'what another process is told is not looked at',
  )
  t.same(listenDescriptors({ LISTEN_PID: '77', LISTEN_FDS: '0' }, 77), [])
  t.same(listenDescriptors({ LISTEN_PID: '77', LISTEN_FDS: '0', LISTEN_FDNAMES: '' }, 77), [])
})

t.test('what systemd never says', async t => {
  const table: [string, string, string | undefined, RegExp][] = [
    ['', '1', undefined, /LISTEN_PID/],
    ['self', '1', undefined, /LISTEN_PID/],
    ['-77', '1', undefined, /LISTEN_PID/],
    ['77 ', '1', undefined, /LISTEN_PID/],
    ['77', '', undefined, /LISTEN_FDS/],
    ['77', '-1', undefined, /LISTEN_FDS/],
    ['77', '1e3', undefined, /LISTEN_FDS/],
    ['77', '0x1', undefined, /LISTEN_FDS/],
    ['77', '65537', undefined, /LISTEN_FDS/],
    ['77', '99999999999999999999', undefined, /LISTEN_FDS/],
    ['77', '1\n', undefined, /LISTEN_FDS/],
    ['77', '2', 'smtp', /1 names for 2/],
    ['77', '1', 'smtp:lmtp', /2 names for 1/],
  ]
  for (const [LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, message] of table) {
    t.throws(() => listenDescriptors({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES }, 77), { code: 'ERR_OPTION', message })
  }
})
