// The fields that the server adds before a message.

import { greylistFields } from '../policies/greylist/header.ts'
import type { HeaderFields } from '../protocol/header/header-field.ts'
import type { Session } from '../smtp/session.ts'
import type { Config } from './config/config.ts'

/** Adds X-Greylist below the trace fields, if `greylist.header` asks for it. */
export function withGreylist<Rest extends readonly unknown[]>(
  trace: (session: Session, ...rest: Rest) => HeaderFields,
  { greylist }: Pick<Config, 'greylist'>,
): (session: Session, ...rest: Rest) => HeaderFields {
  if (greylist?.header !== true) return trace
  return (session, ...rest) => [...pairs(trace(session, ...rest)), ...greylistFields(session)]
}

function pairs(fields: HeaderFields): Iterable<readonly [string, string]> {
  return Symbol.iterator in fields ? (fields as Iterable<readonly [string, string]>) : Object.entries(fields)
}
