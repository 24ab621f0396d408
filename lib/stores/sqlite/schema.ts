// The tables. A later version of this package with other columns takes other names, and leaves these alone.

import { DIGEST_OCTETS } from '../keys.ts'

/** The tables that hold entries. */
export type TableName = 'triplets_1' | 'clients_1' | 'rates_1' | 'known_1'

/** Key columns hold digests; a key of triplets begins with its client's digest. Times are milliseconds since 1970. */
export const SCHEMA = `
  create table if not exists triplets_1 (
    key blob primary key, version, first, last, expires, waited, attempts, counted, client, domain, reason
  ) without rowid;
  create table if not exists clients_1 (
    key blob primary key, version, passes, counted, last, expires, client
  ) without rowid;
  create table if not exists rates_1 (key blob primary key, free) without rowid;
  create table if not exists known_1 (key blob primary key, until) without rowid;
  create table if not exists counts_1 (
    id integer primary key check (id = 1),
    unconfirmed int not null, passed int not null, clients int not null, rates int not null, known int not null
  );
  insert or ignore into counts_1 values (1, 0, 0, 0, 0, 0);
`

/** Gives a row if the tables exist. */
export const HAS_SCHEMA = `select 1 from sqlite_schema where name = 'counts_1'`

/** The version of a row; a row of another one counts as absent, and is overwritten. */
export const ROW_VERSION = 1

/** Above every key. */
export const LAST_KEY: string = '\xff'.repeat(2 * DIGEST_OCTETS + 1)

/** Above every key that begins with this client's digest. */
export function endOfClient(client: string): string {
  return client + '\xff'.repeat(DIGEST_OCTETS + 1)
}

/** A key, one octet a character, as the tables have it. */
export function blob(key: string): Uint8Array {
  return Buffer.from(key, 'latin1')
}

/** A key of the tables as it is everywhere else. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
