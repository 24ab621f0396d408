// mailhandler/dns: a resolver with deadlines and a cache, the names of clients, DNS lists.
/// <reference types="node" preserve="true" />

export {
  resolver,
  type DnsAnswer,
  type DnsCallOptions,
  type DnsFound,
  type DnsNone,
  type DnsRecords,
  type DnsResolver,
  type DnsType,
  type DnsUnknown,
  type MxRecord,
  type ResolverOptions,
} from './dns/resolver.ts'
export {
  hostName,
  type ConfirmedName,
  type HostName,
  type HostNameOptions,
  type NoName,
  type UnconfirmedNames,
  type UnknownName,
} from './dns/host-name.ts'
export { dnsbl, type Dnsbl, type DnsblOptions, type DnsblResult, type DnsblZone, type Listing } from './dns/dnsbl.ts'
