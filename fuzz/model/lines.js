// Command lines out of the input, and what is wrong with one. [RFC 5321 §2.3.8, §4.1.1, §4.5.3.1.4]

const SKIPPED_OCTETS = 65_536

/** The next line: `{ text }` without its end, or `{ problem, text }`; null if it has not all come, or was skipped. */
export function cutLine(model) {
  const { input } = model
  const lf = input.indexOf('\n')
  if (model.isSkipping) {
    model.input = lf === -1 ? '' : input.slice(lf + 1)
    model.isSkipping = lf === -1
    if ((lf === -1 ? input.length : lf + 1) > SKIPPED_OCTETS) model.isSkipping = false
    return null
  }
  const limit = limitOf(model)
  if (lf === -1 ? input.length >= limit : lf + 1 > limit) {
    model.input = input.slice(limit)
    model.isSkipping = true
    return { problem: 'too-long', text: input.slice(0, limit) }
  }
  if (lf === -1) return null
  model.input = input.slice(lf + 1)
  return judge(input.slice(0, lf + 1), model.options.bareNewline !== 'reject')
}

function limitOf({ mode, input, options: { auth, limits } }) {
  const isAuth = auth !== null && (typeof mode === 'function' || /^AUTH /i.test(input))
  return isAuth ? Math.max(limits.authLine, limits.commandLine) : limits.commandLine
}

function judge(wire, acceptsBareLf) {
  const isPlain = wire.indexOf('\r') === wire.length - 2 && wire.length >= 2
  if (!isPlain && !acceptsBareLf) return { problem: 'bare-newline', text: wire }
  const text = wire.replace(/\r*\n$/, '')
  if (text.includes('\r')) return { problem: 'bare-cr', text }
  if (text.includes('\0')) return { problem: 'nul', text }
  const octets = Buffer.from(text, 'latin1')
  const decoded = octets.toString('utf8')
  if (!Buffer.from(decoded, 'utf8').equals(octets)) return { problem: 'not-utf8', text }
  return { problem: null, text: decoded }
}
