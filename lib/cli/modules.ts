// Modules of one's own: [[policy]] and [delivery] with `module`. They are loaded before the settings are made, and again
// when the configuration is read again and their file has changed.

import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Delivery, Policy } from '../smtp/hooks.ts'
import { checkDelivery, checkPolicies } from '../smtp/option-checks.ts'
import { printable } from '../words/printable.ts'
import { placeOf } from './module-error.ts'
import type { ModuleConfig } from './config/delivery.ts'
import type { Loaded } from './config/load.ts'
import type { KeyPath } from './config/locate.ts'
import { ConfigError, type Problem } from './config/problems.ts'
import { loadGreylisting } from './waiting-policies.ts'

/** What a module's `policy` or `delivery` is told. */
export interface ModuleContext {
  /** The name of this server. */
  readonly name: string
  /** Aborted when the configuration was replaced, or the server has ended: let go of connections and timers. */
  readonly signal: AbortSignal
}

/** What a module exports. */
export interface PolicyModule<Options = never> {
  /**
   * Checks the options of the configuration, and returns what `policy` and `delivery` get. It throws an Error for a wrong
   * one; its `path`, a list of keys, says which. Without it the module takes no options.
   */
  readonly options?: (given: unknown) => Options
  /** Makes the policy of a `[[policy]]`. */
  readonly policy?: (options: Options, context: ModuleContext) => Policy
  /** Makes the delivery of `[delivery]`. */
  readonly delivery?: (options: Options, context: ModuleContext) => Delivery
}

/** A module that was loaded, with its options checked. */
export interface LoadedModule {
  make(context: ModuleContext): Policy | Delivery
}

/** The modules of a configuration. */
export interface Modules {
  readonly policies: readonly LoadedModule[]
  readonly delivery: LoadedModule | null
}

/** What {@link loadParts} adds. */
export interface WithModules {
  readonly modules: Modules
}

/** Loads what a configuration names besides files: modules, and greylisting. Rejects with a ConfigError. */
export async function loadParts(loaded: Loaded): Promise<Loaded & WithModules> {
  await loadGreylisting(loaded)
  const { policy = [], delivery } = loaded.config
  const problems: Problem[] = []
  const load = async (given: ModuleConfig, at: KeyPath, kind: 'policy' | 'delivery'): Promise<LoadedModule | null> => {
    try {
      return await loadModule(given, kind, loaded.folder)
    } catch (error) {
      const { path = [], message } = error as Error & { readonly path?: KeyPath }
      problems.push(loaded.problem([...at, ...path], printable(message)))
      return null
    }
  }
  const policies: (LoadedModule | null)[] = []
  for (const [i, each] of policy.entries()) policies.push(await load(each, ['policy', i], 'policy'))
  const module = delivery?.module
  const taking = module === undefined ? null : await load({ ...delivery, module }, ['delivery'], 'delivery')
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...loaded, modules: { policies: policies.filter(each => each !== null), delivery: taking } }
}

async function loadModule(
  { module, options }: ModuleConfig,
  kind: 'policy' | 'delivery',
  folder: string,
): Promise<LoadedModule> {
  const exported = (await importModule(module, folder)) as PolicyModule<unknown>
  const make = exported[kind]
  if (typeof make !== 'function') throw at('module', `${module} exports no function named ${kind}`)
  if (exported.options === undefined && options !== undefined) {
    throw at('options', `${module} takes no options: it exports no function named options`)
  }
  if (exported.options !== undefined && typeof exported.options !== 'function') {
    throw at('module', `${module}: its export named options is not a function`)
  }
  const checked = checkOptions(exported, options)
  return {
    make(context) {
      const made: unknown = make(checked, context)
      if (typeof made !== 'object' || made === null) {
        throw new Error(`${module}: its function ${kind} returns no object with hooks`)
      }
      if (!('then' in made)) return checkHooks(module, kind, made)
      throw new Error(`${module}: its function ${kind} returns a promise; prepare at the top of the module, with await`)
    },
  }
}

/** Throws an Error that names the module, since its key has a place in the configuration. */
function checkHooks(module: string, kind: 'policy' | 'delivery', made: object): Policy | Delivery {
  try {
    return kind === 'policy' ? checkPolicies([made])[0]! : checkDelivery(made)!
  } catch (error) {
    const message = (error as Error).message.replace(/^policies\[0\]/, 'its policy')
    throw new Error(`${module}: ${message}`, { cause: error })
  }
}

function checkOptions({ options: check }: PolicyModule<unknown>, given: unknown): unknown {
  try {
    return check?.(given ?? {})
  } catch (error) {
    const { path, message } = Object(error) as { readonly path?: unknown; readonly message?: unknown }
    const keys = Array.isArray(path) ? path.filter(key => typeof key === 'string' || typeof key === 'number') : []
    throw Object.assign(new Error(String(message ?? error)), { path: ['options', ...keys] })
  }
}

async function importModule(module: string, folder: string): Promise<unknown> {
  let file = module
  try {
    file = isAbsolute(module) ? module : createRequire(join(folder, 'mailhandler.toml')).resolve(module)
    // Node keeps a module for ever; another query is another module.
    const version = `?version=${statSync(file).mtimeMs}`
    return await import(`${pathToFileURL(file).href}${version}`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'MODULE_NOT_FOUND') throw at('module', `there is no module ${module}`)
    const place = await placeOf(error as Error, file)
    throw at('module', `${module} cannot be loaded: ${place === null ? '' : `${place}: `}${message}${advice(message)}`)
  }
}

/** What to do about the usual mistakes. A module finds the packages of its own folder, not those beside a global command. */
function advice(message: string): string {
  if (message.includes('import statement outside a module')) {
    return '; let its name end with .mjs, or set "type": "module" in its package.json'
  }
  const [, name] = /^Cannot find package '([^']+)'/.exec(message) ?? []
  return name === undefined ? '' : `; run npm install ${name} in the folder of the module`
}

function at(key: string, message: string): Error {
  return Object.assign(new Error(message), { path: [key] })
}
