import t from 'tap'
import { memoryStore } from '../lib/stores.ts'
import { storeContract } from '../lib/testing/index.ts'

storeContract((name, run) => t.test(name, run), { fixture: () => ({ open: memoryStore }) })
