import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sqliteStore } from '../lib/stores.ts'
import { storeContract } from '../lib/testing/index.ts'

storeContract((name, run) => t.test(name, run), {
  shared: true,
  decisions: 20_000,
  fixture() {
    const folder = mkdtempSync(join(tmpdir(), 'mailhandler-store-'))
    const file = join(folder, 'store.db')
    return {
      open: options => sqliteStore({ file, window: 0, timeout: 20_000, ...options }),
      remove: () => rmSync(folder, { recursive: true }),
      child: { module: new URL('./fixtures/sqlite-child.js', import.meta.url).href, argument: file },
    }
  },
})
