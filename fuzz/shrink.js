// Makes a failing case smaller, as long as it fails: fewer groups, fewer units, shorter units, plainer options.

/** Seconds for it all. */
const SECONDS = 30

/** Resolves with the smallest case found, and its problem. */
export async function shrink(given, run, smaller = candidates) {
  const until = performance.now() + SECONDS * 1000
  let small = given
  let problem = (await run(given)) ?? 'it did not fail again'
  for (let isSmaller = true; isSmaller && performance.now() < until;) {
    isSmaller = false
    for (const candidate of smaller(small)) {
      if (performance.now() > until) break
      const found = await run(candidate)
      if (found === null) continue
      small = candidate
      problem = found
      isSmaller = true
      break
    }
  }
  return { case: small, problem }
}

function* candidates(given) {
  const { groups, options } = given
  for (let i = 0; i < groups.length; i++) yield { ...given, groups: groups.toSpliced(i, 1) }
  for (const [i, group] of groups.entries()) {
    if (group.length === 1) continue
    for (let j = 0; j < group.length; j++) yield { ...given, groups: groups.with(i, group.toSpliced(j, 1)) }
  }
  for (const [key, value] of Object.entries(PLAIN)) {
    if (JSON.stringify(options[key]) !== JSON.stringify(value))
      yield { ...given, options: { ...options, [key]: value } }
  }
  for (const [i, group] of groups.entries()) {
    for (const [j, unit] of group.entries()) {
      for (const shorter of cuts(unit)) yield { ...given, groups: groups.with(i, group.with(j, shorter)) }
    }
  }
}

const PLAIN = {
  lmtp: false,
  auth: null,
  xclient: false,
  filters: false,
  greeting: 'ok',
  oversize: 'drain',
  unlawfulPipelining: 'allow',
  strictness: 'interoperable',
  bareNewline: 'normalize',
  header: 2 ** 20,
  size: 4000,
}

/** Mail data without some of its middle; a counted chunk keeps its count by being left alone. */
function* cuts(unit) {
  if (/^[a-z]/i.test(unit) || unit.length < 8) return
  for (let length = unit.length >> 1; length >= 1; length >>= 1) {
    for (let at = 0; at + length <= unit.length - 5; at += length) yield unit.slice(0, at) + unit.slice(at + length)
  }
}
