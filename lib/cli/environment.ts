// Problems outside of a configuration: a Maildir or a log that this process cannot write to, a certificate that clients
// will not accept. `check` prints them. A server logs them at its start, and serves all the same.

import { X509Certificate } from 'node:crypto'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { probeMaildir } from '../deliveries/probe-maildir.ts'
import { printable } from '../words/printable.ts'
import type { Config } from './config/config.ts'
import type { Loaded } from './config/load.ts'
import type { KeyPath } from './config/locate.ts'
import type { Destination } from './destination.ts'
import type { Problem } from './config/problems.ts'
import { passesOn } from './config/upstream.ts'
import { verdictFileOf } from './stores.ts'

/** Finds the problems of the user that this process runs as. Never rejects. */
export async function environmentProblems(
  { config, own, problem }: Loaded,
  destination: Destination | null = null,
  now: number = Date.now(),
): Promise<Problem[]> {
  const found = certificateProblems(config, now)
  const { maildir, log } = config
  const isMaildir = !passesOn(config) && config.delivery === undefined && own?.delivery === undefined
  // An upstream is tried by whoever can say more of it.
  const probe = isMaildir ? () => probeMaildir(maildir) : destination?.relay === null ? () => destination.probe() : null
  try {
    await probe?.()
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    found.push([isMaildir ? ['maildir'] : destination!.key, `cannot be delivered to: ${message || code}`])
  }
  for (const [path, file] of storeFiles(config)) {
    const why = whyNotWritable(file) ?? whyNotWritable(join(dirname(file), 'other')) // SQLite has files beside it
    if (why !== null) found.push([path, `cannot be written to: ${why}`])
  }
  for (const [key, file] of [['file', log.file] as const, ['debug_file', log.debugFile] as const]) {
    const why = file === undefined ? null : whyNotWritable(file)
    if (why !== null) found.push([['log', key], `cannot be written to: ${why}`])
  }
  return found.map(([path, what]) => problem(path, printable(what)))
}

/** The files of stores. */
function storeFiles(config: Config): [path: KeyPath, file: string][] {
  const verdicts = verdictFileOf(config)
  const { greylist } = config
  return [
    ...(verdicts === null ? [] : [[['verdicts'], verdicts] as [KeyPath, string]]),
    ...(greylist === undefined || greylist.redis !== undefined
      ? []
      : [[['greylist', 'file'], greylist.file] as [KeyPath, string]]),
  ]
}

function whyNotWritable(file: string): string | null {
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) return 'it is a folder'
    try {
      accessSync(file, constants.W_OK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      accessSync(dirname(file), constants.W_OK | constants.X_OK)
    }
    return null
  } catch (error) {
    return (error as Error).message
  }
}

type Found = [path: KeyPath, what: string]

function certificateProblems({ tls, name }: Config, now: number): Found[] {
  if (tls === undefined) return []
  return [
    ...problemsOf(tls.cert, name === undefined ? [] : [name], now).map((what): Found => [['tls', 'cert'], what]),
    ...tls.names.flatMap(({ cert, names }, i) => {
      return problemsOf(cert, names, now).map((what): Found => [['tls', 'names', i, 'cert'], what])
    }),
  ]
}

/** Finds what clients that ask for one of these names will not accept. */
function problemsOf(file: string, names: readonly string[], now: number): string[] {
  const certificate = readCertificate(file)
  if (certificate instanceof Error) return [certificate.message]
  const { validFrom, validTo, subjectAltName, subject } = certificate
  const found: string[] = []
  if (now > Date.parse(validTo)) found.push(`the certificate expired on ${validTo}`)
  if (now < Date.parse(validFrom)) found.push(`the certificate is not valid before ${validFrom}`)
  const others = names.filter(each => certificate.checkHost(each.replace(/^\*\./, 'any.')) === undefined)
  if (others.length > 0) {
    found.push(`the certificate is not for ${others.join(', ')}, but for ${subjectAltName ?? subject}`)
  }
  return found
}

function readCertificate(file: string): X509Certificate | Error {
  try {
    return new X509Certificate(readFileSync(file))
  } catch (error) {
    return error as Error
  }
}
