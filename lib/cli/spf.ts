// SPF needs mailauth, an optional peer of the package: `npm install mailhandler` does not bring it.

import { mailauthSpf } from '../policies/suspicion/mailauth-spf.ts'
import type { SpfCheck } from '../policies/suspicion/spf.ts'
import { wrong } from '../words/option-checks.ts'
import { isInstalled } from './installed.ts'

let check: Promise<SpfCheck> | null = null

/** Returns the check, which loads mailauth at its first call. Throws `ERR_OPTION`, which says what to install, if it is missing. */
export function spfByMailauth(): SpfCheck {
  if (!isInstalled('mailauth/lib/spf/index.js')) throw wrong('SPF needs another package: npm install mailauth@4.13.3')
  return async request => (await (check ??= mailauthSpf()))(request)
}
