// The keys of an address. No package is needed for them, unlike for those of a name.

import { networkOf } from '../../protocol/networks/network.ts'

const NETWORK = { v4: 24, v6: 64 } as const
/** A network of IPv6 is what one machine gets: it may take any address of it. */
const ADDRESS = { v4: 32, v6: 64 } as const

/** What of a client's address may get past greylisting: its network, or the address alone. */
export type AllowBy = 'network' | 'address'

/** The keys of an address; the last of them is the one that may get past greylisting. */
export function addressKeys(address: string, allowBy: AllowBy): readonly string[] {
  const network = `net:${networkOf(address, NETWORK)}`
  const allowed = `net:${networkOf(address, allowBy === 'address' ? ADDRESS : NETWORK)}`
  return allowed === network ? [network] : [network, allowed]
}
