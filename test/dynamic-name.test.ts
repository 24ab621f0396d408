// Names that look as if they were made from an address.

import t from 'tap'
import { looksDynamic } from '../lib/policies/greylist/dynamic-name.ts'

t.test('names of customers', t => {
  const table: [string, string | null][] = [
    ['dsl-192-0-2-7.isp.example', '192.0.2.7'],
    ['192-0-2-7.isp.example', '192.0.2.7'],
    ['7.2.0.192.isp.example', '192.0.2.7'],
    ['cpe-0-2-7.isp.example', '192.0.2.7'],
    ['p192000002007.isp.example', '192.0.2.7'],
    ['c0000207.isp.example', '192.0.2.7'],
    ['static.7.2.0.192.clients.your-server.de', '192.0.2.7'],
    ['p5b3a1234.dip0.t-ipconnect.de', '91.58.18.52'],
    ['pool-12.isp.example', null],
    ['vps123.hoster.example', '192.0.2.7'],
    ['h123456789abcdef0.isp.example', '2001:db8:1:2:1234:5678:9abc:def0'],
  ]
  for (const [name, address] of table) t.ok(looksDynamic(name, address), name)
  t.end()
})

t.test('names of mail servers', t => {
  for (const [name, address] of [
    ['a8-62.smtp-out.amazonses.com', '54.240.8.62'],
    ['mail-ej1-f53.google.com', '209.85.218.53'],
    ['mail-db3eur04on2054.outbound.protection.outlook.com', '40.107.22.54'],
    ['mout.gmx.net', '212.227.15.19'],
    ['mx.static-host.example', '192.0.2.7'],
    ['mx.pool.example', '192.0.2.7'],
    ['mail', null],
  ] as const) {
    t.notOk(looksDynamic(name, address), name)
  }
  t.end()
})
